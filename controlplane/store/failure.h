/* SPDX-License-Identifier: BSD-3-Clause */
/* What visits and rounds do after a failure: they wait longer and longer, and say the reason. */
#pragma once

#include <event2/event.h>
#include <stdint.h>

#include "controlplane/util/error.h"

struct berth_backoff {
	uint32_t ms; /* 0: the first failure */
};

/* How long to wait after this failure: 0.25 s to 5 s, three to five quarters of it, so that nodes do not return to
 * a store at the same moment. */
uint64_t berth_backoff_next(struct berth_backoff *backoff);
/* As one line of printable characters. */
void berth_failure_copy(char error[BERTH_ERROR_BYTES], const char *reason);
void berth_timer_set(struct event *timer, uint64_t ms);
