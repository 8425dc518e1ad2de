/* SPDX-License-Identifier: BSD-3-Clause */
/* Samples of the interfaces' statistics. */
#pragma once

struct berth_daemon;

/* Takes a sample if one is due. Called about once a second. */
void berth_link_watch_follow(struct berth_daemon *daemon);
