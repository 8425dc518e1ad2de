// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/model.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "controlplane/address.h"
#include "dataplane/core/flowtab.h"

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

enum berth_health_state berth_model_health(const struct berth_model_backend *backend)
{
	return backend->forced == BERTH_FORCED_UP     ? BERTH_HEALTH_UP
	       : backend->forced == BERTH_FORCED_DOWN ? BERTH_HEALTH_DOWN
						      : backend->health;
}

void berth_model_set_admin(const struct berth_model *model, struct berth_model_backend *backend,
			   enum berth_admin admin, uint32_t evict_at)
{
	backend->admin = admin;
	backend->evict_at = evict_at;
	backend->left_pass = model->passes;
}

bool berth_model_set_health(struct berth_model_backend *backend, enum berth_health_state health, uint64_t now_ms)
{
	if (backend->health == health)
		return false;
	if (backend->health == BERTH_HEALTH_UP)
		backend->fell_ms = now_ms;
	backend->health = health;
	return true;
}

uint8_t berth_model_admits(const struct berth_model_backend *backend)
{
	static const uint8_t by_admin[BERTH_ADMIN_COUNT] = {
		[BERTH_ADMIN_ENABLED] = BERTH_ADMIT_ALL,
		[BERTH_ADMIN_DRAINING] = BERTH_ADMIT_FLOWS | BERTH_ADMIT_SESSIONS,
		[BERTH_ADMIN_FLOWS_ONLY] = BERTH_ADMIT_FLOWS,
	};
	bool used = backend->kept || berth_model_health(backend) == BERTH_HEALTH_UP;
	uint8_t admits = used ? by_admin[backend->admin] : 0;
	if (backend->config.weight == 0)
		admits &= (uint8_t)~BERTH_ADMIT_NEW;
	return admits ? admits | backend->load : 0;
}

uint32_t berth_model_weight(const struct berth_model_backend *backend)
{
	return backend->config.weight * (10u - backend->chill);
}

uint32_t berth_model_heaviest(const struct berth_model_service *service)
{
	uint32_t heaviest = 0;
	for (size_t i = 0; i < service->n_backends; i++)
		if (berth_model_weight(&service->backends[i]) > heaviest)
			heaviest = berth_model_weight(&service->backends[i]);
	return heaviest;
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
	free(model->sessions);
	*model = (struct berth_model){0};
}

static void *duplicate(const void *from, size_t n, size_t size)
{
	void *copy = calloc(n ? n : 1, size);
	if (copy && n)
		memcpy(copy, from, n * size);
	return copy;
}

static int copy_service(struct berth_model_service *copy, const struct berth_model_service *service)
{
	*copy = *service;
	copy->rows = NULL;
	copy->backends = duplicate(service->backends, service->n_backends, sizeof(*service->backends));
	if (service->rows)
		copy->rows = duplicate(service->rows, service->config.rows, sizeof(*service->rows));
	return copy->backends && (copy->rows || !service->rows) ? 0 : -ENOMEM;
}

int berth_model_copy(struct berth_model *copy, const struct berth_model *model)
{
	*copy = *model;
	copy->config = NULL;
	copy->services = NULL;
	copy->n_services = 0;
	copy->memory = NULL;
	copy->sessions = NULL;
	copy->service_numbers = copy->backend_numbers = (struct berth_numbers){0};
	if (numbers_copy(&copy->service_numbers, &model->service_numbers) ||
	    numbers_copy(&copy->backend_numbers, &model->backend_numbers))
		return -ENOMEM;
	copy->services = calloc(model->n_services ? model->n_services : 1, sizeof(*copy->services));
	if (!copy->services)
		return -ENOMEM;
	for (size_t i = 0; i < model->n_services; i++) {
		copy->n_services++;
		if (copy_service(&copy->services[i], &model->services[i]))
			return -ENOMEM;
	}
	return 0;
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

/* Numbers that nobody has any more but words do: who had them was removed shortly before. They wait as if they had
 * been given back just now. */
static void find_leaving(struct berth_numbers *numbers, const struct berth_bucket *table, uint32_t buckets)
{
	for (uint32_t i = 0; i < buckets; i++)
		for (uint32_t j = 0; j < BERTH_BUCKET_WORDS; j++) {
			uint64_t word = table[i].word[j];
			uint32_t number = berth_word_backend(word);
			if (word && number < numbers->size && !numbers->id[number])
				numbers->leaving[number] = WALKS_TO_LEAVE;
		}
}

/* The same of those that sessions may go back to. */
static void find_homes(struct berth_numbers *numbers, const struct berth_image *image)
{
	const uint32_t n = image->geometry.session_buckets * BERTH_BUCKET_WORDS;
	for (uint32_t i = 0; i < n; i++) {
		uint16_t from = image->clients[i].from;
		if (from && from < numbers->size && !numbers->id[from])
			numbers->leaving[from] = WALKS_TO_LEAVE;
	}
}

int berth_model_adopt(struct berth_model *model, const struct berth_image *image)
{
	const struct berth_geometry *g = &image->geometry;
	uint32_t half = (uint32_t)image->ctl->generation & 1;
	model->memory = calloc(g->backends, sizeof(*model->memory));
	model->sessions = calloc(g->services, sizeof(*model->sessions));
	if (!model->memory || !model->sessions)
		return -ENOMEM;
	for (uint32_t n = 1; n < model->service_numbers.size; n++) {
		const struct berth_service *service = &image->services[half * g->services + n];
		model->service_numbers.id[n] = service->id;
		model->sessions[n] = (struct berth_model_sessions){service->session_key, service->session_service};
	}
	for (uint32_t n = 1; n < model->backend_numbers.size; n++) {
		const struct berth_backend *backend = &image->backends[half * g->backends + n];
		uint8_t admits = image->admits[n / BERTH_ADMITS_PER_LINE].backend[n % BERTH_ADMITS_PER_LINE];
		bool off = backend->admin == BERTH_ADMIN_DISABLED || backend->admin == BERTH_ADMIN_EVICTED;
		model->backend_numbers.id[n] = backend->id;
		model->memory[n] = (struct berth_model_memory){
			.admin = backend->admin < BERTH_ADMIN_COUNT ? backend->admin : BERTH_ADMIN_ENABLED,
			.forced = backend->forced <= BERTH_FORCED_DOWN ? backend->forced : BERTH_FORCED_NOT,
			.health = admits ? BERTH_HEALTH_UP
				  : off	 ? BERTH_HEALTH_UNKNOWN
					 : BERTH_HEALTH_DOWN,
			.load = admits & (BERTH_ADMIT_FULL | BERTH_ADMIT_LIMIT),
			.evict_at = backend->evict_at,
			.next_hop = next_hop_of(backend),
		};
	}
	find_leaving(&model->backend_numbers, image->flows, g->flow_buckets);
	find_leaving(&model->backend_numbers, image->sessions, g->session_buckets);
	find_homes(&model->backend_numbers, image);
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

static void recall(struct berth_model_backend *backend, const struct berth_model_memory *memory)
{
	backend->admin = memory->admin;
	backend->forced = memory->forced;
	backend->health = memory->health;
	backend->load = memory->load;
	backend->evict_at = memory->evict_at;
	backend->next_hop = memory->next_hop;
}

static int draft_backend(struct draft *draft, const struct berth_model *model,
			 const struct berth_model_service *old, const struct berth_backend_config *config,
			 uint64_t service_id, struct berth_model_backend *backend)
{
	uint64_t id = berth_backend_id(service_id, config->name);
	const struct berth_model_backend *before = backend_by_id(old, id);
	uint32_t had = before ? before->number : model->memory ? numbers_find(&draft->backend_numbers, id) : 0;
	/* Who comes while others serve begins slowly; where berthd itself begins, all are alike. */
	*backend = before ? *before : (struct berth_model_backend){.id = id, .cold = model->config != NULL};
	backend->config = *config;
	backend->left_pass = model->passes;
	backend->number = numbers_take(&draft->backend_numbers, id, had, &draft->backend_hint);
	if (!backend->number)
		return -ENOSPC;
	if (before && !berth_addr_equal(&before->config.address, &config->address))
		backend->next_hop.known = false;
	if (!before && had)
		recall(backend, &model->memory[had]);
	return 0;
}

static int by_name(const void *left, const void *right)
{
	const struct berth_model_backend *a = *(const struct berth_model_backend *const *)left;
	const struct berth_model_backend *b = *(const struct berth_model_backend *const *)right;
	return strcmp(a->config.name, b->config.name);
}

static int find_backups(struct berth_model_service *service)
{
	size_t n = service->n_backends;
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

/* Whose numbers its sessions held before, if they are still found by the same key; else 0. */
static void recall_sessions(struct berth_model_service *service, const struct berth_model_service *old,
			    const struct berth_model_sessions *memory)
{
	if (old && old->session_key == service->session_key)
		service->session_service = old->session_service;
	else if (!old && memory && memory->key == service->session_key)
		service->session_service = memory->service;
}

static int draft_service(struct draft *draft, const struct berth_model *model,
			 const struct berth_service_config *config, struct berth_model_service *service)
{
	uint64_t id = berth_service_id(config);
	struct berth_model_service *old = service_by_id(model, id);
	uint32_t had = old ? old->number : model->memory ? numbers_find(&draft->service_numbers, id) : 0;
	*service = (struct berth_model_service){
		.config = *config,
		.id = id,
		.session_key = (uint32_t)(berth_service_seed(config) >> 32),
	};
	service->config.backends = NULL;
	service->number = numbers_take(&draft->service_numbers, id, had, &draft->service_hint);
	if (!service->number)
		return -ENOSPC;
	if (old) {
		service->panic = old->panic;
		service->panic_ms = old->panic_ms;
	}
	recall_sessions(service, old, had && model->sessions ? &model->sessions[had] : NULL);
	service->backends = calloc(config->n_backends ? config->n_backends : 1, sizeof(*service->backends));
	if (!service->backends)
		return -ENOMEM;
	for (size_t i = 0; i < config->n_backends; i++) {
		int err = draft_backend(draft, model, old, &config->backends[i], id, &service->backends[i]);
		if (err)
			return err;
		service->n_backends++;
		service->limited |= config->backends[i].max_flows != 0;
	}
	return find_backups(service);
}

static int by_group(const void *left, const void *right)
{
	const struct berth_model_service *a = *(const struct berth_model_service *const *)left;
	const struct berth_model_service *b = *(const struct berth_model_service *const *)right;
	int order = strcmp(a->config.group, b->config.group);
	return order ? order : (a->number > b->number) - (a->number < b->number);
}

/* The services of a group agree on whose numbers their sessions hold: still those that they held, so that the
 * sessions stay, if that service is still one of them; else the one with the least number. */
static void tie_group(struct berth_model_service **group, size_t n)
{
	uint32_t chosen = group[0]->number;
	for (size_t i = n; i-- > 0;)
		for (size_t j = 0; j < n; j++)
			if (group[i]->session_service == group[j]->number)
				chosen = group[j]->number;
	for (size_t i = 0; i < n; i++)
		group[i]->session_service = chosen;
}

static int tie_groups(struct draft *draft)
{
	size_t n = draft->n_services;
	struct berth_model_service **sorted = calloc(n ? n : 1, sizeof(void *));
	if (!sorted)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		sorted[i] = &draft->services[i];
	qsort(sorted, n, sizeof(void *), by_group);
	for (size_t begin = 0, end; begin < n; begin = end) {
		end = begin + 1;
		while (end < n && sorted[begin]->config.group[0] &&
		       strcmp(sorted[begin]->config.group, sorted[end]->config.group) == 0)
			end++;
		tie_group(sorted + begin, end - begin);
	}
	free(sorted);
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
	return tie_groups(draft);
}

/* The selection tables of services that stay are still right, or will be seen not to be. */
static void carry_rows(struct draft *draft, struct berth_model *model)
{
	for (size_t i = 0; i < draft->n_services; i++) {
		struct berth_model_service *old = service_by_id(model, draft->services[i].id);
		if (!old || old->config.rows != draft->services[i].config.rows)
			continue;
		draft->services[i].rows = old->rows;
		draft->services[i].n_rows = old->n_rows;
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
	free(model->sessions);
	model->memory = NULL;
	model->sessions = NULL;
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
