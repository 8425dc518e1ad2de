/* SPDX-License-Identifier: BSD-3-Clause */
/* Whether the engine's workers go on: two samples of how often each has polled its queues. */
#pragma once

#include "dataplane/core/image.h"

struct berth_heartbeat {
	uint64_t polls[BERTH_MAX_WORKERS]; /* 0: it does not poll, as the workers of XDP */
};

void berth_heartbeat_sample(const struct berth_image *image, struct berth_heartbeat *heartbeat);
/* The number of workers that have not polled since `before`, of `n` that did before. */
uint32_t berth_heartbeat_stuck(const struct berth_heartbeat *before, const struct berth_heartbeat *now,
			       uint32_t *n);
