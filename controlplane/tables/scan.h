/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The scan of the flow and session tables, while workers run. It counts the entries of each backend; it frees
 * expired entries and those of removed or evicted backends; it moves an evicted backend's sessions to its backup,
 * if it has one. It moves words from a former table into the table (former_words.h). It runs in slices from
 * berthd's event loop.
 */
#pragma once

#include "dataplane/core/image.h"

struct berth_scan;

/* NULL: out of memory. */
struct berth_scan *berth_scan_new(const struct berth_image *image);
void berth_scan_free(struct berth_scan *scan);
/* Takes the figures of the last complete scan of other tables with the same words and numbers. */
void berth_scan_inherit(struct berth_scan *scan, const struct berth_scan *former);
/* The image that it scans. */
const struct berth_image *berth_scan_image(const struct berth_scan *scan);

/* Scans at most `buckets` buckets at time `now` (seconds of CLOCK_MONOTONIC). True: that completed a scan of both
 * tables, and the figures below are new. */
bool berth_scan_step(struct berth_scan *scan, uint32_t buckets, uint32_t now);

/* Entries of a backend (by number) in the last complete scan, without expired ones. `closing`: TCP flows with a FIN
 * or RST seen; `flows` are the others. `half_open`: those of `flows` of which
 * one packet was seen, in TCP only SYNs. */
uint64_t berth_scan_flows(const struct berth_scan *scan, uint32_t backend);
uint64_t berth_scan_closing(const struct berth_scan *scan, uint32_t backend);
uint64_t berth_scan_half_open(const struct berth_scan *scan, uint32_t backend);
uint64_t berth_scan_sessions(const struct berth_scan *scan, uint32_t backend);
/* Words of a table that are in state UNCONFIRMED: many of them are a sign of spoofed packets. They are among the
 * flows of a backend, and not among its sessions. */
void berth_scan_unconfirmed(const struct berth_scan *scan, uint64_t *flows, uint64_t *sessions);
/* Words that are left in former tables. */
void berth_scan_former(const struct berth_scan *scan, uint64_t *flows, uint64_t *sessions);
/* Words in use, with those of fragments and those without a valid backend. */
void berth_scan_totals(const struct berth_scan *scan, uint64_t *flows, uint64_t *sessions);
