/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sessions that an operator has cleared, deleted here in the order of the store: those of one client at once,
 * others in slices, since a table of millions takes longer than the event loop may wait. By ids, since an apply in
 * between may change numbers. Pinned sessions stay: the end of a pin is a record of its own (operator_set.h). What
 * is done is remembered: a session that this node has told before may come after it in the store. One thread.
 *
 * What comes after a clear that is under way keeps its place in the order: before a session of a client is written,
 * the clears under way are carried out for that client (berth_clears_precede); then they leave alone what was
 * written (berth_clears_spare). So a record or a command waits for no clear.
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
	uint8_t number;	     /* of those that take slices, in their order; 0: of one that was over at once */
	bool is_done;
	uint64_t sequence; /* when it was done: this node's last record */
};

struct berth_clears {
	struct berth_clear all[BERTH_CLEARS];
	uint32_t n;
	uint32_t under_way;
	uint64_t sessions; /* cleared */
	uint8_t last;	   /* number given; 0: none yet */
	/* By slot of the table: the number of the last clear before what was written there; 0: no later write. Only
	 * of clears that have not reached the slot. NULL: of all slots 0. */
	uint8_t *later;
	uint32_t slots; /* of the table that the clears under way are in */
};

void berth_clears_free(struct berth_clears *clears);

/* False: no room. `sequence` as in berth_clears_step. */
bool berth_clears_add(struct berth_clears *clears, const struct berth_clear *clear, const struct berth_ids *numbers,
		      const struct berth_view *view, uint64_t sequence);
/* Goes on with the oldest one that is under way; false: there is none. `sequence`: of this node's last record. All
 * sessions are in one table. */
bool berth_clears_step(struct berth_clears *clears, const struct berth_ids *numbers, const struct berth_view *view,
		       uint64_t sequence);
bool berth_clears_are_under_way(const struct berth_clears *clears);
/* Before the session of this client is written by what comes after the clears. False: no memory; the clears under
 * way have to be completed first. */
bool berth_clears_precede(struct berth_clears *clears, const struct berth_ids *numbers,
			  const struct berth_view *view, uint32_t service, const union berth_addr *client);
/* It was written to this slot. */
void berth_clears_spare(struct berth_clears *clears, uint32_t at);
/* Whether this node has told the session before it cleared it. `last_s`: when the session had its last packet,
 * which a clear that is carried out again may spare; NULL of a move. */
bool berth_clears_has(const struct berth_clears *clears, const struct berth_cluster_record *session,
		      const uint32_t *last_s);
