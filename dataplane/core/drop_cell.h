/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/* A section of the image: the last dropped packets of services. drops.h writes it. */
#pragma once

#include "limits.h"
#include "packet.h"

/* A packet that was dropped. */
struct berth_drop_sample {
	uint64_t time_ns; /* CLOCK_MONOTONIC, at most 100 ms late */
	struct berth_packet packet;
};
BERTH_ASSERT_SIZE(struct berth_drop_sample, 72);

/* The packets of one service that a worker dropped for one reason. */
struct berth_drop_cell {
	uint64_t service; /* its id; 0: the cell is free */
	uint64_t packets; /* since `since_ns`; the last ones are in `sample`, number P in place P %
			     BERTH_DROP_SAMPLES */
	uint64_t since_ns;
	uint32_t verdict;
	uint32_t pad;
	struct berth_drop_sample sample[BERTH_DROP_SAMPLES];
};
BERTH_ASSERT_SIZE(struct berth_drop_cell, 320);

/* Those of a worker, written by that worker alone (drops.h). */
struct berth_drops {
	struct berth_drop_cell cell[BERTH_DROP_CELLS];
};
BERTH_ASSERT_SIZE(struct berth_drops, 40960);
