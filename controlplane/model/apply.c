// SPDX-License-Identifier: BSD-3-Clause
/* Applies a configuration to a model. Services and backends that stay keep their state. */
#include "controlplane/model/agent.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/model/groups.h"

/* The new services and numbers, before they replace those of the model. */
struct model_draft {
	struct berth_model_service *services;
	size_t n_services;
	struct berth_model_service *groups;
	size_t n_groups;
	struct berth_numbers service_numbers;
	struct berth_numbers backend_numbers;
	uint32_t service_hint;
	uint32_t backend_hint;
	/* Adopted numbers by id; empty unless the model is adopted. */
	struct berth_id_map adopted_services;
	struct berth_id_map adopted_backends;
};

static void draft_free(struct model_draft *draft)
{
	berth_model_services_free(draft->services, draft->n_services);
	berth_model_services_free(draft->groups, draft->n_groups);
	berth_numbers_free(&draft->service_numbers);
	berth_numbers_free(&draft->backend_numbers);
}

static void forget_adopted(struct model_draft *draft)
{
	berth_id_map_free(&draft->adopted_services);
	berth_id_map_free(&draft->adopted_backends);
}

/* The number that `id` had; 0: none. */
static uint32_t adopted_number(const struct berth_id_map *numbers, uint64_t id)
{
	uint64_t number;
	return berth_id_map_find(numbers, id, &number) ? (uint32_t)number : 0;
}

/* Searches from `at` on, because the order of services rarely changes. NULL: not found. */
static struct berth_model_service *service_by_id(struct berth_model_service *services, size_t n, uint64_t id,
						 size_t at)
{
	for (size_t i = 0; i < n; i++, at++) {
		at = at < n ? at : 0;
		if (services[at].id == id)
			return &services[at];
	}
	return NULL;
}

static void restore(struct berth_model_backend *backend, const struct berth_adopted_backend *adopted)
{
	backend->admin = adopted->admin;
	backend->forced = adopted->forced;
	backend->health = adopted->health;
	backend->is_kept = adopted->is_kept;
	backend->load = adopted->load;
	backend->evict_at = adopted->evict_at;
	backend->next_hop = adopted->next_hop;
	backend->agent = adopted->agent;
}

/* The address changed: it may belong to another server. The operator's settings stay. */
static void forget_server(struct berth_model_backend *backend)
{
	backend->health = BERTH_HEALTH_UNKNOWN;
	backend->down_since_ms = 0;
	backend->is_kept = backend->is_kept_for_clients = false;
	backend->after_panic_ms = 0;
	backend->agent = (struct berth_agent_part){0};
	backend->response_us = 0;
	backend->connect = (struct berth_connect_time){0};
	backend->next_hop.is_resolved = false;
	backend->reported_mtu = 0;
}

/* Mostly it has the place in the service that it had before. NULL: the model does not have it. */
static const struct berth_model_backend *find_before(const struct berth_model *model,
						     const struct berth_model_service *old, size_t at, uint64_t id)
{
	return old && at < old->n_backends && old->backends[at].id == id
		       ? &old->backends[at]
		       : berth_model_backend_by_id(model, id, NULL);
}

/* Takes over what is known of the backend before, as far as it is of the same server. */
static void follow(struct berth_model_backend *backend, const struct berth_model *model,
		   const struct berth_model_backend *before, const struct berth_backend_config *config)
{
	*backend = *before;
	backend->config = *config;
	if (before->config.weight != config->weight)
		backend->changed_at_scan = model->scans;
	if (!berth_addr_equal(&before->config.address, &config->address))
		forget_server(backend);
}

/* `old`: its service before, or NULL; `at`: its place in its service. */
static int draft_backend(struct model_draft *draft, const struct berth_model *model,
			 const struct berth_backend_config *config, uint64_t service_id,
			 const struct berth_model_service *old, size_t at, struct berth_model_backend *backend)
{
	uint64_t id = berth_backend_id(service_id, config->name);
	const struct berth_model_backend *before = find_before(model, old, at, id);
	uint32_t had = before ? before->number : adopted_number(&draft->adopted_backends, id);
	if (before)
		follow(backend, model, before, config);
	else /* Slow start is for backends that are added later, not for those of the first configuration. */
		*backend = (struct berth_model_backend){.config = *config,
							.id = id,
							.is_slow_start_due = model->config != NULL,
							.changed_at_scan = model->scans};
	backend->number = berth_numbers_allocate(&draft->backend_numbers, id, had, &draft->backend_hint);
	backend->session_number = backend->number;
	if (!backend->number)
		return -ENOSPC;
	if (before || !had)
		return 0;
	restore(backend, &model->adopted_backends[had]);
	if (!berth_addr_equal(&model->adopted_backends[had].address, &config->address))
		forget_server(backend);
	return 0;
}

static int by_name(const void *left, const void *right)
{
	const struct berth_model_backend *a = *(const struct berth_model_backend *const *)left;
	const struct berth_model_backend *b = *(const struct berth_model_backend *const *)right;
	return strcmp(a->config.name, b->config.name);
}

static bool has_backup(const struct berth_model_service *service)
{
	for (size_t i = 0; i < service->n_backends; i++)
		if (service->backends[i].config.backup[0] || service->backends[i].backup)
			return true;
	return false;
}

static int find_backups(struct berth_model_service *service)
{
	size_t n = service->n_backends;
	if (!has_backup(service))
		return 0;
	const struct berth_model_backend **sorted = calloc(n ? n : 1, sizeof(void *));
	if (!sorted)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		sorted[i] = &service->backends[i];
	qsort(sorted, n, sizeof(void *), by_name);
	for (size_t i = 0; i < n; i++) {
		struct berth_model_backend wanted = {0};
		const struct berth_model_backend *key = &wanted, **found;
		memcpy(wanted.config.name, service->backends[i].config.backup, sizeof(wanted.config.name));
		found = bsearch(&key, sorted, n, sizeof(void *), by_name);
		service->backends[i].backup = found ? (*found)->number : 0;
	}
	free(sorted);
	return 0;
}

/* What is known of it, and what has been logged. */
static void take_over(struct berth_model_service *service, const struct berth_model_service *old)
{
	service->panic = old->panic;
	service->panic_since_ms = old->panic_since_ms;
	service->panic_updated_ms = old->panic_updated_ms;
	service->after_panic_until_ms = old->after_panic_until_ms;
	service->after_panic_lost = old->after_panic_lost;
	service->panic_logged = old->panic_logged;
	service->after_panic_logged = old->after_panic_logged;
	service->after_panic_lost_logged = old->after_panic_lost_logged;
	service->had_eligible = old->had_eligible;
	service->no_eligible = old->no_eligible;
	service->is_health_known = old->is_health_known;
	service->is_limited = old->is_limited;
	service->is_limited_known = old->is_limited_known;
	service->limited = old->limited;
	service->limited_ms = old->limited_ms;
}

/* `old`: the service before; NULL: it is new. */
static int draft_service(struct model_draft *draft, const struct berth_model *model,
			 const struct berth_service_config *config, uint64_t id,
			 const struct berth_model_service *old, struct berth_model_service *service)
{
	uint32_t had = old ? old->number : adopted_number(&draft->adopted_services, id);
	*service = (struct berth_model_service){
		.config = *config,
		.id = id,
		.session_key = (uint32_t)(berth_service_seed(config) >> 32),
	};
	service->config.backends = NULL;
	service->config.sources = NULL;
	service->number = berth_numbers_allocate(&draft->service_numbers, id, had, &draft->service_hint);
	service->session_service = service->number;
	if (!service->number)
		return -ENOSPC;
	if (old)
		take_over(service, old);
	service->backends = calloc(config->n_backends ? config->n_backends : 1, sizeof(*service->backends));
	if (!service->backends)
		return -ENOMEM;
	for (size_t i = 0; i < config->n_backends; i++) {
		int err = draft_backend(draft, model, &config->backends[i], id, old, i, &service->backends[i]);
		if (err)
			return err;
		service->n_backends++;
		if (!config->health->agent_port)
			berth_agent_forget(&service->backends[i]);
		service->has_max_flows |= config->backends[i].max_flows != 0;
	}
	return find_backups(service);
}

static int draft_services(struct model_draft *draft, const struct berth_model *model,
			  const struct berth_config *config)
{
	int err = 0;
	draft->services = calloc(config->n_services ? config->n_services : 1, sizeof(*draft->services));
	if (!draft->services)
		return -ENOMEM;
	for (size_t i = 0; i < config->n_services && !err; i++) {
		uint64_t id = berth_service_id(&config->services[i]);
		draft->n_services++; /* before a failure, so that it is freed */
		err = draft_service(draft, model, &config->services[i], id,
				    service_by_id(model->services, model->n_services, id, i), &draft->services[i]);
	}
	return err;
}

static int draft_groups(struct model_draft *draft, const struct berth_model *model,
			const struct berth_config *config)
{
	struct berth_group_configs groups;
	int err = berth_group_configs_make(&groups, config);
	draft->groups = calloc(groups.n ? groups.n : 1, sizeof(*draft->groups));
	if (!draft->groups)
		err = -ENOMEM;
	for (size_t i = 0; i < groups.n && !err; i++) {
		uint64_t id = berth_group_id(groups.configs[i].name);
		draft->n_groups++;
		err = draft_service(draft, model, &groups.configs[i], id,
				    service_by_id(model->groups, model->n_groups, id, i), &draft->groups[i]);
	}
	berth_group_configs_clear(&groups);
	if (!err)
		berth_groups_link(draft->groups, draft->n_groups, draft->services, draft->n_services);
	return err;
}

static int index_numbers(struct berth_id_map *map, const struct berth_numbers *numbers)
{
	if (berth_id_map_init(map, numbers->size))
		return -ENOMEM;
	for (uint32_t n = 1; n < numbers->size; n++)
		if (numbers->id[n])
			berth_id_map_add(map, numbers->id[n], n);
	return 0;
}

static int index_adopted(struct model_draft *draft)
{
	return index_numbers(&draft->adopted_services, &draft->service_numbers) ||
			       index_numbers(&draft->adopted_backends, &draft->backend_numbers)
		       ? -ENOMEM
		       : 0;
}

static int draft_make(struct model_draft *draft, const struct berth_model *model,
		      const struct berth_geometry *geometry, const struct berth_config *config)
{
	*draft = (struct model_draft){.service_hint = 1, .backend_hint = 1};
	if (berth_numbers_copy(&draft->service_numbers, &model->service_numbers, geometry->services) ||
	    berth_numbers_copy(&draft->backend_numbers, &model->backend_numbers,
			       berth_model_backend_numbers(geometry)))
		return -ENOMEM;
	int err = model->adopted_backends ? index_adopted(draft) : 0;
	if (!err)
		err = draft_services(draft, model, config);
	if (!err)
		err = draft_groups(draft, model, config);
	forget_adopted(draft);
	if (err)
		return err;
	berth_numbers_release_unused(&draft->service_numbers);
	berth_numbers_release_unused(&draft->backend_numbers);
	return 0;
}

static void drop_own_rows(struct berth_model_service *service)
{
	if (!service->rows_are_shared)
		free(service->rows);
	if (!service->former_is_shared)
		free(service->former);
	service->rows = NULL;
	service->former = NULL;
	service->rows_are_shared = service->former_is_shared = false;
}

static void share_service(struct berth_model_service *service, const struct berth_model_service *old)
{
	if (!old || !old->rows || old->config.table_size != service->config.table_size)
		return;
	drop_own_rows(service);
	service->rows = old->rows;
	service->former = service->config.second_hop_s ? old->former : NULL;
	service->former_is_shared = service->former != NULL;
	service->rows_are_shared = true;
	service->n_rows = old->n_rows;
	service->rows_version = old->rows_version;
	service->rows_inputs_hash = old->rows_inputs_hash;
}

void berth_model_share_rows(struct berth_model *stage, const struct berth_model *model)
{
	for (size_t i = 0; i < stage->n_services; i++) {
		struct berth_model_service *service = &stage->services[i];
		share_service(service, service_by_id(model->services, model->n_services, service->id, i));
	}
}

/* The group's numbers and the next hop are of the stage. */
static void refresh_backend(struct berth_model_backend *backend, const struct berth_model *model,
			    const struct berth_model_backend *before)
{
	const struct berth_model_backend staged = *backend;
	follow(backend, model, before, &staged.config);
	backend->number = staged.number;
	backend->session_number = staged.session_number;
	backend->backup = staged.backup;
	if (!berth_addr_equal(&before->config.address, &staged.config.address))
		backend->next_hop = staged.next_hop;
}

static void refresh_service(struct berth_model_service *service, const struct berth_model *model,
			    const struct berth_model_service *old)
{
	if (old)
		take_over(service, old);
	for (size_t i = 0; i < service->n_backends; i++) {
		struct berth_model_backend *backend = &service->backends[i];
		const struct berth_model_backend *before = find_before(model, old, i, backend->id);
		if (before)
			refresh_backend(backend, model, before);
		else
			backend->changed_at_scan = model->scans;
		if (!service->config.health->agent_port)
			berth_agent_forget(backend);
	}
}

void berth_model_refresh(struct berth_model *stage, const struct berth_model *model)
{
	for (size_t i = 0; i < stage->n_services; i++)
		refresh_service(&stage->services[i], model,
				service_by_id(model->services, model->n_services, stage->services[i].id, i));
	for (size_t i = 0; i < stage->n_groups; i++)
		refresh_service(&stage->groups[i], model,
				service_by_id(model->groups, model->n_groups, stage->groups[i].id, i));
	stage->scans = model->scans;
}

void berth_model_renew_rows(struct berth_model *stage, const struct berth_model *model)
{
	stage->rows_version = model->rows_version;
	for (size_t i = 0; i < stage->n_services; i++) {
		struct berth_model_service *service = &stage->services[i];
		/* The rows before, which are those of `former`, may be others now. */
		if (service->config.second_hop_s)
			drop_own_rows(service);
		if (!service->rows || service->rows_are_shared)
			share_service(service, service_by_id(model->services, model->n_services, service->id, i));
		else
			service->rows_version = ++stage->rows_version;
	}
}

/* An interface keeps what is known of it at its new place in the list. */
static void share_ports(struct berth_model *stage, const struct berth_model *model)
{
	if (!model->config)
		return;
	memset(stage->ports, 0, sizeof(stage->ports));
	for (size_t i = 0; i < stage->config->n_interfaces; i++)
		for (size_t j = 0; j < model->config->n_interfaces; j++)
			if (strcmp(stage->config->interfaces[i].name, model->config->interfaces[j].name) == 0)
				stage->ports[i] = model->ports[j];
}

static bool needs_load(const struct berth_model *model)
{
	for (size_t i = 0; i < model->n_services; i++) {
		const struct berth_model_service *service = &model->services[i];
		if (service->config.bound_percent || service->has_max_flows ||
		    berth_schedule_compares_loads(service->config.scheduler))
			return true;
	}
	return false;
}

int berth_model_stage(struct berth_model *stage, const struct berth_model *model,
		      const struct berth_geometry *geometry, struct berth_config *config,
		      char error[BERTH_ERROR_BYTES])
{
	struct model_draft draft;
	int err = draft_make(&draft, model, geometry, config);
	*stage = (struct berth_model){
		.services = draft.services,
		.n_services = draft.n_services,
		.groups = draft.groups,
		.n_groups = draft.n_groups,
	};
	if (!err)
		err = berth_model_index(stage);
	if (err) {
		*stage = (struct berth_model){0};
		snprintf(error, BERTH_ERROR_BYTES,
			 err == -ENOSPC ? "the tables are full: more services or backends than limits.services and "
					  "limits.backends, counting those removed in the last seconds; raise the "
					  "limits, or try again in a few seconds"
					: "out of memory");
		draft_free(&draft);
		return err;
	}
	berth_model_share_rows(stage, model);
	const struct berth_id_map places = stage->backend_places;
	*stage = *model;
	stage->backend_places = places;
	stage->adopted_backends = NULL;
	stage->config = config;
	share_ports(stage, model);
	stage->services = draft.services;
	stage->n_services = draft.n_services;
	stage->needs_load = needs_load(stage);
	stage->groups = draft.groups;
	stage->n_groups = draft.n_groups;
	stage->service_numbers = draft.service_numbers;
	stage->backend_numbers = draft.backend_numbers;
	return 0;
}

void berth_model_drop(struct berth_model *stage)
{
	for (size_t i = 0; i < stage->n_services; i++) {
		struct berth_model_service *service = &stage->services[i];
		drop_own_rows(service);
	}
	berth_model_clear(stage);
}

void berth_model_exchange(struct berth_model *model, struct berth_model *stage)
{
	const struct berth_model former = *model;
	for (size_t i = 0; i < stage->n_services; i++) {
		struct berth_model_service *service = &stage->services[i];
		struct berth_model_service *old = service_by_id(model->services, model->n_services, service->id, i);
		if (service->rows_are_shared)
			old->rows = NULL;
		if (service->former_is_shared)
			old->former = NULL;
		service->rows_are_shared = service->former_is_shared = false;
	}
	*model = *stage;
	*stage = former;
}

void berth_model_commit(struct berth_model *model, struct berth_model *stage)
{
	berth_model_exchange(model, stage);
	berth_model_clear(stage);
}

int berth_model_apply(struct berth_model *model, struct berth_config *config, char error[BERTH_ERROR_BYTES])
{
	const struct berth_geometry geometry = {.services = model->service_numbers.size,
						.backends = model->backend_numbers.size};
	struct berth_model stage;
	int err = berth_model_stage(&stage, model, &geometry, config, error);
	if (!err)
		berth_model_commit(model, &stage);
	return err;
}
