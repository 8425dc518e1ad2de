/* SPDX-License-Identifier: BSD-3-Clause */
/* An event loop that runs only where a test runs it: for a time, or until a condition holds. */
#pragma once

#include <event2/event.h>

#include "controlplane/util/clock.h"

static inline void loop_for(struct event_base *base, uint64_t ms)
{
	struct timeval tv = {.tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000 * 1000)};
	event_base_loopexit(base, &tv);
	event_base_dispatch(base);
}

/* Runs `step` until `condition` holds or `within_ms` have passed; true if it holds. */
#define wait_until(condition, within_ms, step)                                                                     \
	({                                                                                                         \
		uint64_t deadline_ms_ = berth_clock_ms() + (within_ms);                                            \
		bool holds_ = (condition);                                                                         \
		while (!holds_ && berth_clock_ms() < deadline_ms_) {                                               \
			step;                                                                                      \
			holds_ = (condition);                                                                      \
		}                                                                                                  \
		holds_;                                                                                            \
	})
