// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/model/slow_start.h"

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

static bool step(struct berth_model_backend *backend, uint32_t over_ms, uint64_t now_ms, uint64_t *next_ms)
{
	uint8_t before = backend->withheld_tenths;
	follow_eligibility(backend, over_ms, now_ms);
	uint64_t since_ms = backend->slow_start_since_ms;
	backend->withheld_tenths = since_ms ? withheld_at(now_ms - since_ms, over_ms) : 0;
	if (!backend->withheld_tenths)
		backend->slow_start_since_ms = since_ms = 0;
	uint64_t next = since_ms ? next_step_ms(since_ms, now_ms, over_ms) : UINT64_MAX;
	if (next < *next_ms)
		*next_ms = next;
	return backend->withheld_tenths != before;
}

bool berth_slow_start_step(struct berth_model *model, uint64_t now_ms, uint64_t *next_ms)
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
