/* SPDX-License-Identifier: BSD-3-Clause */
#include "controlplane/config/health.h"

enum {
	SECOND_MS = 1000,
};

const struct berth_health_config berth_health_defaults = {
	.type = BERTH_HEALTH_TCP,
	.interval_ms = 2 * SECOND_MS,
	.timeout_ms = SECOND_MS,
	.rise = 2,
	.fall = 3,
	.stale_ms = 30 * SECOND_MS,
	.n_statuses = 1,
	.statuses = {{200, 299}},
	.path = "/",
};

bool berth_health_has_port(enum berth_health_type type)
{
#define X(symbol, name, has_port, passes) has_port,
	static const bool ports[BERTH_HEALTH_TYPES] = {false, BERTH_HEALTH_CHECKS(X)};
#undef X
	return ports[type];
}

const char *berth_health_type_name(enum berth_health_type type)
{
#define X(symbol, name, has_port, passes) name,
	static const char *const names[BERTH_HEALTH_TYPES] = {"none", BERTH_HEALTH_CHECKS(X)};
#undef X
	return names[type];
}
