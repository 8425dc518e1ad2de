// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/tables/plan_capacity.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/tables/load.h"

struct sums {
	uint64_t flows;
	uint64_t weight;
	uint64_t max_flows;
	bool is_limited; /* each of them has a maximum */
};

/* But for its load, which the change can change. */
static bool takes_clients(const struct berth_model_backend *backend)
{
	struct berth_model_backend unloaded = *backend;
	unloaded.load = 0;
	return berth_model_eligibility(&unloaded) & BERTH_ELIGIBLE_NEW;
}

/* Over the backends that take new clients, as load.c has it. */
static struct sums sum(const struct berth_model_service *service, struct berth_plan_backend *const *by_number)
{
	struct sums sums = {0};
	size_t n = 0, n_limited = 0;
	for (size_t i = 0; i < service->n_backends; i++) {
		const struct berth_model_backend *backend = &service->backends[i];
		if (!takes_clients(backend))
			continue;
		n++;
		n_limited += backend->config.max_flows != 0;
		sums.flows += by_number[backend->number]->flows_after;
		sums.weight += berth_model_weight_hundredths(backend);
		sums.max_flows += backend->config.max_flows;
	}
	sums.is_limited = n > 0 && n == n_limited;
	return sums;
}

static enum berth_plan_load load_after(const struct berth_model_service *service,
				       const struct berth_model_backend *backend, uint64_t flows,
				       const struct sums *sums)
{
	if (backend->config.max_flows && flows >= backend->config.max_flows)
		return BERTH_PLAN_AT_LIMIT;
	if (service->config.bound_percent &&
	    berth_load_is_over_share(flows, berth_model_weight_hundredths(backend), sums->flows, sums->weight,
				     service->config.bound_percent))
		return BERTH_PLAN_OVER_SHARE;
	return BERTH_PLAN_HAS_ROOM;
}

static void add_response(const struct berth_model_service *service, const struct berth_model_backend *backend,
			 struct berth_plan_backend *entry)
{
	if (service->config.scheduler != BERTH_SCHEDULE_RESPONSE_TIME)
		return;
	entry->response_us = backend->response_us;
	entry->is_by_connections = backend->is_by_connections;
	const uint32_t unit = berth_model_load_unit(berth_model_weight_hundredths(backend),
						    berth_model_max_weight_hundredths(service));
	entry->weighted_load_after = berth_load_timed(entry->flows_after, unit, backend->response_us);
}

static void add_service(struct berth_plan *plan, const struct berth_model_service *service,
			struct berth_plan_backend *const *by_number)
{
	const struct sums sums = sum(service, by_number);
	for (size_t i = 0; i < service->n_backends; i++) {
		struct berth_plan_backend *entry = by_number[service->backends[i].number];
		entry->max_flows = service->backends[i].config.max_flows;
		entry->weight = service->backends[i].config.weight;
		entry->weight_hundredths = berth_model_weight_hundredths(&service->backends[i]);
		entry->load_after = load_after(service, &service->backends[i], entry->flows_after, &sums);
		add_response(service, &service->backends[i], entry);
	}
	if (!sums.is_limited)
		return;
	struct berth_plan_service *limited = &plan->limited[plan->n_limited++];
	memcpy(limited->name, service->config.name, sizeof(limited->name));
	limited->flows = (struct berth_plan_use){.used = sums.flows, .limit = sums.max_flows};
}

int berth_plan_add_capacity(struct berth_plan *plan, const struct berth_model *after,
			    struct berth_plan_backend *const *by_number)
{
	const struct berth_limits *limits = &after->config->limits;
	plan->limited = calloc(after->n_services + 1, sizeof(*plan->limited));
	if (!plan->limited)
		return -ENOMEM;
	plan->table_flows.limit = limits->flows;
	plan->table_sessions.limit = limits->sessions;
	plan->table_services = (struct berth_plan_use){.used = after->n_services, .limit = limits->services};
	plan->table_backends.limit = limits->backends;
	for (size_t i = 0; i < after->n_services; i++) {
		plan->table_backends.used += after->services[i].n_backends;
		add_service(plan, &after->services[i], by_number);
	}
	for (size_t i = 0; i < plan->n; i++) {
		const struct berth_plan_backend *entry = &plan->backends[i];
		plan->table_flows.used += entry->flows.live - entry->lost_flows;
		plan->table_sessions.used += entry->sessions.live - entry->sessions.leaving +
					     entry->sessions.arriving - entry->cleared;
	}
	return 0;
}
