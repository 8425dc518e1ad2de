// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/saved/operator_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void berth_operator_state_clear(struct berth_operator_state *state)
{
	free(state->backends);
	free(state->pins);
	free(state->records);
	*state = (struct berth_operator_state){0};
}

static bool is_set(const struct berth_model_backend *backend)
{
	return backend->admin != BERTH_ADMIN_ENABLED || backend->forced != BERTH_FORCED_NOT;
}

static size_t count_set(const struct berth_model *model)
{
	size_t n = 0;
	for (size_t i = 0; i < model->n_services; i++)
		for (size_t j = 0; j < model->services[i].n_backends; j++)
			n += is_set(&model->services[i].backends[j]);
	return n;
}

static struct berth_saved_backend save_backend(const struct berth_model_service *service,
					       const struct berth_model_backend *backend,
					       const struct berth_saved_time *now)
{
	struct berth_saved_backend saved = {.admin = backend->admin, .forced = backend->forced};
	memcpy(saved.service, service->config.name, sizeof(saved.service));
	memcpy(saved.backend, backend->config.name, sizeof(saved.backend));
	if (!backend->evict_at)
		return saved;
	saved.drain_left = backend->evict_at > now->monotonic ? backend->evict_at - now->monotonic : 0;
	saved.evict_at = now->unix_s + saved.drain_left;
	return saved;
}

/* False: its backend is not configured. */
static bool save_pin(const struct berth_model *model, const struct berth_pin *pin, struct berth_saved_pin *saved)
{
	struct berth_model_service *service = NULL;
	const struct berth_model_backend *backend = berth_model_backend_by_id(model, pin->backend, &service);
	if (!backend)
		return false;
	*saved = (struct berth_saved_pin){.client = pin->client, .bits = pin->bits};
	saved->is_group = service == berth_model_group(model, service->config.name);
	memcpy(saved->service, service->config.name, sizeof(saved->service));
	memcpy(saved->backend, backend->config.name, sizeof(saved->backend));
	return true;
}

int berth_operator_state_collect(struct berth_operator_state *state, const struct berth_model *model,
				 const struct berth_pins *pins, const struct berth_saved_time *now)
{
	const size_t n = count_set(model);
	*state = (struct berth_operator_state){
		.backends = calloc(n + 1, sizeof(*state->backends)),
		.pins = calloc(pins->n + 1, sizeof(*state->pins)),
	};
	if (!state->backends || !state->pins) {
		berth_operator_state_clear(state);
		return -ENOMEM;
	}
	for (size_t i = 0; i < model->n_services; i++)
		for (size_t j = 0; j < model->services[i].n_backends; j++)
			if (is_set(&model->services[i].backends[j]))
				state->backends[state->n_backends++] = save_backend(
					&model->services[i], &model->services[i].backends[j], now);
	for (size_t i = 0; i < pins->n; i++)
		state->n_pins += save_pin(model, &pins->list[i], &state->pins[state->n_pins]);
	return 0;
}

/* NULL: not configured. */
static struct berth_model_backend *find(const struct berth_model *model, const char *service_name,
					const char *backend_name)
{
	struct berth_model_service *found = berth_model_service(model, service_name);
	return found ? berth_model_backend(found, backend_name) : NULL;
}

/* 0 means none, so a deadline that has passed is at least 1. */
uint32_t berth_saved_deadline(int64_t evict_at, int64_t most_left, const struct berth_saved_time *now)
{
	int64_t left = evict_at - now->unix_s;
	if (most_left >= 0 && left > most_left)
		left = most_left;
	if (left < 1 - (int64_t)now->monotonic)
		return 1;
	return left > UINT32_MAX - (int64_t)now->monotonic ? UINT32_MAX : (uint32_t)(left + now->monotonic);
}

size_t berth_operator_state_restore(const struct berth_operator_state *state, const struct berth_model *model,
				    const struct berth_saved_time *now)
{
	size_t dropped = 0;
	for (size_t i = 0; i < state->n_backends; i++) {
		const struct berth_saved_backend *saved = &state->backends[i];
		struct berth_model_backend *backend = find(model, saved->service, saved->backend);
		if (backend) {
			berth_model_set_admin(
				model, backend, saved->admin,
				saved->evict_at ? berth_saved_deadline(saved->evict_at, saved->drain_left, now)
						: 0);
			backend->forced = saved->forced;
		} else {
			dropped++;
		}
	}
	return dropped;
}

int berth_operator_state_restore_pins(const struct berth_operator_state *state, const struct berth_model *model,
				      struct berth_pins *pins)
{
	int dropped = 0;
	for (size_t i = 0; i < state->n_pins; i++) {
		const struct berth_saved_pin *saved = &state->pins[i];
		struct berth_model_service *service = saved->is_group ? berth_model_group(model, saved->service)
								      : berth_model_service(model, saved->service);
		const struct berth_model_backend *backend = service ? berth_model_backend(service, saved->backend)
								    : NULL;
		if (!backend || service->config.affinity != BERTH_AFFINITY_CLIENT) {
			dropped++;
			continue;
		}
		const struct berth_pin pin = {service->id, backend->id, saved->client, saved->bits};
		if (berth_pins_set(pins, model, &pin))
			return -ENOMEM;
	}
	return dropped;
}
