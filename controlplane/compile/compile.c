// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/compile/compile.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "controlplane/compile/classifier.h"
#include "controlplane/compile/groups.h"
#include "controlplane/compile/maglev.h"
#include "controlplane/compile/round_robin.h"
#include "controlplane/compile/timeouts.h"
#include "controlplane/model/former_rows.h"
#include "controlplane/model/path_mtu.h"
#include "controlplane/util/address.h"

enum {
	NANOSECONDS = 1000000000,
	BACKEND_COST = 4,
	MOST_ROUNDS = 3, /* of tables that change while others are built; the rest is left to berth_compile */
};

/* A hash of all inputs of the selection table. */
static uint64_t rows_inputs_hash(const struct berth_maglev_backend *backends, size_t n, uint32_t n_rows,
				 uint64_t seed)
{
	uint64_t hash = XXH64(&n_rows, sizeof(n_rows), seed);
	for (size_t i = 0; i < n; i++) {
		const uint64_t facts[3] = {backends[i].weight, backends[i].number, backends[i].is_eligible};
		hash = XXH64(facts, sizeof(facts), hash);
		hash = XXH64(backends[i].name, strlen(backends[i].name), hash);
	}
	return hash;
}

static int build_rows(struct berth_model_service *service, const struct berth_maglev_backend *backends, size_t n,
		      uint64_t seed)
{
	service->n_rows = service->config.table_size;
	if (service->config.scheduler == BERTH_SCHEDULE_ROUND_ROBIN)
		return berth_round_robin_build(service->rows, service->config.table_size, backends, n,
					       &service->n_rows);
	return berth_maglev_build(service->rows, service->n_rows, backends, n, seed);
}

/* Rebuilds the selection table of a service if its inputs have changed, which changes its version. */
static int update_rows(struct berth_model *model, struct berth_model_service *service)
{
	size_t n = service->n_backends;
	uint32_t n_rows = service->config.table_size;
	struct berth_maglev_backend *backends = calloc(n ? n : 1, sizeof(*backends));
	if (!backends)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		const struct berth_model_backend *backend = &service->backends[i];
		backends[i] = (struct berth_maglev_backend){
			.name = backend->config.name,
			.weight = berth_model_weight_hundredths(backend),
			.number = (uint16_t)backend->number,
			.is_eligible = berth_model_eligibility(backend) & BERTH_ELIGIBLE_NEW,
		};
	}
	int err = 0;
	uint64_t seed = berth_service_seed(&service->config);
	uint64_t inputs = rows_inputs_hash(backends, n, n_rows, seed + service->config.scheduler);
	if (!service->rows || service->rows_inputs_hash != inputs) {
		if (!service->rows || service->rows_are_shared)
			service->rows = calloc(n_rows, sizeof(*service->rows));
		service->rows_are_shared = false;
		err = service->rows ? build_rows(service, backends, n, seed) : -ENOMEM;
		if (!err)
			err = berth_former_rows_update(service);
		service->rows_inputs_hash = err ? 0 : inputs;
		service->rows_version = ++model->rows_version;
	} else if (!service->former) {
		err = berth_former_rows_update(service);
	}
	free(backends);
	return err;
}

static enum berth_scheduler scheduler_of(enum berth_schedule schedule)
{
	return schedule == BERTH_SCHEDULE_ROUND_ROBIN	 ? BERTH_SCHEDULER_ROUND_ROBIN
	       : berth_schedule_compares_loads(schedule) ? BERTH_SCHEDULER_LEAST_CONN
							 : BERTH_SCHEDULER_MAGLEV;
}

/* The burst in milliseconds, rounded up: between 0.1 s and 60 s, so it is that of the configuration to 1%. */
static struct berth_limit limit_of(uint32_t per_second, uint32_t burst)
{
	if (!per_second)
		return (struct berth_limit){0};
	return (struct berth_limit){
		.interval_ns = NANOSECONDS / per_second,
		.burst_ms = (uint16_t)(((uint64_t)(burst - 1) * 1000 + per_second - 1) / per_second),
	};
}

static void fill_limits(struct berth_service *out, const struct berth_new_flows_config *limits)
{
	out->limit = limit_of(limits->limit, limits->burst);
	out->source_limit = limit_of(limits->source_limit, limits->source_burst);
	out->source_limit.prefix4 = limits->source_prefix4;
	out->source_limit.prefix6 = limits->source_prefix6;
	out->flags = limits->limit || limits->source_limit ? BERTH_SERVICE_LIMITS : 0;
}

static void fill_rows(struct berth_generation *generation, const struct berth_model_service *service)
{
	const bool has_former = berth_former_rows_count(service) > 0;
	generation->rows[service->number] = (struct berth_generation_rows){
		.rows = service->rows,
		.former = has_former ? service->former->rows : NULL,
		.n_rows = service->n_rows,
		.lines = berth_config_row_lines(&service->config),
		.version = service->rows_version,
	};
	if (has_former)
		generation->services[service->number].flags |= BERTH_SERVICE_FORMER_ROWS;
}

static void fill_service(struct berth_generation *generation, const struct berth_model_service *service)
{
	const struct berth_service_config *config = &service->config;
	bool has_rows = service->n_backends > 0;
	struct berth_service *out = &generation->services[service->number];
	*out = (struct berth_service){
		.id = service->id,
		.session_key = service->session_key,
		.session_service = (uint16_t)service->session_service,
		.rows = has_rows ? service->n_rows : 0,
		.affinity = (uint8_t)config->affinity,
		.prefix4 = config->prefix4,
		.prefix6 = config->prefix6,
		.scheduler = (uint8_t)scheduler_of(config->scheduler),
		.down = (uint8_t)config->on_down,
		.overload = (uint8_t)config->overload,
		.failback = (uint8_t)config->failback,
		.retired_packets = service->retired.packets,
		.retired_bytes = service->retired.bytes,
		.retired_flows = service->retired.flows,
	};
	berth_compile_timeouts(config, out->timeout);
	fill_limits(out, &config->new_flows);
	if (berth_mode_returns(config->mode)) {
		out->address = config->address;
		out->port = berth_to_be16(config->port == config->last_port ? config->port : 0);
	}
	if (has_rows)
		fill_rows(generation, service);
}

static uint32_t timeout_of(const struct berth_generation *generation, const struct berth_model_service *service,
			   uint32_t state)
{
	return generation->services[service->number].timeout[state];
}

static void fill_least_timeouts(struct berth_generation *generation, const struct berth_model *model)
{
	for (uint32_t state = 0; state < BERTH_STATE_COUNT; state++) {
		uint32_t least = BERTH_MAX_TIMEOUT;
		for (size_t i = 0; i < model->n_services; i++)
			if (timeout_of(generation, &model->services[i], state) < least)
				least = timeout_of(generation, &model->services[i], state);
		generation->globals.least_timeout[state] = least;
	}
}

static void fill_backend_filter(struct berth_generation *generation, const struct berth_model *model)
{
	for (size_t i = 0; i < model->n_services; i++) {
		const struct berth_model_service *service = &model->services[i];
		for (size_t j = 0; j < service->n_backends; j++) {
			const uint32_t bit = berth_backend_filter_bit(&service->backends[j].config.address);
			generation->globals.backend_filter[bit / 64] |= UINT64_C(1) << bit % 64;
		}
	}
}

/* The outer source address, for modes that encapsulate. */
static void fill_source(struct berth_backend *out, const struct berth_tunnel_config *tunnel)
{
	bool is4 = berth_addr_is4(&out->address);
	uint8_t bits = is4 ? tunnel->bits4 : tunnel->bits6;
	if (!bits || !berth_mode_encapsulates(out->mode))
		return;
	out->outer_src = is4 ? tunnel->source4 : tunnel->source6;
	out->source_bits = (uint8_t)(BERTH_ADDRESS_BITS - bits);
}

static void fill_backend(struct berth_generation *generation, const struct berth_model_service *service,
			 const struct berth_model_backend *backend, const struct berth_tunnel_config *tunnel)
{
	const struct berth_next_hop *hop = &backend->next_hop;
	struct berth_backend *out = &generation->backends[backend->number];
	*out = (struct berth_backend){
		.id = backend->id,
		.service = (uint16_t)service->number,
		.port = hop->port,
		.mode = (uint8_t)service->config.mode,
		.flags = (uint8_t)((hop->is_resolved ? BERTH_BACKEND_NEXT_HOP : 0) |
				   (berth_model_times_connections(service) ? BERTH_BACKEND_TIMED : 0)),
		.admin = (uint8_t)backend->admin,
		.forced = (uint8_t)backend->forced,
		.health = (uint8_t)backend->health,
		.evict_at = backend->evict_at,
		.backup = (uint16_t)backend->backup,
		.mtu = berth_path_mtu(service, backend),
		.dport = berth_to_be16(berth_mode_has_tunnel_port(service->config.mode) ? service->config.gue_port
											: backend->config.port),
		.address = backend->config.address,
		.outer_src = hop->source,
	};
	memcpy(out->dst_mac, hop->dst_mac, sizeof(out->dst_mac));
	memcpy(out->src_mac, hop->src_mac, sizeof(out->src_mac));
	fill_source(out, tunnel);
}

static void fill_load_units(struct berth_generation *generation, const struct berth_model_service *service)
{
	const uint32_t heaviest = berth_model_max_weight_hundredths(service);
	for (size_t i = 0; i < service->n_backends; i++) {
		const struct berth_model_backend *backend = &service->backends[i];
		generation->backends[backend->number].load_unit = berth_model_load_unit(
			berth_model_weight_hundredths(backend), heaviest);
	}
}

/* In rows; to compare the inputs of a backend takes as long as some rows. */
static uint64_t cost_of(const struct berth_model_service *service, bool is_built)
{
	return BACKEND_COST * service->n_backends + (is_built ? service->n_rows : 0) + 1;
}

int berth_compile_ahead(struct berth_model *model, struct berth_compile_ahead *ahead, uint64_t most)
{
	for (uint64_t cost = 0; cost < most; ahead->at++) {
		if (ahead->at >= model->n_services) {
			const bool is_done = !ahead->has_built || ++ahead->rounds == MOST_ROUNDS;
			*ahead = (struct berth_compile_ahead){.rounds = is_done ? 0 : ahead->rounds};
			if (is_done)
				return 0;
		}
		struct berth_model_service *service = &model->services[ahead->at];
		const uint64_t version = service->rows_version;
		if (update_rows(model, service))
			return -ENOMEM;
		const bool is_built = service->rows_version != version;
		ahead->has_built |= is_built;
		cost += cost_of(service, is_built);
	}
	return -EAGAIN;
}

struct berth_generation *berth_compile(struct berth_model *model, const struct berth_geometry *geometry,
				       char error[BERTH_ERROR_BYTES])
{
	struct berth_generation *generation = berth_generation_new(geometry);
	snprintf(error, BERTH_ERROR_BYTES, "out of memory");
	for (size_t i = 0; generation && i < model->n_services; i++) {
		struct berth_model_service *service = &model->services[i];
		if (update_rows(model, service))
			goto fail;
		fill_service(generation, service);
		for (size_t j = 0; j < service->n_backends; j++)
			fill_backend(generation, service, &service->backends[j], &model->config->tunnel);
		if (berth_schedule_compares_loads(service->config.scheduler))
			fill_load_units(generation, service);
	}
	if (!generation || berth_compile_groups(generation, model))
		goto fail;
	if (berth_compile_classifier(generation, model, error))
		goto fail;
	memcpy(generation->globals.route, model->routes, sizeof(generation->globals.route));
	memcpy(generation->ports, model->ports, sizeof(generation->ports));
	memcpy(generation->links, model->links, sizeof(generation->links));
	fill_least_timeouts(generation, model);
	fill_backend_filter(generation, model);
	return generation;
fail:
	berth_generation_free(generation);
	return NULL;
}
