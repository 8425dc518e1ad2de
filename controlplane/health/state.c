/* SPDX-License-Identifier: BSD-3-Clause */
#include "controlplane/health/state.h"

enum {
	MAX_FIRST_MS = 100
};

void berth_rise_fall_init(struct berth_rise_fall *state, int up, uint64_t now_ms)
{
	*state = (struct berth_rise_fall){.up = up, .since_ms = now_ms};
}

bool berth_rise_fall_step(struct berth_rise_fall *state, uint32_t rise, uint32_t fall, bool success,
			  uint64_t now_ms)
{
	if (state->up == success) {
		state->contrary_results = 0;
		return false;
	}
	uint32_t needed = state->up < 0 ? 1 : success ? rise : fall;
	if (++state->contrary_results < needed)
		return false;
	berth_rise_fall_init(state, success, now_ms);
	return true;
}

/* SplitMix64: every seed is usable, and similar seeds give unrelated sequences. */
uint64_t berth_health_random(uint64_t previous)
{
	uint64_t x = previous + UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

uint32_t berth_health_delay(uint32_t interval_ms, uint64_t random)
{
	uint32_t tenth = interval_ms / 10;
	return interval_ms - tenth + (uint32_t)(random % (2 * (uint64_t)tenth + 1));
}

uint32_t berth_health_second_delay(uint32_t interval_ms, uint64_t random)
{
	return (uint32_t)(random % interval_ms) + 1;
}

uint32_t berth_health_first_delay(uint32_t interval_ms, uint64_t random)
{
	uint32_t most_ms = interval_ms < MAX_FIRST_MS ? interval_ms : MAX_FIRST_MS;
	return (uint32_t)(random % ((uint64_t)most_ms + 1));
}

uint64_t berth_health_together(uint64_t us, uint32_t interval_ms)
{
	const uint64_t share_us = UINT64_C(1000) * interval_ms / 128;
	const uint64_t apart_us = share_us < 8000 ? share_us : 8000;
	return apart_us ? (us + apart_us / 2) / apart_us * apart_us : us;
}
