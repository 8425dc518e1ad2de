// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/model/agent.h"

enum {
	ADMIN_BITS = 3,	  /* of record->said: enum berth_agent_admin */
	HEALTH_SHIFT = 2, /* then enum berth_agent_health */
	HEALTH_BITS = 3 << HEALTH_SHIFT,
	HAS_PERCENT = 1 << 4,
	MIDDLE = 1 << 15, /* of record->withheld */
};

bool berth_agent_hear(struct berth_model_backend *backend, const struct berth_agent_words *line)
{
	const struct berth_agent_words before = backend->agent.said;
	berth_agent_add(&backend->agent.said, line);
	return !berth_agent_equal(&before, &backend->agent.said);
}

void berth_agent_forget(struct berth_model_backend *backend)
{
	backend->agent.said = (struct berth_agent_words){0};
	backend->agent.admin = BERTH_ADMIN_ENABLED;
	backend->agent.is_down = false;
	backend->agent.stopped_ms = 0;
}

static enum berth_admin admin_of(const struct berth_agent_words *said)
{
	return said->admin == BERTH_AGENT_DRAIN	  ? BERTH_ADMIN_DRAINING
	       : said->admin == BERTH_AGENT_MAINT ? BERTH_ADMIN_FLOWS_ONLY
						  : BERTH_ADMIN_ENABLED;
}

static bool is_stricter(enum berth_admin admin, enum berth_admin than)
{
	static const uint8_t ranks[BERTH_ADMIN_COUNT] = {[BERTH_ADMIN_DRAINING] = 1, [BERTH_ADMIN_FLOWS_ONLY] = 2};
	return ranks[admin] > ranks[than];
}

bool berth_agent_follow(struct berth_model_backend *backend, uint64_t now_ms, uint64_t *next_ms)
{
	struct berth_agent_part *agent = &backend->agent;
	const struct berth_agent_part before = *agent;
	const enum berth_admin admin = admin_of(&agent->said);
	const bool is_down = agent->said.health == BERTH_AGENT_DOWN;
	if (is_stricter(admin, agent->admin))
		agent->admin = admin;
	agent->is_down |= is_down;
	if (agent->admin != before.admin || agent->is_down != before.is_down)
		agent->stopped_ms = now_ms;
	if (agent->is_down && !before.is_down && backend->health == BERTH_HEALTH_UP)
		backend->down_since_ms = now_ms;
	if (agent->admin != admin || agent->is_down != is_down) {
		const uint64_t due_ms = agent->stopped_ms ? agent->stopped_ms + BERTH_AGENT_REST_MS : now_ms;
		if (due_ms <= now_ms) {
			agent->admin = admin;
			agent->is_down = is_down;
		} else if (due_ms < *next_ms) {
			*next_ms = due_ms;
		}
	}
	return agent->admin != before.admin || agent->is_down != before.is_down;
}

void berth_agent_save(const struct berth_model_backend *backend, struct berth_record_agent *record)
{
	const struct berth_agent_part *agent = &backend->agent;
	*record = (struct berth_record_agent){0};
	if (!berth_agent_says_anything(&agent->said) && !agent->withheld)
		return;
	record->said = (uint8_t)(agent->said.admin | agent->said.health << HEALTH_SHIFT |
				 (agent->said.has_percent ? HAS_PERCENT : 0));
	record->percent = agent->said.percent;
	record->withheld = (uint16_t)(MIDDLE + agent->withheld);
	record->of = (uint16_t)backend->id;
}

/* A release that does not know of agents leaves these bytes as they are, whatever backend gets the number. */
void berth_agent_restore(struct berth_agent_part *agent, uint64_t id, const struct berth_record_agent *record)
{
	const struct berth_agent_words said = {
		.percent = record->percent,
		.has_percent = (record->said & HAS_PERCENT) != 0,
		.admin = record->said & ADMIN_BITS,
		.health = (record->said & HEALTH_BITS) >> HEALTH_SHIFT,
	};
	const int withheld = record->withheld - MIDDLE;
	if (record->of != (uint16_t)id || !berth_agent_is_valid(&said) || withheld > 100 ||
	    withheld < 100 - BERTH_AGENT_MAX_PERCENT)
		return;
	*agent = (struct berth_agent_part){
		.said = said,
		.admin = admin_of(&said),
		.is_down = said.health == BERTH_AGENT_DOWN,
		.withheld = (int16_t)withheld,
	};
}
