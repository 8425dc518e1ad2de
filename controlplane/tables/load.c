// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/tables/load.h"

#include <stdlib.h>

enum {
	HUNDREDTHS = 100,
	UNIT = 64, /* so that weights which differ by 1% differ in their units; a load of 2^31 is 33 million flows
		    */
	MAX_LOAD = INT32_MAX, /* leaves the workers room to add to */
	BUDGET = 10,	      /* a scan takes at most one part in so many of the processor */
	/* In a tick: some 2 ms of the 20, at 16 ns a bucket. So a table for 50 million flows is walked in 1.3 s. */
	MAX_BUCKETS = 131072,
	MAX_IDLE_BUCKETS = 65536,
	/* Counters that are read in a tick; where there are more, backends times workers, only counts tell. */
	MAX_READS = 16384,
};

struct berth_load {
	struct berth_image *image;
	bool knows; /* a scan has ended; until then backends are called what they were called before */
	/* By backend number. */
	uint64_t *id;	   /* whose figures these are */
	uint64_t *counted; /* flows that the last scan found */
	uint64_t *began;   /* new flows in all, when that scan began */
	uint64_t *begins;  /* when the one under way did */
};

uint32_t berth_load_buckets(uint64_t buckets, bool needed, uint64_t pass_us)
{
	uint64_t wanted_ms = needed ? BERTH_LOAD_COUNT_MS : BERTH_LOAD_IDLE_MS;
	uint64_t budget_ms = (pass_us * BUDGET + 999) / 1000;
	uint64_t ticks = (wanted_ms > budget_ms ? wanted_ms : budget_ms) / BERTH_LOAD_TICK_MS;
	uint64_t a_tick = (buckets + ticks - 1) / ticks;
	uint64_t most = needed ? MAX_BUCKETS : MAX_IDLE_BUCKETS;
	return (uint32_t)(a_tick < most ? a_tick : most);
}

bool berth_load_is_full(uint64_t flows, uint64_t weight, uint64_t all_flows, uint64_t all_weight, uint32_t bound)
{
	/* At most 2e8 flows, 65534 backends, weights of 10000 tenths: below 2^64. */
	return flows * all_weight * HUNDREDTHS > all_flows * weight * bound;
}

uint32_t berth_load_unit(uint32_t weight, uint32_t heaviest)
{
	return weight ? (uint32_t)(((uint64_t)heaviest * UNIT + weight / 2) / weight) : 0;
}

bool berth_load_is_needed(const struct berth_model *model)
{
	for (size_t i = 0; i < model->n_services; i++) {
		const struct berth_model_service *service = &model->services[i];
		if (service->config.bound || service->limited ||
		    service->config.scheduler == BERTH_SCHEDULE_LEAST_CONN)
			return true;
	}
	return false;
}

/* New flows of a backend since it is in the tables. */
static uint64_t begun(const struct berth_image *image, uint32_t number)
{
	const uint32_t stride = image->geometry.services + image->geometry.backends;
	const struct berth_tally *tally = &image->tallies[image->geometry.services + number];
	uint64_t sum = 0;
	for (uint32_t w = 0; w < image->geometry.workers; w++)
		sum += BERTH_LOAD(&tally[(size_t)w * stride].flows);
	return sum;
}

/* What the workers have counted for those who are there began before the scan that begins now. */
static void adopt(struct berth_load *load)
{
	const struct berth_geometry *g = &load->image->geometry;
	uint32_t half = (uint32_t)load->image->ctl->generation & 1;
	load->knows = true;
	for (uint32_t n = 0; n < g->backends; n++) {
		load->id[n] = load->image->backends[half * g->backends + n].id;
		if (!load->id[n])
			continue;
		load->began[n] = load->begins[n] = begun(load->image, n);
		/* Where nothing has ever begun there is nothing to count. */
		load->knows &= load->began[n] == 0;
	}
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
	load->began = calloc(n, sizeof(uint64_t));
	load->begins = calloc(n, sizeof(uint64_t));
	if (load->id && load->counted && load->began && load->begins) {
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
	free(load->began);
	free(load->begins);
	free(load);
}

/* A number that is another backend's than before: what was found of that one is nothing of this one's, and its
 * tally counts from zero. */
static void meet(struct berth_load *load, const struct berth_model_backend *backend)
{
	uint32_t number = backend->number;
	if (load->id[number] == backend->id)
		return;
	load->id[number] = backend->id;
	load->counted[number] = 0;
	load->began[number] = load->begins[number] = 0;
}

/* What it has, at most: of those that began while the scan was on its way some are counted already. */
static uint64_t estimate(const struct berth_load *load, uint32_t number)
{
	uint64_t now = begun(load->image, number);
	return load->counted[number] + (now > load->began[number] ? now - load->began[number] : 0);
}

struct sums {
	uint64_t flows;
	uint64_t weight;
};

/* Of those who share what is new: a backend that leaves has no share. */
static struct sums sums_of(const struct berth_load *load, const struct berth_model_service *service)
{
	struct sums sums = {0};
	for (size_t i = 0; i < service->n_backends; i++) {
		const struct berth_model_backend *backend = &service->backends[i];
		if (!(berth_model_eligibility(backend) & BERTH_ELIGIBLE_NEW))
			continue;
		sums.flows += estimate(load, backend->number);
		sums.weight += berth_model_weight(backend);
	}
	return sums;
}

static uint8_t bits_of(const struct berth_load *load, const struct berth_model_service *service,
		       const struct berth_model_backend *backend, const struct sums *sums)
{
	uint64_t flows = estimate(load, backend->number);
	uint8_t bits = 0;
	if (service->config.bound && berth_model_eligibility(backend) & BERTH_ELIGIBLE_NEW &&
	    berth_load_is_full(flows, berth_model_weight(backend), sums->flows, sums->weight,
			       service->config.bound))
		bits |= BERTH_OVER_SHARE;
	if (backend->config.max_flows && flows >= backend->config.max_flows)
		bits |= BERTH_AT_LIMIT;
	return bits;
}

static void judge(struct berth_load *load, struct berth_model_service *service, berth_load_fn *changed, void *arg)
{
	bool depends = service->config.bound || service->limited;
	for (size_t i = 0; i < service->n_backends; i++)
		meet(load, &service->backends[i]);
	if (!load->knows)
		return;
	const struct sums sums = depends ? sums_of(load, service) : (struct sums){0};
	for (size_t i = 0; i < service->n_backends; i++) {
		struct berth_model_backend *backend = &service->backends[i];
		uint8_t bits = depends ? bits_of(load, service, backend, &sums) : 0;
		if (bits == backend->load)
			continue;
		backend->load = bits;
		changed(arg, backend);
	}
}

static void store_loads(const struct berth_load *load, const struct berth_model_service *service)
{
	const uint32_t heaviest = berth_model_heaviest(service);
	for (size_t i = 0; i < service->n_backends; i++) {
		const struct berth_model_backend *backend = &service->backends[i];
		struct berth_load_line *line = &load->image->loads[backend->number / BERTH_LOADS_PER_LINE];
		uint64_t value = estimate(load, backend->number) *
				 berth_load_unit(berth_model_weight(backend), heaviest);
		BERTH_STORE(&line->backend[backend->number % BERTH_LOADS_PER_LINE],
			    (uint32_t)(value < MAX_LOAD ? value : MAX_LOAD));
	}
}

/* What a whole scan found of a service. */
static void learn(struct berth_load *load, const struct berth_model_service *service, const struct berth_scan *scan)
{
	for (size_t i = 0; i < service->n_backends; i++) {
		uint32_t n = service->backends[i].number;
		meet(load, &service->backends[i]);
		load->counted[n] = berth_scan_flows(scan, n);
		load->began[n] = load->begins[n];
		load->begins[n] = begun(load->image, n);
	}
}

void berth_load_counted(struct berth_load *load, struct berth_model *model, const struct berth_scan *scan,
			berth_load_fn *changed, void *arg)
{
	for (size_t i = 0; i < model->n_services; i++)
		learn(load, &model->services[i], scan);
	load->knows = true;
	for (size_t i = 0; i < model->n_services; i++) {
		struct berth_model_service *service = &model->services[i];
		judge(load, service, changed, arg);
		if (service->config.scheduler == BERTH_SCHEDULE_LEAST_CONN)
			store_loads(load, service);
	}
}

void berth_load_tick(struct berth_load *load, struct berth_model *model, berth_load_fn *changed, void *arg)
{
	for (size_t i = 0; i < model->n_services; i++) {
		struct berth_model_service *service = &model->services[i];
		if ((service->config.bound || service->limited) &&
		    service->n_backends * load->image->geometry.workers <= MAX_READS)
			judge(load, service, changed, arg);
	}
}
