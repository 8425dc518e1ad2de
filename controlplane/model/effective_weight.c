// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/model/effective_weight.h"

enum {
	STEPS = 10,
};

/* Tenths of the weight withheld `age_ms` after the begin of a slow start of `over_ms`. The first tenth counts at
 * once. */
static uint8_t withheld_at(uint64_t age_ms, uint32_t over_ms)
{
	uint64_t done = over_ms ? age_ms * STEPS / over_ms : STEPS;
	return (uint8_t)(done >= STEPS ? 0 : done == 0 ? STEPS - 1 : STEPS - done);
}

/* The time of the next step. */
static uint64_t next_step_ms(uint64_t since_ms, uint64_t now_ms, uint32_t over_ms)
{
	uint64_t done = (now_ms - since_ms) * STEPS / over_ms;
	return since_ms + ((done + 1) * over_ms + STEPS - 1) / STEPS;
}

/* Begins a slow start when the backend becomes eligible, and ends it when it is not any more. */
static void follow_eligibility(struct berth_model_backend *backend, uint32_t over_ms, uint64_t now_ms)
{
	if (!berth_model_eligibility(backend)) {
		/* A backend not probed yet may have been in use before berthd started. */
		backend->is_slow_start_due |= berth_model_health(backend) != BERTH_HEALTH_UNKNOWN;
		backend->slow_start_since_ms = 0;
	} else if (backend->is_slow_start_due) {
		backend->is_slow_start_due = false;
		/* A backend kept in a panic was never out of use. */
		backend->slow_start_since_ms = over_ms && !backend->is_kept ? now_ms : 0;
	}
}

/* Tenths of the weight that its slow start withholds; lowers *next_ms to the next step. */
static uint8_t follow_slow_start(struct berth_model_backend *backend, uint32_t over_ms, uint64_t now_ms,
				 uint64_t *next_ms)
{
	follow_eligibility(backend, over_ms, now_ms);
	const uint64_t since_ms = backend->slow_start_since_ms;
	const uint8_t withheld = since_ms ? withheld_at(now_ms - since_ms, over_ms) : 0;
	if (!withheld) {
		backend->slow_start_since_ms = 0;
		return 0;
	}
	const uint64_t next = next_step_ms(since_ms, now_ms, over_ms);
	*next_ms = next < *next_ms ? next : *next_ms;
	return withheld;
}

/* When the next step of the agent's part by `change` percent is due. The same moment for all backends: their table
 * is then built once. */
static uint64_t agent_step_due_ms(const struct berth_agent_part *part, int change, uint32_t over_ms)
{
	const uint64_t least_ms = over_ms / STEPS,
		       step_ms = least_ms > BERTH_AGENT_STEP_MS ? least_ms : BERTH_AGENT_STEP_MS;
	if (!part->stepped_ms)
		return 0;
	const bool is_small = change > -BERTH_AGENT_SMALL_PERCENT && change < BERTH_AGENT_SMALL_PERCENT;
	const bool is_back = (change > 0) != part->is_rising;
	const uint64_t due_ms = part->stepped_ms + step_ms * (is_small || is_back ? BERTH_AGENT_REST_STEPS : 1);
	return (due_ms + step_ms - 1) / step_ms * step_ms;
}

static int limit_step(int change)
{
	return change > BERTH_AGENT_STEP_PERCENT    ? BERTH_AGENT_STEP_PERCENT
	       : change < -BERTH_AGENT_STEP_PERCENT ? -BERTH_AGENT_STEP_PERCENT
						    : change;
}

/* One step towards what the agent says; lowers *next_ms to the next one. */
static void follow_agent(struct berth_agent_part *part, uint32_t over_ms, uint64_t now_ms, uint64_t *next_ms)
{
	const int target = 100 - berth_agent_percent(&part->said);
	int change = part->withheld - target;
	if (change && agent_step_due_ms(part, change, over_ms) <= now_ms) {
		part->withheld = (int16_t)(part->withheld - limit_step(change));
		part->is_rising = change > 0;
		part->stepped_ms = now_ms;
		change = part->withheld - target;
	}
	const uint64_t due_ms = change ? agent_step_due_ms(part, change, over_ms) : UINT64_MAX;
	*next_ms = due_ms < *next_ms ? due_ms : *next_ms;
}

/* A weight that is not 0 does not become 0 by a slow start. */
static int16_t withheld_percent(int agent_percent, uint8_t slow_start_tenths)
{
	return (int16_t)(100 - (agent_percent * (STEPS - slow_start_tenths) + STEPS - 1) / STEPS);
}

static bool step(struct berth_model_backend *backend, uint32_t over_ms, uint64_t now_ms, uint64_t *next_ms)
{
	const int16_t before = backend->withheld_percent;
	const uint8_t tenths = follow_slow_start(backend, over_ms, now_ms, next_ms);
	follow_agent(&backend->agent, over_ms, now_ms, next_ms);
	backend->withheld_percent = withheld_percent(100 - backend->agent.withheld, tenths);
	return backend->withheld_percent != before;
}

bool berth_effective_weight_step(struct berth_model *model, uint64_t now_ms, uint64_t *next_ms)
{
	bool changed = false;
	*next_ms = UINT64_MAX;
	for (size_t i = 0; i < model->n_services; i++) {
		const struct berth_model_service *service = &model->services[i];
		for (size_t j = 0; j < service->n_backends; j++)
			changed |= step(&service->backends[j], service->config.slow_start_ms, now_ms, next_ms);
	}
	return changed;
}
