/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/* A section of the image: the loads that scheduler least-conn compares. select.h reads it. */
#pragma once

#include "limits.h"
#include "types.h"

struct berth_load_cell {
	/* Live flows of a backend times its load_unit. Written by berthd after each scan; workers add new flows. */
	uint32_t load;
	/* What the load counts in a comparison; 0: 1. Written by berthd alone, effective at once. With
	 * BERTH_COST_OF_CONNECTIONS. */
	uint32_t cost;
};

/* Costs with and without this bit are of different scales, and are not compared. */
#define BERTH_COST_OF_CONNECTIONS (UINT32_C(1) << 31)

struct berth_load_line {
	struct berth_load_cell backend[BERTH_LOADS_PER_LINE];
};
BERTH_ASSERT_SIZE(struct berth_load_line, 64);
