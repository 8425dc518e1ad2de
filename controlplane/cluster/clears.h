/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sessions that an operator has cleared, deleted here in the order of the store: those of one client at once,
 * others in slices, since a table of millions takes longer than the event loop may wait. By ids, since an apply in
 * between may change numbers. Pinned sessions stay: the end of a pin is a record of its own (operator_set.h). What
 * is done is remembered: a session that this node has told before may come after it in the store. One thread.
 */
#pragma once

#include "controlplane/cluster/ids.h"
#include "controlplane/cluster/record.h"
#include "controlplane/tables/sessions.h"

enum {
	BERTH_CLEARS = 64,	     /* under way at one time, or remembered */
	BERTH_CLEAR_SLOTS = 1 << 16, /* of the table, in a slice: about 1 ms */
};

struct berth_clear {
	uint64_t service;
	uint64_t backend; /* 0: all */
	union berth_addr client;
	uint8_t client_bits; /* 0: all */
	bool spares_later;   /* sessions that had packets after it was told: it may have been carried out then */
	uint32_t told_s;     /* CLOCK_MONOTONIC */
	uint32_t at;	     /* the next slot */
	bool is_done;
	uint64_t sequence; /* when it was done: this node's last record */
};

struct berth_clears {
	struct berth_clear all[BERTH_CLEARS];
	uint32_t n;
	uint64_t sessions; /* cleared */
};

/* False: no room. `sequence` as in berth_clears_step. */
bool berth_clears_add(struct berth_clears *clears, const struct berth_clear *clear, const struct berth_ids *numbers,
		      const struct berth_view *view, uint64_t sequence);
/* Goes on with the oldest one that is under way; false: there is none. `sequence`: of this node's last record. All
 * sessions are in one table. */
bool berth_clears_step(struct berth_clears *clears, const struct berth_ids *numbers, const struct berth_view *view,
		       uint64_t sequence);
bool berth_clears_are_under_way(const struct berth_clears *clears);
/* Whether this node has told the session before it cleared it. */
bool berth_clears_has(const struct berth_clears *clears, const struct berth_cluster_record *session);
