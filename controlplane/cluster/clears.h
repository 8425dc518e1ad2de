/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sessions that an operator has cleared on another node, deleted here in slices: a table of millions takes longer
 * than the event loop may wait. By ids, since an apply in between may change numbers. Pinned sessions stay: the end
 * of a pin is a record of its own (operator_set.h). One thread.
 */
#pragma once

#include "controlplane/cluster/ids.h"

enum {
	BERTH_CLEARS = 64,	     /* under way at one time */
	BERTH_CLEAR_SLOTS = 1 << 16, /* of the table, in a slice: about 1 ms */
};

struct berth_clear {
	uint64_t service;
	uint64_t backend; /* 0: all */
	union berth_addr client;
	uint8_t client_bits; /* 0: all */
	uint32_t at;	     /* the next slot */
};

struct berth_clears {
	struct berth_clear all[BERTH_CLEARS];
	uint32_t n;
	uint64_t sessions; /* cleared */
};

/* False: no room. */
bool berth_clears_add(struct berth_clears *clears, const struct berth_clear *clear);
/* Goes on with the oldest one, if there is one. All sessions are in one table. */
void berth_clears_step(struct berth_clears *clears, const struct berth_ids *numbers, const struct berth_view *view);
