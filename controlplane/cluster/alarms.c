// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/cluster/alarms.h"

enum {
	QUIET_MS = 60000,
};

bool berth_exchange_alarm_update(struct berth_exchange_alarm_state *alarm, uint64_t count, uint64_t now_ms)
{
	const bool was_on = alarm->is_on;
	if (count > alarm->count) {
		alarm->is_on = true;
		alarm->grew_ms = now_ms;
	} else if (now_ms - alarm->grew_ms >= QUIET_MS) {
		alarm->is_on = false;
	}
	alarm->count = count;
	return alarm->is_on != was_on;
}

const char *berth_exchange_alarm_cause(enum berth_exchange_alarm alarm)
{
	static const char *const causes[] = {
#define BERTH_X(symbol, cause, remedy) [BERTH_EXCHANGE_##symbol] = (cause),
		BERTH_EXCHANGE_ALARMS(BERTH_X)
#undef BERTH_X
	};
	return causes[alarm];
}

const char *berth_exchange_alarm_remedy(enum berth_exchange_alarm alarm)
{
	static const char *const remedies[] = {
#define BERTH_X(symbol, cause, remedy) [BERTH_EXCHANGE_##symbol] = (remedy),
		BERTH_EXCHANGE_ALARMS(BERTH_X)
#undef BERTH_X
	};
	return remedies[alarm];
}
