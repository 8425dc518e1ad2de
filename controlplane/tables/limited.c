// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/tables/limited.h"

#include "controlplane/tables/counters.h"

enum {
	QUIET_MS = 10000, /* without a packet over a limit, until the alarm is over */
};

bool berth_limited_update(const struct berth_image *image, struct berth_model_service *service, uint64_t now_ms)
{
	struct berth_tally tally;
	berth_counters_service(image, service->number, &tally);
	/* What was counted before berthd started, or before the service was configured, is no alarm. */
	if (service->is_limited_known && tally.limited > service->limited)
		service->limited_ms = now_ms;
	service->limited = tally.limited;
	service->is_limited_known = true;
	const bool is_limited = service->limited_ms && now_ms - service->limited_ms < QUIET_MS;
	const bool changed = is_limited != service->is_limited;
	service->is_limited = is_limited;
	return changed;
}
