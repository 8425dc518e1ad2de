/* SPDX-License-Identifier: BSD-3-Clause */
/* Ends former tables (core/former.h) that have no words any more. Called by berthd after each whole scan. */
#pragma once

struct berth_engine;
struct berth_scan;

/* Also records how many words are in use. */
void berth_former_tables_follow(struct berth_engine *engine, const struct berth_scan *scan);
