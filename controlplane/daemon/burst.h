/* SPDX-License-Identifier: BSD-3-Clause */
/* Log lines of many things at once for one reason: the first one is told, and that there are others. Event loop's
 * thread. */
#pragma once

#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum {
	BERTH_BURST_REASON_BYTES = 160,
	BERTH_BURST_MS = 5000, /* the same reason after such a pause is told again */
};

/* Zeroed: none yet. */
struct berth_burst {
	char reason[BERTH_BURST_REASON_BYTES]; /* of the last one */
	uint64_t last_ms;		       /* CLOCK_MONOTONIC */
	uint32_t n;			       /* with this reason, without a pause */
};

/* One more at `now_ms`. Returns its number in its burst, from 1. */
static inline uint32_t berth_burst_add(struct berth_burst *burst, const char *reason, uint64_t now_ms)
{
	char text[BERTH_BURST_REASON_BYTES];
	snprintf(text, sizeof(text), "%s", reason);
	if (strcmp(text, burst->reason) != 0 || now_ms - burst->last_ms > BERTH_BURST_MS)
		burst->n = 0;
	memcpy(burst->reason, text, sizeof(text));
	burst->last_ms = now_ms;
	return ++burst->n;
}
