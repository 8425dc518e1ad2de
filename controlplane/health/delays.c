/* SPDX-License-Identifier: BSD-3-Clause */
#include "controlplane/health/delays.h"

enum {
	PERIOD_US = 10000000,
	LEAST_US = 50000, /* what a busy host takes now and then */
	ONE_IN = 20,
	LEAST_LATE = 2, /* one of a few is no measure */
};

static void end_period(struct berth_health_delays *delays, uint64_t now_us)
{
	delays->probes = delays->next_probes;
	delays->of_late = delays->next_late;
	delays->is_behind = delays->of_late >= LEAST_LATE && (uint64_t)delays->of_late * ONE_IN > delays->probes;
	delays->next_probes = delays->next_late = 0;
	delays->since_us = now_us;
}

void berth_health_delays_tick(struct berth_health_delays *delays, uint64_t now_us)
{
	if (delays->since_us && now_us - delays->since_us >= PERIOD_US)
		end_period(delays, now_us);
}

void berth_health_delays_add(struct berth_health_delays *delays, uint64_t waited_us, uint32_t interval_ms,
			     uint64_t now_us)
{
	const uint64_t half_us = UINT64_C(500) * interval_ms;
	const bool is_late = waited_us >= half_us && waited_us >= LEAST_US;
	if (!delays->since_us)
		delays->since_us = now_us;
	berth_health_delays_tick(delays, now_us);
	delays->next_probes++;
	delays->next_late += is_late;
	delays->late += is_late;
}
