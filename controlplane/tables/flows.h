/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reads single flows in the flow table, while workers run. A word (core/word.h) has the backend, the state and the
 * time of the last packet; of the addresses it has a hash only.
 */
#pragma once

#include "dataplane/core/image.h"

/* A flow as read. */
struct berth_flow {
	uint64_t word;
	bool is_former; /* it is in the former table (core/former.h) */
};

struct berth_flow_filter {
	uint32_t service; /* number; 0: any */
	uint32_t backend; /* number; 0: any */
	uint32_t states;  /* a bit each (enum berth_state) */
	uint32_t idle_s;  /* without a packet for at least so long */
};

/* Words of the flow table and, behind them, of the former one. */
uint64_t berth_flows_slots(const struct berth_view *view);
/* Finds the next matching flow from index `*at` up to `end` (exclusive), and sets `*at` to the index after it.
 * False: none before `end`. Expired flows are skipped. A flow that moves from the former table meanwhile may be
 * found twice or not at all. */
bool berth_flows_next(const struct berth_view *view, const struct berth_flow_filter *filter, uint64_t *at,
		      uint64_t end, struct berth_flow *found);
