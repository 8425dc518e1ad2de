/* SPDX-License-Identifier: BSD-3-Clause */
/* Metrics of berthd and its engine as a whole. Called by metrics.c. */
#pragma once

#include "controlplane/metrics/text.h"
#include "controlplane/state/state.h"

/* Converts CLOCK_MONOTONIC to Unix time, rounded down so that it is not in the future. `epoch_ms`: Unix time at 0
 * of that clock. */
static inline uint64_t berth_metrics_unix_seconds(int64_t epoch_ms, uint64_t ms)
{
	return (uint64_t)(epoch_ms + (int64_t)ms) / 1000;
}

void berth_metrics_write_general(struct berth_text *out, const struct berth_daemon_state *state, int64_t epoch_ms);
