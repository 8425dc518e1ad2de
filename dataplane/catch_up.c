/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/catch_up.h"

#include <time.h>

#include "dataplane/core/sweep.h"

enum {
	/* After these each word has expired, whatever its timeout is. */
	MAX_SWEEPS = BERTH_MAX_TIMEOUT / BERTH_MAX_UNSWEPT_S + 2,
};

uint32_t berth_clock_read(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint32_t)now.tv_sec;
}

static void sweep_all(const struct berth_image *image, const struct berth_view *view)
{
	struct berth_sweep sweep = {0};
	while (!berth_sweep_next(view, &sweep))
		;
	berth_clock_swept(image->ctl, view->now);
}

void berth_catch_up(const struct berth_image *image, uint32_t monotonic)
{
	for (uint32_t i = 0; i < MAX_SWEEPS; i++) {
		const struct berth_view view = berth_image_view(image, 0, monotonic);
		if (view.now == monotonic)
			return;
		sweep_all(image, &view);
	}
	/* Only pinned sessions are left, and their age is of no interest. */
	berth_clock_swept(image->ctl, monotonic);
}
