/* SPDX-License-Identifier: BSD-3-Clause */
/* CLOCK_MONOTONIC: all decisions use this clock, so a change of the host's time has no effect. */
#pragma once

#include <stdint.h>
#include <time.h>

static inline uint64_t berth_clock_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Seconds: the unit of timeouts in the tables. */
static inline uint32_t berth_clock_s(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint32_t)now.tv_sec;
}
