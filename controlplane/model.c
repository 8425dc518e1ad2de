// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/model.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "controlplane/address.h"

enum {
	/* The walk under way when a number is given back may have passed its words already; the next one meets
	 * them all. One more costs nothing and leaves room for a worker that was late. */
	WALKS_TO_LEAVE = 3,
};

uint64_t berth_service_id(const struct berth_service_config *service)
{
	struct {
		union berth_addr address;
		uint32_t port;
		uint32_t protocol;
	} key = {service->address, service->port, service->protocol};
	uint64_t id = XXH64(&key, sizeof(key), 0);
	/* Only where there is more than one of either: the others had their ids before these could be. */
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

const char *berth_admin_name(enum berth_admin admin)
{
	static const char *const names[] = {"enabled", "draining", "disabled"};
	return names[admin];
}

const char *berth_health_name(enum berth_health_state health)
{
	static const char *const names[] = {"unknown", "up", "down"};
	return names[health];
}

enum berth_health_state berth_model_health(const struct berth_model_backend *backend)
{
	return backend->forced == BERTH_FORCED_UP     ? BERTH_HEALTH_UP
	       : backend->forced == BERTH_FORCED_DOWN ? BERTH_HEALTH_DOWN
						      : backend->health;
}

uint8_t berth_model_admits(const struct berth_model_backend *backend)
{
	if (berth_model_health(backend) != BERTH_HEALTH_UP || backend->admin == BERTH_ADMIN_DISABLED)
		return 0;
	if (backend->admin == BERTH_ADMIN_DRAINING || backend->config.weight == 0)
		return BERTH_ADMIT_FLOWS | BERTH_ADMIT_SESSIONS;
	return BERTH_ADMIT_ALL;
}

static int numbers_init(struct berth_numbers *numbers, uint32_t size)
{
	*numbers = (struct berth_numbers){
		.id = calloc(size, sizeof(*numbers->id)),
		.leaving = calloc(size, sizeof(*numbers->leaving)),
		.used = calloc(size, sizeof(*numbers->used)),
		.size = size,
	};
	return numbers->id && numbers->leaving && numbers->used ? 0 : -ENOMEM;
}

static void numbers_free(struct berth_numbers *numbers)
{
	free(numbers->id);
	free(numbers->leaving);
	free(numbers->used);
	*numbers = (struct berth_numbers){0};
}

static int numbers_copy(struct berth_numbers *to, const struct berth_numbers *from)
{
	if (numbers_init(to, from->size))
		return -ENOMEM;
	memcpy(to->id, from->id, from->size * sizeof(*from->id));
	memcpy(to->leaving, from->leaving, from->size);
	return 0;
}

/* The number that `id` had, or a free one; 0: all are taken. `hint` makes n calls in order take O(n). */
static uint32_t numbers_take(struct berth_numbers *numbers, uint64_t id, uint32_t had, uint32_t *hint)
{
	if (had) {
		numbers->used[had] = true;
		return had;
	}
	for (; *hint < numbers->size; (*hint)++) {
		if (numbers->id[*hint] == 0 && numbers->leaving[*hint] == 0) {
			numbers->id[*hint] = id;
			numbers->used[*hint] = true;
			return (*hint)++;
		}
	}
	return 0;
}

static uint32_t numbers_find(const struct berth_numbers *numbers, uint64_t id)
{
	for (uint32_t n = 1; n < numbers->size; n++)
		if (numbers->id[n] == id)
			return n;
	return 0;
}

/* Gives back every number that is not used. */
static void numbers_give_back(struct berth_numbers *numbers)
{
	for (uint32_t n = 1; n < numbers->size; n++) {
		if (numbers->id[n] == 0 || numbers->used[n])
			continue;
		numbers->id[n] = 0;
		numbers->leaving[n] = WALKS_TO_LEAVE;
	}
}

void berth_model_walked(struct berth_model *model)
{
	struct berth_numbers *both[] = {&model->service_numbers, &model->backend_numbers};
	for (int i = 0; i < 2; i++)
		for (uint32_t n = 1; n < both[i]->size; n++)
			both[i]->leaving[n] -= both[i]->leaving[n] > 0;
}

int berth_model_init(struct berth_model *model, const struct berth_geometry *geometry)
{
	*model = (struct berth_model){0};
	/* A word holds 16 bits of backend number, and rows too. */
	uint32_t backends = geometry->backends > BERTH_MAX_BACKENDS ? BERTH_MAX_BACKENDS + 1 : geometry->backends;
	if (numbers_init(&model->service_numbers, geometry->services) ||
	    numbers_init(&model->backend_numbers, backends)) {
		berth_model_clear(model);
		return -ENOMEM;
	}
	return 0;
}

static void services_free(struct berth_model_service *services, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(services[i].backends);
		free(services[i].rows);
	}
	free(services);
}

void berth_model_clear(struct berth_model *model)
{
	services_free(model->services, model->n_services);
	numbers_free(&model->service_numbers);
	numbers_free(&model->backend_numbers);
	berth_config_free(model->config);
	free(model->memory);
	*model = (struct berth_model){0};
}

static struct berth_next_hop next_hop_of(const struct berth_backend *backend)
{
	struct berth_next_hop hop = {
		.known = backend->flags & BERTH_BACKEND_NEXT_HOP,
		.port = backend->port,
		.mtu = backend->mtu,
		.source = backend->outer_src,
	};
	memcpy(hop.dst_mac, backend->dst_mac, sizeof(hop.dst_mac));
	memcpy(hop.src_mac, backend->src_mac, sizeof(hop.src_mac));
	return hop;
}

int berth_model_adopt(struct berth_model *model, const struct berth_image *image)
{
	const struct berth_geometry *g = &image->geometry;
	uint32_t half = (uint32_t)image->ctl->generation & 1;
	model->memory = calloc(g->backends, sizeof(*model->memory));
	if (!model->memory)
		return -ENOMEM;
	for (uint32_t n = 1; n < model->service_numbers.size; n++)
		model->service_numbers.id[n] = image->services[half * g->services + n].id;
	for (uint32_t n = 1; n < model->backend_numbers.size; n++) {
		const struct berth_backend *backend = &image->backends[half * g->backends + n];
		uint8_t admits = image->admits[n / BERTH_ADMITS_PER_LINE].backend[n % BERTH_ADMITS_PER_LINE];
		bool disabled = backend->admin == BERTH_ADMIN_DISABLED;
		model->backend_numbers.id[n] = backend->id;
		model->memory[n] = (struct berth_model_memory){
			.admin = backend->admin <= BERTH_ADMIN_DISABLED ? backend->admin : BERTH_ADMIN_ENABLED,
			.forced = backend->forced <= BERTH_FORCED_DOWN ? backend->forced : BERTH_FORCED_NOT,
			.health = admits     ? BERTH_HEALTH_UP
				  : disabled ? BERTH_HEALTH_UNKNOWN
					     : BERTH_HEALTH_DOWN,
			.next_hop = next_hop_of(backend),
		};
	}
	return 0;
}

/* A new model in the making: its services, and the numbers as they will be. */
struct draft {
	struct berth_model_service *services;
	size_t n_services;
	struct berth_numbers service_numbers;
	struct berth_numbers backend_numbers;
	uint32_t service_hint;
	uint32_t backend_hint;
};

static void draft_free(struct draft *draft)
{
	services_free(draft->services, draft->n_services);
	numbers_free(&draft->service_numbers);
	numbers_free(&draft->backend_numbers);
}

static struct berth_model_service *service_by_id(const struct berth_model *model, uint64_t id)
{
	for (size_t i = 0; i < model->n_services; i++)
		if (model->services[i].id == id)
			return &model->services[i];
	return NULL;
}

static const struct berth_model_backend *backend_by_id(const struct berth_model_service *service, uint64_t id)
{
	for (size_t i = 0; service && i < service->n_backends; i++)
		if (service->backends[i].id == id)
			return &service->backends[i];
	return NULL;
}

static int draft_backend(struct draft *draft, const struct berth_model *model,
			 const struct berth_model_service *old, const struct berth_backend_config *config,
			 uint64_t service_id, struct berth_model_backend *backend)
{
	uint64_t id = berth_backend_id(service_id, config->name);
	const struct berth_model_backend *before = backend_by_id(old, id);
	uint32_t had = before ? before->number : model->memory ? numbers_find(&draft->backend_numbers, id) : 0;
	*backend = (struct berth_model_backend){.config = *config, .id = id};
	backend->number = numbers_take(&draft->backend_numbers, id, had, &draft->backend_hint);
	if (!backend->number)
		return -ENOSPC;
	if (before) {
		backend->admin = before->admin;
		backend->forced = before->forced;
		backend->health = before->health;
		backend->next_hop = before->next_hop;
		if (!berth_addr_equal(&before->config.address, &config->address))
			backend->next_hop.known = false;
	} else if (had) {
		backend->admin = model->memory[had].admin;
		backend->forced = model->memory[had].forced;
		backend->health = model->memory[had].health;
		backend->next_hop = model->memory[had].next_hop;
	}
	return 0;
}

static int draft_service(struct draft *draft, const struct berth_model *model,
			 const struct berth_service_config *config, struct berth_model_service *service)
{
	uint64_t id = berth_service_id(config);
	struct berth_model_service *old = service_by_id(model, id);
	uint32_t had = old ? old->number : model->memory ? numbers_find(&draft->service_numbers, id) : 0;
	*service = (struct berth_model_service){.config = *config, .id = id};
	service->config.backends = NULL;
	service->number = numbers_take(&draft->service_numbers, id, had, &draft->service_hint);
	if (!service->number)
		return -ENOSPC;
	service->backends = calloc(config->n_backends ? config->n_backends : 1, sizeof(*service->backends));
	if (!service->backends)
		return -ENOMEM;
	for (size_t i = 0; i < config->n_backends; i++) {
		int err = draft_backend(draft, model, old, &config->backends[i], id, &service->backends[i]);
		if (err)
			return err;
		service->n_backends++;
	}
	return 0;
}

static int draft_make(struct draft *draft, const struct berth_model *model, const struct berth_config *config)
{
	*draft = (struct draft){.service_hint = 1, .backend_hint = 1};
	draft->services = calloc(config->n_services ? config->n_services : 1, sizeof(*draft->services));
	if (!draft->services || numbers_copy(&draft->service_numbers, &model->service_numbers) ||
	    numbers_copy(&draft->backend_numbers, &model->backend_numbers))
		return -ENOMEM;
	for (size_t i = 0; i < config->n_services; i++) {
		draft->n_services++; /* also where it fails half-way, so that it is freed */
		int err = draft_service(draft, model, &config->services[i], &draft->services[i]);
		if (err)
			return err;
	}
	numbers_give_back(&draft->service_numbers);
	numbers_give_back(&draft->backend_numbers);
	return 0;
}

/* The selection tables of services that stay are still right, or will be seen not to be. */
static void carry_rows(struct draft *draft, struct berth_model *model)
{
	for (size_t i = 0; i < draft->n_services; i++) {
		struct berth_model_service *old = service_by_id(model, draft->services[i].id);
		if (!old || old->config.rows != draft->services[i].config.rows)
			continue;
		draft->services[i].rows = old->rows;
		draft->services[i].rows_version = old->rows_version;
		draft->services[i].rows_inputs = old->rows_inputs;
		old->rows = NULL;
	}
}

int berth_model_apply(struct berth_model *model, struct berth_config *config, char error[BERTH_ERROR_BYTES])
{
	struct draft draft;
	int err = draft_make(&draft, model, config);
	if (err) {
		snprintf(error, BERTH_ERROR_BYTES,
			 err == -ENOSPC ? "the tables are full: more services or backends than limits.services and "
					  "limits.backends, counting those removed in the last seconds; raise the "
					  "limits and restart berthd, or try again in a few seconds"
					: "out of memory");
		draft_free(&draft);
		return err;
	}
	carry_rows(&draft, model);
	services_free(model->services, model->n_services);
	numbers_free(&model->service_numbers);
	numbers_free(&model->backend_numbers);
	berth_config_free(model->config);
	free(model->memory);
	model->memory = NULL;
	model->config = config;
	model->services = draft.services;
	model->n_services = draft.n_services;
	model->service_numbers = draft.service_numbers;
	model->backend_numbers = draft.backend_numbers;
	return 0;
}

struct berth_model_service *berth_model_service(struct berth_model *model, const char *name)
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

struct berth_model_backend *berth_model_backend_by_id(struct berth_model *model, uint64_t id,
						      struct berth_model_service **service)
{
	for (size_t i = 0; i < model->n_services; i++) {
		for (size_t j = 0; j < model->services[i].n_backends; j++) {
			if (model->services[i].backends[j].id != id)
				continue;
			if (service)
				*service = &model->services[i];
			return &model->services[i].backends[j];
		}
	}
	return NULL;
}
