// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/model/slow_start.h"

enum {
	STEPS = 10,
};

/* Tenths that do not count after `age_ms` of `over_ms`: the first tenth counts from the beginning. */
static uint8_t chill_at(uint64_t age_ms, uint32_t over_ms)
{
	uint64_t done = over_ms ? age_ms * STEPS / over_ms : STEPS;
	return (uint8_t)(done >= STEPS ? 0 : done == 0 ? STEPS - 1 : STEPS - done);
}

/* When the step after that one is due. */
static uint64_t step_after(uint64_t since_ms, uint64_t now_ms, uint32_t over_ms)
{
	uint64_t done = (now_ms - since_ms) * STEPS / over_ms;
	return since_ms + ((done + 1) * over_ms + STEPS - 1) / STEPS;
}

static void note_use(struct berth_model_backend *backend, uint32_t over_ms, uint64_t now_ms)
{
	if (!berth_model_eligibility(backend)) {
		/* What is not probed yet may never have been away. */
		backend->cold |= berth_model_health(backend) != BERTH_HEALTH_UNKNOWN;
		backend->rising_ms = 0;
	} else if (backend->cold) {
		backend->cold = false;
		/* Who is kept in a panic was not away. */
		backend->rising_ms = over_ms && !backend->kept ? now_ms : 0;
	}
}

static bool step(struct berth_model_backend *backend, uint32_t over_ms, uint64_t now_ms, uint64_t *next_ms)
{
	uint8_t before = backend->chill;
	note_use(backend, over_ms, now_ms);
	backend->chill = backend->rising_ms ? chill_at(now_ms - backend->rising_ms, over_ms) : 0;
	if (!backend->chill)
		backend->rising_ms = 0;
	uint64_t next = backend->rising_ms ? step_after(backend->rising_ms, now_ms, over_ms) : UINT64_MAX;
	if (next < *next_ms)
		*next_ms = next;
	return backend->chill != before;
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
