/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The scan of the flow and session tables, while workers run. It counts the entries of each backend; it frees
 * expired entries and those of removed or evicted backends; it moves an evicted backend's sessions to its backup,
 * if it has one. It moves words from a former table into the table (former_words.h). It runs in slices from
 * berthd's event loop.
 */
#pragma once

#include "controlplane/tables/exception.h"

struct berth_scan;

/* NULL: out of memory. */
struct berth_scan *berth_scan_new(const struct berth_image *image);
void berth_scan_free(struct berth_scan *scan);
/* An exception (exception.h) that the scan has found, or a session that was one and has returned. */
struct berth_scan_exception {
	enum berth_table table;
	uint64_t word;
	uint32_t at;	  /* index of the word in its table */
	uint32_t buckets; /* of that table */
	bool is_former;	  /* it is in the former table (core/former.h) */
};
/* Called for each, in the scans that count exceptions, and in the rest of a scan after a new generation: so all
 * have been shown when the tables have been scanned once since. It must not use the scan. */
typedef void berth_scan_exception_fn(void *arg, const struct berth_view *view,
				     const struct berth_scan_exception *exception);
void berth_scan_set_exception_fn(struct berth_scan *scan, berth_scan_exception_fn *fn, void *arg);
/* Takes the figures of the last complete scan of other tables with the same words and numbers, and what it calls.
 */
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
/* Of a flow in this state. */
bool berth_scan_is_closing(uint32_t state);
uint64_t berth_scan_half_open(const struct berth_scan *scan, uint32_t backend);
uint64_t berth_scan_sessions(const struct berth_scan *scan, uint32_t backend);
/* Words of a table that are in state UNCONFIRMED: many of them are a sign of spoofed packets. They are among the
 * flows of a backend, and not among its sessions. */
void berth_scan_unconfirmed(const struct berth_scan *scan, uint64_t *flows, uint64_t *sessions);
/* Words that are left in former tables. */
void berth_scan_former(const struct berth_scan *scan, uint64_t *flows, uint64_t *sessions);
/* Words in use, with those of fragments and those without a valid backend. */
void berth_scan_totals(const struct berth_scan *scan, uint64_t *flows, uint64_t *sessions);
/* Of the entries of a backend, those that are exceptions (exception.h). With more than a million entries they are
 * counted after each new generation, and in every 16th scan. */
uint64_t berth_scan_exceptions(const struct berth_scan *scan, enum berth_table table, uint32_t backend);
/* The next scan that begins counts them. */
void berth_scan_count_exceptions(struct berth_scan *scan);
/* Whether the last complete scan counted them. */
bool berth_scan_has_counted_exceptions(const struct berth_scan *scan);
/* Of all entries. */
void berth_scan_exception_totals(const struct berth_scan *scan, uint64_t *flows, uint64_t *sessions);
