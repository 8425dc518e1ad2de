// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/saved/pins.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct berth_model_service *service_by_id(const struct berth_model *model, uint64_t id)
{
	for (size_t i = 0; i < model->n_services; i++)
		if (model->services[i].id == id)
			return &model->services[i];
	return NULL;
}

/* The id under which a service's pins are kept: services of a group share their sessions, so a client has one pin
 * in all of them, whichever services the group has. */
static uint64_t session_id(const struct berth_model *model, uint64_t id)
{
	const struct berth_model_service *service = service_by_id(model, id);
	return service && service->config.group[0] ? berth_group_id(service->config.group) : id;
}

static struct berth_pin normalize(const struct berth_model *model, const struct berth_pin *pin)
{
	struct berth_pin normal = *pin;
	const struct berth_model_backend *backend = berth_model_backend_by_id(model, pin->backend, NULL);
	normal.service = session_id(model, pin->service);
	if (backend && normal.service != pin->service)
		normal.backend = berth_backend_id(normal.service, backend->config.name);
	return normal;
}

void berth_pins_clear(struct berth_pins *pins)
{
	free(pins->list);
	*pins = (struct berth_pins){0};
}

bool berth_pins_remove(struct berth_pins *pins, const struct berth_model *model, uint64_t service,
		       const union berth_addr *client)
{
	const uint64_t id = session_id(model, service);
	for (size_t i = 0; i < pins->n; i++) {
		if (!berth_addr_equal(&pins->list[i].client, client) || pins->list[i].service != id)
			continue;
		memmove(&pins->list[i], &pins->list[i + 1], (pins->n - i - 1) * sizeof(*pins->list));
		pins->n--;
		return true;
	}
	return false;
}

int berth_pins_set(struct berth_pins *pins, const struct berth_model *model, const struct berth_pin *pin)
{
	struct berth_pin *list = realloc(pins->list, (pins->n + 1) * sizeof(*list));
	if (!list)
		return -ENOMEM;
	pins->list = list;
	berth_pins_remove(pins, model, pin->service, &pin->client);
	pins->list[pins->n++] = normalize(model, pin);
	return 0;
}

static bool is_configured(const struct berth_model *model, const struct berth_pin *pin)
{
	struct berth_model_service *service = NULL;
	return berth_model_backend_by_id(model, pin->backend, &service) && service->id == pin->service;
}

size_t berth_pins_prune(struct berth_pins *pins, const struct berth_model *model)
{
	size_t n = 0, before = pins->n;
	for (size_t i = 0; i < before; i++)
		if (is_configured(model, &pins->list[i]))
			pins->list[n++] = pins->list[i];
	pins->n = n;
	return before - n;
}
