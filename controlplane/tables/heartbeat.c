// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/tables/heartbeat.h"

#include "dataplane/core/atomic.h"

void berth_heartbeat_sample(const struct berth_image *image, struct berth_heartbeat *heartbeat)
{
	*heartbeat = (struct berth_heartbeat){0};
	for (uint32_t w = 0; w < image->geometry.workers && w < BERTH_MAX_WORKERS; w++)
		if (BERTH_LOAD(&image->workers[w].running))
			heartbeat->polls[w] = BERTH_LOAD(&image->workers[w].polls);
}

uint32_t berth_heartbeat_stuck(const struct berth_heartbeat *before, const struct berth_heartbeat *now, uint32_t *n)
{
	uint32_t stuck = 0;
	*n = 0;
	for (uint32_t w = 0; w < BERTH_MAX_WORKERS; w++) {
		*n += before->polls[w] != 0;
		stuck += before->polls[w] && now->polls[w] == before->polls[w];
	}
	return stuck;
}
