// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/model/model.h"

#include <netinet/in.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "controlplane/util/address.h"

uint64_t berth_service_id(const struct berth_service_config *service)
{
	struct {
		union berth_addr address;
		uint32_t port;
		uint32_t protocol;
	} key = {service->address, service->port, service->protocol};
	uint64_t id = XXH64(&key, sizeof(key), 0);
	/* Only for prefixes and port ranges, so that the ids of other services do not change. */
	if (service->bits != BERTH_ADDRESS_BITS || service->last_port != service->port) {
		const uint32_t more[2] = {service->bits, service->last_port};
		id = XXH64(more, sizeof(more), id);
	}
	return id ? id : 1;
}

uint64_t berth_backend_id(uint64_t service_id, const char *name)
{
	uint64_t id = XXH64(name, strlen(name), service_id);
	return id ? id : 1;
}

/* Another seed than that of service ids. */
uint64_t berth_group_id(const char *name)
{
	uint64_t id = XXH64(name, strlen(name), 1);
	return id ? id : 1;
}

uint64_t berth_service_seed(const struct berth_service_config *service)
{
	const char *group = service->group;
	return group[0] ? XXH64(group, strlen(group), 0) : berth_service_id(service);
}

const char *berth_admin_name(enum berth_admin admin)
{
	static const char *const names[] = {"enabled", "draining", "disabled", "flows-only", "evicted"};
	return names[admin];
}

const char *berth_health_name(enum berth_health_state health)
{
	static const char *const names[] = {"unknown", "up", "down"};
	return names[health];
}

enum berth_admin berth_model_admin(const struct berth_model_backend *backend)
{
	return backend->admin == BERTH_ADMIN_ENABLED ? backend->agent.admin : backend->admin;
}

enum berth_health_state berth_model_health(const struct berth_model_backend *backend)
{
	if (backend->forced != BERTH_FORCED_NOT)
		return backend->forced == BERTH_FORCED_UP ? BERTH_HEALTH_UP : BERTH_HEALTH_DOWN;
	return backend->agent.is_down && backend->health == BERTH_HEALTH_UP ? BERTH_HEALTH_DOWN : backend->health;
}

void berth_model_set_admin(const struct berth_model *model, struct berth_model_backend *backend,
			   enum berth_admin admin, uint32_t evict_at)
{
	backend->admin = admin;
	backend->evict_at = evict_at;
	backend->changed_at_scan = model->scans;
}

bool berth_model_set_health(struct berth_model_backend *backend, enum berth_health_state health, uint64_t now_ms)
{
	if (backend->health == health)
		return false;
	if (backend->health == BERTH_HEALTH_UP)
		backend->down_since_ms = now_ms;
	backend->health = health;
	return true;
}

uint8_t berth_model_eligibility(const struct berth_model_backend *backend)
{
	static const uint8_t by_admin[BERTH_ADMIN_COUNT] = {
		[BERTH_ADMIN_ENABLED] = BERTH_ELIGIBLE_ALL,
		[BERTH_ADMIN_DRAINING] = BERTH_ELIGIBLE_FLOWS | BERTH_ELIGIBLE_SESSIONS,
		[BERTH_ADMIN_FLOWS_ONLY] = BERTH_ELIGIBLE_FLOWS,
	};
	bool used = backend->is_kept || berth_model_health(backend) == BERTH_HEALTH_UP;
	uint8_t eligibility = used || backend->is_kept_for_clients ? by_admin[berth_model_admin(backend)] : 0;
	if (berth_model_weight_hundredths(backend) == 0 || !backend->next_hop.is_resolved || !used)
		eligibility &= (uint8_t)~BERTH_ELIGIBLE_NEW;
	return eligibility ? eligibility | backend->load : 0;
}

bool berth_model_is_eligible(const struct berth_model_backend *backend)
{
	return (berth_model_eligibility(backend) & (BERTH_ELIGIBLE_NEW | BERTH_AT_LIMIT)) == BERTH_ELIGIBLE_NEW;
}

uint32_t berth_model_weight_hundredths(const struct berth_model_backend *backend)
{
	return backend->config.weight * (uint32_t)(100 - backend->withheld_percent);
}

uint32_t berth_model_max_weight_hundredths(const struct berth_model_service *service)
{
	uint32_t heaviest = 0;
	for (size_t i = 0; i < service->n_backends; i++)
		if (berth_model_weight_hundredths(&service->backends[i]) > heaviest)
			heaviest = berth_model_weight_hundredths(&service->backends[i]);
	return heaviest;
}

uint32_t berth_model_load_unit(uint32_t weight, uint32_t heaviest)
{
	/* Weights that differ by 1% differ in their units; a load of 2^31 is 33 million flows. The largest unit
	 * lets workers add 32,768 flows to the largest load between two scans. */
	const uint64_t unit = 64, largest = 65536;
	const uint64_t units = weight ? (heaviest * unit + weight / 2) / weight : 0;
	return (uint32_t)(units < largest ? units : largest);
}

bool berth_model_times_connections(const struct berth_model_service *service)
{
	return service->config.scheduler == BERTH_SCHEDULE_RESPONSE_TIME &&
	       service->config.mode == BERTH_MODE_NAT && service->config.protocol == IPPROTO_TCP;
}

void berth_model_scan_ended(struct berth_model *model)
{
	berth_numbers_scan_ended(&model->service_numbers);
	berth_numbers_scan_ended(&model->backend_numbers);
}

/* Words and rows hold 16 bits of backend number. */
uint32_t berth_model_backend_numbers(const struct berth_geometry *geometry)
{
	return geometry->backends > BERTH_MAX_BACKENDS ? BERTH_MAX_BACKENDS + 1 : geometry->backends;
}

int berth_model_init(struct berth_model *model, const struct berth_geometry *geometry)
{
	*model = (struct berth_model){0};
	if (berth_numbers_init(&model->service_numbers, geometry->services) ||
	    berth_numbers_init(&model->backend_numbers, berth_model_backend_numbers(geometry))) {
		berth_model_clear(model);
		return -ENOMEM;
	}
	return 0;
}

void berth_model_services_free(struct berth_model_service *services, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(services[i].backends);
		free(services[i].rows);
		free(services[i].former);
	}
	free(services);
}

void berth_model_release(struct berth_model *model)
{
	berth_model_services_free(model->services, model->n_services);
	berth_model_services_free(model->groups, model->n_groups);
	berth_id_map_free(&model->backend_places);
	berth_numbers_free(&model->service_numbers);
	berth_numbers_free(&model->backend_numbers);
	berth_config_free(model->config);
	free(model->adopted_backends);
}

void berth_model_clear(struct berth_model *model)
{
	berth_model_release(model);
	*model = (struct berth_model){0};
}

struct berth_model_service *berth_model_service(const struct berth_model *model, const char *name)
{
	for (size_t i = 0; i < model->n_services; i++)
		if (strcmp(model->services[i].config.name, name) == 0)
			return &model->services[i];
	return NULL;
}

struct berth_model_backend *berth_model_backend(struct berth_model_service *service, const char *name)
{
	for (size_t i = 0; i < service->n_backends; i++)
		if (strcmp(service->backends[i].config.name, name) == 0)
			return &service->backends[i];
	return NULL;
}

struct berth_model_service *berth_model_group(const struct berth_model *model, const char *name)
{
	for (size_t i = 0; i < model->n_groups; i++)
		if (strcmp(model->groups[i].config.name, name) == 0)
			return &model->groups[i];
	return NULL;
}

/* Services and then groups, as in places. */
static struct berth_model_service *service_at(const struct berth_model *model, size_t at)
{
	return at < model->n_services ? &model->services[at] : &model->groups[at - model->n_services];
}

int berth_model_index(struct berth_model *model)
{
	const size_t n_services = model->n_services + model->n_groups;
	size_t n = 0;
	for (size_t i = 0; i < n_services; i++)
		n += service_at(model, i)->n_backends;
	if (berth_id_map_init(&model->backend_places, n))
		return -ENOMEM;
	for (size_t i = 0; i < n_services; i++)
		for (size_t j = 0; j < service_at(model, i)->n_backends; j++)
			berth_id_map_add(&model->backend_places, service_at(model, i)->backends[j].id,
					 (uint64_t)i << 32 | j);
	return 0;
}

struct berth_model_backend *berth_model_backend_by_id(const struct berth_model *model, uint64_t id,
						      struct berth_model_service **service)
{
	uint64_t place;
	if (!berth_id_map_find(&model->backend_places, id, &place))
		return NULL;
	struct berth_model_service *found = service_at(model, (size_t)(place >> 32));
	if (service)
		*service = found;
	return &found->backends[(uint32_t)place];
}
