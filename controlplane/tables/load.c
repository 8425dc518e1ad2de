// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/tables/load.h"

#include <stdlib.h>
#include <string.h>

#include "controlplane/tables/counters.h"

enum {
	PERCENT = 100,
	MAX_LOAD = INT32_MAX, /* workers add to loads without a check */
	MAX_COST = BERTH_COST_OF_CONNECTIONS - 1,
	BUDGET = 10, /* a scan takes at most 1/BUDGET of a CPU */
	/* Per tick: about 2 ms of 20 ms, at 16 ns a bucket. A table for 50 million flows is scanned in 1.3 s. */
	MAX_BUCKETS = 131072,
	MAX_IDLE_BUCKETS = 65536,
	/* Counters to read per tick. A service with more (backends times workers) relies on counts alone. */
	MAX_READS = 16384,
};

struct berth_load {
	struct berth_image *image;
	bool has_counts; /* a scan has ended, or there were no flows at the start */
	/* By backend number. */
	uint64_t *id;		/* the backend that the figures belong to */
	uint64_t *counted;	/* flows that the last scan counted */
	uint64_t *new_at_count; /* total of new flows when that scan began */
	uint64_t *new_at_scan;	/* total of new flows when the current scan began */
	uint64_t *timed;	/* totals of the times of its connections that were read last */
};

uint32_t berth_load_buckets_per_tick(uint64_t buckets, bool is_needed, uint64_t scan_us)
{
	uint64_t wanted_ms = is_needed ? BERTH_LOAD_COUNT_MS : BERTH_LOAD_IDLE_MS;
	uint64_t budget_ms = (scan_us * BUDGET + 999) / 1000;
	uint64_t ticks = (wanted_ms > budget_ms ? wanted_ms : budget_ms) / BERTH_LOAD_TICK_MS;
	uint64_t per_tick = (buckets + ticks - 1) / ticks;
	uint64_t max = is_needed ? MAX_BUCKETS : MAX_IDLE_BUCKETS;
	return (uint32_t)(per_tick < max ? per_tick : max);
}

bool berth_load_is_over_share(uint64_t flows, uint64_t weight, uint64_t all_flows, uint64_t all_weight,
			      uint32_t bound)
{
	/* 2e8 flows, 65534 backends, weights of 200000 hundredths: above 2^64. */
	__extension__ typedef unsigned __int128 wide;
	return (wide)flows * all_weight * PERCENT > (wide)all_flows * weight * bound;
}

uint32_t berth_load_value(uint64_t flows, uint32_t unit)
{
	const uint64_t value = flows * unit;
	return (uint32_t)(value < MAX_LOAD ? value : MAX_LOAD);
}

static uint32_t limit_cost(uint32_t us)
{
	return us < MAX_COST ? us : MAX_COST;
}

uint64_t berth_load_timed(uint64_t flows, uint32_t unit, uint32_t response_us)
{
	return (uint64_t)berth_load_value(flows + 1, unit) * limit_cost(response_us);
}

bool berth_load_is_needed(const struct berth_model *model)
{
	return model->needs_load;
}

/* Backends of an adopted image: their flows began before the first scan. */
static void adopt(struct berth_load *load)
{
	const struct berth_image_half current = berth_image_current(load->image);
	load->has_counts = true;
	for (uint32_t n = 0; n < load->image->geometry.backends; n++) {
		load->id[n] = current.backends[n].id;
		load->timed[n] = BERTH_LOAD(&load->image->timings[n].totals);
		if (!load->id[n])
			continue;
		load->new_at_count[n] = load->new_at_scan[n] = berth_counters_new_flows(load->image, n);
		/* Without any flow so far, 0 is the count. */
		load->has_counts &= load->new_at_count[n] == 0;
	}
}

void berth_load_copy(const struct berth_image *to, const struct berth_image *from)
{
	const uint32_t had = from->geometry.backends, has = to->geometry.backends;
	memcpy(to->loads, from->loads, (had < has ? had : has) / BERTH_LOADS_PER_LINE * sizeof(*to->loads));
}

struct berth_load *berth_load_new(struct berth_image *image)
{
	size_t n = image->geometry.backends;
	struct berth_load *load = calloc(1, sizeof(*load));
	if (!load)
		return NULL;
	load->image = image;
	load->id = calloc(n, sizeof(uint64_t));
	load->counted = calloc(n, sizeof(uint64_t));
	load->new_at_count = calloc(n, sizeof(uint64_t));
	load->new_at_scan = calloc(n, sizeof(uint64_t));
	load->timed = calloc(n, sizeof(uint64_t));
	if (load->id && load->counted && load->new_at_count && load->new_at_scan && load->timed) {
		adopt(load);
		return load;
	}
	berth_load_free(load);
	return NULL;
}

void berth_load_free(struct berth_load *load)
{
	if (!load)
		return;
	free(load->id);
	free(load->counted);
	free(load->new_at_count);
	free(load->new_at_scan);
	free(load->timed);
	free(load);
}

static struct berth_load_cell *cell_of(const struct berth_load *load, uint32_t number)
{
	return &load->image->loads[number / BERTH_LOADS_PER_LINE].backend[number % BERTH_LOADS_PER_LINE];
}

/* Resets the figures of a number that was assigned to another backend. */
static void reset_if_reassigned(struct berth_load *load, const struct berth_model_backend *backend)
{
	uint32_t number = backend->number;
	if (load->id[number] == backend->id)
		return;
	load->id[number] = backend->id;
	load->counted[number] = 0;
	load->new_at_count[number] = load->new_at_scan[number] = 0;
	load->timed[number] = BERTH_LOAD(&load->image->timings[number].totals);
	BERTH_STORE(&cell_of(load, number)->cost, 0);
}

/* An upper bound: the scan has already counted some of the flows that began during it. */
static uint64_t estimate(const struct berth_load *load, uint32_t number)
{
	uint64_t now = berth_counters_new_flows(load->image, number);
	uint64_t before = load->new_at_count[number];
	return load->counted[number] + (now > before ? now - before : 0);
}

struct load_sums {
	uint64_t flows;
	uint64_t weight;
};

/* Over the backends that take new clients; the others have no share. */
static struct load_sums sum_loads(const struct berth_load *load, const struct berth_model_service *service)
{
	struct load_sums sums = {0};
	for (size_t i = 0; i < service->n_backends; i++) {
		const struct berth_model_backend *backend = &service->backends[i];
		if (!(berth_model_eligibility(backend) & BERTH_ELIGIBLE_NEW))
			continue;
		sums.flows += estimate(load, backend->number);
		sums.weight += berth_model_weight_hundredths(backend);
	}
	return sums;
}

static uint8_t compute_bits(const struct berth_load *load, const struct berth_model_service *service,
			    const struct berth_model_backend *backend, const struct load_sums *sums)
{
	uint64_t flows = estimate(load, backend->number);
	uint8_t bits = 0;
	if (service->config.bound_percent && berth_model_eligibility(backend) & BERTH_ELIGIBLE_NEW &&
	    berth_load_is_over_share(flows, berth_model_weight_hundredths(backend), sums->flows, sums->weight,
				     service->config.bound_percent))
		bits |= BERTH_OVER_SHARE;
	if (backend->config.max_flows && flows >= backend->config.max_flows)
		bits |= BERTH_AT_LIMIT;
	return bits;
}

static void update_bits(struct berth_load *load, struct berth_model_service *service, berth_load_fn *changed,
			void *arg)
{
	bool has_bits = service->config.bound_percent || service->has_max_flows;
	for (size_t i = 0; i < service->n_backends; i++)
		reset_if_reassigned(load, &service->backends[i]);
	if (!load->has_counts)
		return;
	const struct load_sums sums = has_bits ? sum_loads(load, service) : (struct load_sums){0};
	for (size_t i = 0; i < service->n_backends; i++) {
		struct berth_model_backend *backend = &service->backends[i];
		uint8_t bits = has_bits ? compute_bits(load, service, backend, &sums) : 0;
		if (bits == backend->load)
			continue;
		backend->load = bits;
		changed(arg, backend);
	}
}

/* The mean of the times that are known; 0: none is. */
static uint32_t mean_response_us(const struct berth_model_service *service)
{
	uint64_t sum = 0, n = 0;
	for (size_t i = 0; i < service->n_backends; i++) {
		sum += service->backends[i].response_us;
		n += service->backends[i].response_us != 0;
	}
	return n ? (uint32_t)(sum / n) : 0;
}

/* A backend without a time keeps what a former berthd has found, else the mean of the others at its first count. */
static void store_cost(struct berth_load_cell *cell, uint32_t response_us, uint32_t mean_us, bool is_by_connections)
{
	const uint32_t scale = is_by_connections ? BERTH_COST_OF_CONNECTIONS : 0;
	if (!response_us && cell->cost && (cell->cost & BERTH_COST_OF_CONNECTIONS) == scale)
		return;
	const uint32_t us = response_us ? response_us : mean_us;
	BERTH_STORE(&cell->cost, us ? limit_cost(us) | scale : 0);
}

/* With response-time the flow to come counts, too: else an idle server that is slow would be as good as one that is
 * fast. */
static void store_loads(const struct berth_load *load, const struct berth_model_service *service)
{
	const uint32_t heaviest = berth_model_max_weight_hundredths(service);
	const bool is_timed = service->config.scheduler == BERTH_SCHEDULE_RESPONSE_TIME;
	const uint32_t mean_us = is_timed ? mean_response_us(service) : 0;
	for (size_t i = 0; i < service->n_backends; i++) {
		const struct berth_model_backend *backend = &service->backends[i];
		struct berth_load_cell *cell = cell_of(load, backend->number);
		BERTH_STORE(
			&cell->load,
			berth_load_value(estimate(load, backend->number) + is_timed,
					 berth_model_load_unit(berth_model_weight_hundredths(backend), heaviest)));
		if (is_timed)
			store_cost(cell, backend->response_us, mean_us, backend->is_by_connections);
		else
			BERTH_STORE(&cell->cost, 0);
	}
}

static void take_counts(struct berth_load *load, const struct berth_model_service *service,
			const struct berth_scan *scan)
{
	for (size_t i = 0; i < service->n_backends; i++) {
		uint32_t n = service->backends[i].number;
		reset_if_reassigned(load, &service->backends[i]);
		load->counted[n] = berth_scan_flows(scan, n);
		load->new_at_count[n] = load->new_at_scan[n];
		load->new_at_scan[n] = berth_counters_new_flows(load->image, n);
	}
}

/* Adds the connections that engines have timed since the last call. */
static void take_connections(struct berth_load *load, struct berth_model_service *service, uint64_t now_ms)
{
	const uint64_t sum = (UINT64_C(1) << BERTH_TIMING_SUM_BITS) - 1;
	for (size_t i = 0; i < service->n_backends; i++) {
		struct berth_model_backend *backend = &service->backends[i];
		reset_if_reassigned(load, backend);
		const uint64_t totals = BERTH_LOAD(&load->image->timings[backend->number].totals);
		const uint64_t since = totals - load->timed[backend->number];
		load->timed[backend->number] = totals;
		berth_connect_time_add(&backend->connect, since >> BERTH_TIMING_SUM_BITS, since & sum,
				       berth_health_half_life_ms(service->config.health), now_ms);
	}
}

/* Whether the time of connections is known of each backend that gets new flows. */
static bool has_connect_times(const struct berth_model_service *service, uint64_t now_ms)
{
	const uint32_t half_life_ms = berth_health_half_life_ms(service->config.health);
	bool has_any = false;
	for (size_t i = 0; i < service->n_backends; i++) {
		const struct berth_model_backend *backend = &service->backends[i];
		if (!berth_model_is_eligible(backend))
			continue;
		if (!berth_connect_time_us(&backend->connect, half_life_ms, now_ms))
			return false;
		has_any = true;
	}
	return has_any;
}

static void use_connect_times(struct berth_model_service *service, uint64_t now_ms)
{
	const uint32_t half_life_ms = berth_health_half_life_ms(service->config.health);
	for (size_t i = 0; i < service->n_backends; i++) {
		struct berth_model_backend *backend = &service->backends[i];
		backend->response_us = berth_connect_time_us(&backend->connect, half_life_ms, now_ms);
		backend->is_by_connections = true;
	}
}

void berth_load_update_times(struct berth_load *load, struct berth_model *model, uint64_t now_ms)
{
	for (size_t i = 0; i < model->n_services; i++) {
		struct berth_model_service *service = &model->services[i];
		const bool is_timed = berth_model_times_connections(service);
		if (is_timed)
			take_connections(load, service, now_ms);
		if (is_timed && has_connect_times(service, now_ms))
			use_connect_times(service, now_ms);
	}
}

void berth_load_update_counts(struct berth_load *load, struct berth_model *model, const struct berth_scan *scan,
			      berth_load_fn *changed, void *arg)
{
	for (size_t i = 0; i < model->n_services; i++)
		take_counts(load, &model->services[i], scan);
	load->has_counts = true;
	for (size_t i = 0; i < model->n_services; i++) {
		struct berth_model_service *service = &model->services[i];
		update_bits(load, service, changed, arg);
		if (berth_schedule_compares_loads(service->config.scheduler))
			store_loads(load, service);
	}
}

void berth_load_update_estimates(struct berth_load *load, struct berth_model *model, berth_load_fn *changed,
				 void *arg)
{
	for (size_t i = 0; model->needs_load && i < model->n_services; i++) {
		struct berth_model_service *service = &model->services[i];
		if ((service->config.bound_percent || service->has_max_flows) &&
		    service->n_backends * load->image->geometry.workers <= MAX_READS)
			update_bits(load, service, changed, arg);
	}
}
