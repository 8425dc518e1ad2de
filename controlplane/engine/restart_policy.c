// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/engine/restart_policy.h"

enum {
	FIRST_STEP_MS = 125, /* of the second start that follows a failed one; doubled up to the longest */
	DOUBLINGS = 3,
};
_Static_assert(FIRST_STEP_MS << DOUBLINGS == BERTH_RESTART_LONGEST_MS, "the last step is the longest");

static uint32_t step_ms(uint32_t failed_starts)
{
	if (failed_starts < 2)
		return 0;
	const uint32_t doublings = failed_starts - 2;
	return (uint32_t)FIRST_STEP_MS << (doublings < DOUBLINGS ? doublings : DOUBLINGS);
}

uint32_t berth_restart_ended(struct berth_restart_policy *policy, uint64_t now_ms, bool has_forwarded)
{
	policy->ended_ms[policy->ends++ % BERTH_RESTART_ALARM_ENDS] = now_ms;
	policy->failed_starts = has_forwarded ? 0 : policy->failed_starts + 1;
	policy->due_ms = now_ms + step_ms(policy->failed_starts);
	return step_ms(policy->failed_starts);
}

void berth_restart_hung(struct berth_restart_policy *policy, uint64_t now_ms)
{
	policy->hung_ms = now_ms;
}

void berth_restart_reset(struct berth_restart_policy *policy)
{
	policy->failed_starts = 0;
	policy->due_ms = 0;
}

bool berth_restart_is_due(const struct berth_restart_policy *policy, uint64_t now_ms)
{
	return now_ms >= policy->due_ms;
}

bool berth_restart_is_alarm(const struct berth_restart_policy *policy, uint64_t now_ms)
{
	if (policy->failed_starts || (policy->hung_ms && now_ms - policy->hung_ms < BERTH_RESTART_WINDOW_MS))
		return true;
	/* The oldest entry of the ring. */
	return policy->ends >= BERTH_RESTART_ALARM_ENDS &&
	       now_ms - policy->ended_ms[policy->ends % BERTH_RESTART_ALARM_ENDS] < BERTH_RESTART_WINDOW_MS;
}
