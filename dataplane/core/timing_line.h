/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/* A section of the image: the times from SYN to SYN-ACK of a sample of a backend's new flows. timing.h writes it.
 */
#pragma once

#include "limits.h"
#include "types.h"

/* Those of one backend: so a flood of another one takes no room here. Any worker writes it. */
struct berth_timing_line {
	/* The number of times in the upper bits, their sum in microseconds in the lower BERTH_TIMING_SUM_BITS. Both
	 * only grow, and a carry is part of the sum: a reader takes the difference of two of its reads. */
	uint64_t totals;
	/* SYNs without an answer yet: the tag of the flow, and the lower 32 bits of the time in microseconds; 0:
	 * free. */
	uint64_t syn[BERTH_TIMING_SYNS];
};
BERTH_ASSERT_SIZE(struct berth_timing_line, 64);
