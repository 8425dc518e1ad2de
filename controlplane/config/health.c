/* SPDX-License-Identifier: BSD-3-Clause */
#include "controlplane/config/health.h"

enum {
	SECOND_MS = 1000,
	AGENT_INTERVAL_MS = 2 * SECOND_MS,
	AGENT_TIMEOUT_MS = SECOND_MS,
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

struct berth_health_config berth_health_agent(const struct berth_health_config *health)
{
	return (struct berth_health_config){
		.type = BERTH_HEALTH_AGENT,
		.interval_ms = health->agent_interval_ms ? health->agent_interval_ms : AGENT_INTERVAL_MS,
		.timeout_ms = health->agent_timeout_ms ? health->agent_timeout_ms : AGENT_TIMEOUT_MS,
		.port = health->agent_port,
	};
}

struct berth_health_config berth_health_without_agent(const struct berth_health_config *health)
{
	struct berth_health_config check = *health;
	check.agent_port = 0;
	check.agent_interval_ms = check.agent_timeout_ms = 0;
	return check;
}

bool berth_health_has_port(enum berth_health_type type)
{
#define X(symbol, name, has_port, passes) has_port,
	static const bool ports[BERTH_HEALTH_TYPES] = {false, BERTH_HEALTH_CHECKS(X) true};
#undef X
	return ports[type];
}

uint32_t berth_health_half_life_ms(const struct berth_health_config *health)
{
	return health->half_life_ms ? health->half_life_ms : 2 * health->interval_ms;
}

const char *berth_health_type_name(enum berth_health_type type)
{
#define X(symbol, name, has_port, passes) name,
	static const char *const names[BERTH_HEALTH_TYPES] = {"none", BERTH_HEALTH_CHECKS(X) "agent"};
#undef X
	return names[type];
}
