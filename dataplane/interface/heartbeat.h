/* SPDX-License-Identifier: BSD-3-Clause */
/* Whether the engine's workers go on: two samples of how often each has polled its queues, and when it did last. */
#pragma once

#include "dataplane/core/atomic.h"
#include "dataplane/core/image.h"

struct berth_heartbeat {
	uint64_t polls[BERTH_MAX_WORKERS]; /* 0: it does not poll, as the workers of XDP */
};

static inline void berth_heartbeat_sample(const struct berth_image *image, struct berth_heartbeat *heartbeat)
{
	*heartbeat = (struct berth_heartbeat){0};
	for (uint32_t w = 0; w < image->geometry.workers && w < BERTH_MAX_WORKERS; w++)
		if (BERTH_LOAD(&image->workers[w].running))
			heartbeat->polls[w] = BERTH_LOAD(&image->workers[w].polls);
}

/* The number of workers that have not polled since `before`, of `n` that did before. */
static inline uint32_t berth_heartbeat_stuck(const struct berth_heartbeat *before,
					     const struct berth_heartbeat *now, uint32_t *n)
{
	uint32_t stuck = 0;
	*n = 0;
	for (uint32_t w = 0; w < BERTH_MAX_WORKERS; w++) {
		*n += before->polls[w] != 0;
		stuck += before->polls[w] && now->polls[w] == before->polls[w];
	}
	return stuck;
}

/* CLOCK_MONOTONIC in nanoseconds: until when each worker that runs has polled; UINT64_MAX: none polls. */
static inline uint64_t berth_heartbeat_polled_ns(const struct berth_image *image)
{
	uint64_t polled_ns = UINT64_MAX;
	for (uint32_t w = 0; w < image->geometry.workers && w < BERTH_MAX_WORKERS; w++) {
		const uint64_t ns = BERTH_LOAD(&image->workers[w].polled_ns);
		if (BERTH_LOAD(&image->workers[w].running) && ns && ns < polled_ns)
			polled_ns = ns;
	}
	return polled_ns;
}
