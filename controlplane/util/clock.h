/* SPDX-License-Identifier: BSD-3-Clause */
/* CLOCK_MONOTONIC, the only clock that berth's decisions know. */
#pragma once

#include <stdint.h>
#include <time.h>

static inline uint64_t berth_clock_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* The unit of the tables' timeouts. */
static inline uint32_t berth_clock_s(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint32_t)now.tv_sec;
}
