/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * When a process that ended is started again, and when its ends are an alarm. One that forwarded is started at
 * once, every time. Starts that fail are repeated in growing steps, so that a permanent failure uses little
 * processor time. Pure: time is an argument, milliseconds of any clock that does not go back.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
	BERTH_RESTART_ALARM_ENDS = 3,
	BERTH_RESTART_WINDOW_MS = 60000,
	BERTH_RESTART_LONGEST_MS = 1000,
};

/* All zeros: it has never ended. */
struct berth_restart_policy {
	uint64_t ended_ms[BERTH_RESTART_ALARM_ENDS]; /* the latest ends, a ring */
	uint32_t ends;
	uint32_t failed_starts; /* in a row */
	uint64_t due_ms;	/* of the next start */
	uint64_t hung_ms;	/* when it hung last; 0: it has not */
};

/* The process ended unasked. `has_forwarded`: its start had succeeded. Returns the milliseconds until the next
 * start.
 */
uint32_t berth_restart_ended(struct berth_restart_policy *policy, uint64_t now_ms, bool has_forwarded);
/* It hung and is being ended; berth_restart_ended follows. */
void berth_restart_hung(struct berth_restart_policy *policy, uint64_t now_ms);
/* Its start has succeeded, or it is to be started with other options. */
void berth_restart_reset(struct berth_restart_policy *policy);
bool berth_restart_is_due(const struct berth_restart_policy *policy, uint64_t now_ms);
/* Whether the last start failed, or within the window the process hung, or ended BERTH_RESTART_ALARM_ENDS times. */
bool berth_restart_is_alarm(const struct berth_restart_policy *policy, uint64_t now_ms);
