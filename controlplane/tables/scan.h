/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The scan over the flow and session tables while workers run: counts what each backend holds, frees expired
 * words and those of backends that are gone or evicted; an evicted one's sessions go to its backup, if it has one.
 * A slice at a time, from berthd's loop.
 */
#pragma once

#include "dataplane/core/image.h"

struct berth_scan;

/* NULL: no memory. */
struct berth_scan *berth_scan_new(const struct berth_image *image);
void berth_scan_free(struct berth_scan *scan);
/* The image that it scans. */
const struct berth_image *berth_scan_image(const struct berth_scan *scan);

/* Walks on for at most `buckets` buckets at time `now` (seconds, CLOCK_MONOTONIC). Returns true when that ended
 * a pass over both tables, and the figures below are new. */
bool berth_scan_step(struct berth_scan *scan, uint32_t buckets, uint32_t now);

/* Live flows and sessions that the last whole pass found for a backend: not expired, and no TCP flow of which a FIN
 * or RST was seen; those are the ones that close. */
uint64_t berth_scan_flows(const struct berth_scan *scan, uint32_t backend);
uint64_t berth_scan_closing(const struct berth_scan *scan, uint32_t backend);
uint64_t berth_scan_sessions(const struct berth_scan *scan, uint32_t backend);
/* Words in use, those that stand for fragments or belong to no backend included. */
void berth_scan_totals(const struct berth_scan *scan, uint64_t *flows, uint64_t *sessions);
