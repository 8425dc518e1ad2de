// SPDX-License-Identifier: BSD-3-Clause
/*
 * A cluster of 100 nodes with 10^9 flows, while 1% of its 10,000 backends change per hour: how many flows are
 * exceptions, and how many records of them the nodes tell each other. Flows are a sample, each of which stands for
 * thousands; what selection gives and what an exception is are decided by the functions of the nodes themselves, on
 * a published image. Time is simulated.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/cluster/exceptions.h"
#include "controlplane/cluster/record.h"
#include "tests/bench/support/bench.h"
#include "tests/bench/support/fleet.h"

enum {
	NODES = 100,
	STEP_S = 10, /* from scan to scan */
	HOURS = 4,   /* simulated; figures are of the second half */
	QUICK_HOURS = 1,
	SAMPLE = 100000, /* flows */
	QUICK_SAMPLE = 20000,
	CHANGES_PER_HOUR = FLEET_SERVICES * FLEET_BACKENDS / 100,
	FAILURE_S = 300, /* a backend is down for so long; every other change is one that is replaced for ever */
	HOUR_S = 3600,
	SHORT_S = 30, /* mean lives of flows: of 90% of the new ones, and of the others */
	LONG_S = 3600,
	WORD_BYTES = 8,
	SLOT_BYTES = 16, /* of the set of a node's own exceptions; at most half of the slots are in use */
};

static const double FLOWS = 1e9;
static const double SHORT_SHARE = 0.9; /* of new flows */

struct flow {
	uint32_t tag;
	uint32_t service; /* numbers */
	uint32_t backend;
	uint32_t end_s;
};

struct failure {
	struct berth_model_backend *backend;
	uint64_t id;
	uint32_t until_s;
};

struct simulation {
	struct fleet fleet;
	struct flow *flows;
	uint32_t n_flows;
	struct berth_exceptions *set;
	struct failure failures[CHANGES_PER_HOUR];
	uint32_t n_failures;
	uint32_t replaced;
	uint64_t random;
	struct sums {
		uint64_t held, most_held, begun, told[BERTH_EXCEPTION_LOST + 1];
	} sums; /* over steps, of the sample */
};

static uint64_t next_random(struct simulation *simulation)
{
	simulation->random ^= simulation->random << 13;
	simulation->random ^= simulation->random >> 7;
	simulation->random ^= simulation->random << 17;
	return simulation->random;
}

static double next_share(struct simulation *simulation)
{
	return (double)(next_random(simulation) >> 11) / (double)(UINT64_C(1) << 53);
}

static uint32_t select_for(const struct berth_view *view, const struct flow *flow)
{
	return (uint32_t)berth_select_stateless(view, flow->service, flow->tag);
}

static void begin(struct simulation *simulation, const struct berth_view *view, struct flow *flow, uint32_t now_s,
		  double short_share)
{
	const struct berth_model *model = &simulation->fleet.model;
	const double mean = next_share(simulation) < short_share ? SHORT_S : LONG_S;
	flow->tag = (uint32_t)next_random(simulation) & ((1u << BERTH_TAG_BITS) - 1);
	flow->service = model->services[next_random(simulation) % model->n_services].number;
	flow->backend = select_for(view, flow);
	flow->end_s = now_s + 1 + (uint32_t)(-log(1 - next_share(simulation)) * mean);
}

/* --- changes --- */

static void replace(struct simulation *simulation, uint32_t service, uint32_t backend)
{
	char error[BERTH_ERROR_BYTES] = "";
	struct berth_model *model = &simulation->fleet.model;
	struct berth_config *config = berth_config_copy_configured(model->config);
	struct berth_backend_config *changed = config ? &config->services[service].backends[backend] : NULL;
	if (changed)
		snprintf(changed->name, sizeof(changed->name), "new%u", ++simulation->replaced);
	if (!config || berth_model_apply(model, config, error)) {
		fprintf(stderr, "exceptions: %s\n", error);
		exit(1);
	}
	/* It is up at once: what is measured begins then. */
	for (size_t i = 0; i < model->services[service].n_backends; i++) {
		struct berth_model_backend *one = &model->services[service].backends[i];
		if (one->health == BERTH_HEALTH_UNKNOWN)
			one->health = BERTH_HEALTH_UP;
		one->next_hop = (struct berth_next_hop){.is_resolved = true, .mtu = 1500};
	}
}

static void change_one(struct simulation *simulation, uint32_t now_s)
{
	struct berth_model *model = &simulation->fleet.model;
	const uint32_t service = (uint32_t)(next_random(simulation) % model->n_services);
	const uint32_t at = (uint32_t)(next_random(simulation) % FLEET_BACKENDS);
	if (next_random(simulation) & 1 || simulation->n_failures == CHANGES_PER_HOUR) {
		replace(simulation, service, at);
		return;
	}
	struct berth_model_backend *backend = &model->services[service].backends[at];
	backend->health = BERTH_HEALTH_DOWN;
	simulation->failures[simulation->n_failures++] = (struct failure){.id = backend->id,
									  .until_s = now_s + FAILURE_S};
}

/* Returns how many have changed. */
static uint32_t repair(struct simulation *simulation, uint32_t now_s)
{
	uint32_t left = 0, repaired = 0;
	for (uint32_t i = 0; i < simulation->n_failures; i++) {
		const struct failure failure = simulation->failures[i];
		if (failure.until_s > now_s) {
			simulation->failures[left++] = failure;
			continue;
		}
		struct berth_model_service *service;
		struct berth_model_backend *backend = berth_model_backend_by_id(&simulation->fleet.model,
										failure.id, &service);
		if (backend) /* else it was replaced meanwhile */
			backend->health = BERTH_HEALTH_UP;
		repaired++;
	}
	simulation->n_failures = left;
	return repaired;
}

static void change(struct simulation *simulation, uint32_t now_s)
{
	const double expected = (double)CHANGES_PER_HOUR * STEP_S / HOUR_S;
	uint32_t n = (uint32_t)expected;
	n += next_share(simulation) < expected - n;
	for (uint32_t i = 0; i < n; i++)
		change_one(simulation, now_s);
	if (repair(simulation, now_s) + n)
		fleet_publish(&simulation->fleet);
}

/* --- flows --- */

static void follow(struct simulation *simulation, const struct berth_view *view, uint32_t i, uint32_t now_s)
{
	struct flow *flow = &simulation->flows[i];
	if (flow->end_s <= now_s) {
		begin(simulation, view, flow, now_s, SHORT_SHARE);
		simulation->sums.begun++;
	}
	if (!(berth_eligibility(view, flow->backend) & BERTH_ELIGIBLE_FLOWS))
		flow->backend = select_for(view, flow);
	const uint64_t word = berth_word_make(flow->tag, flow->backend, now_s, BERTH_STATE_CONFIRMED);
	if (!berth_is_exception(view, BERTH_TABLE_FLOWS, word))
		return;
	const struct berth_exception_key key = {.tag = flow->tag, .low = i, .table = BERTH_TABLE_FLOWS};
	const struct berth_service *service = berth_service_of(view, flow->service);
	simulation->sums.told[berth_exceptions_show(simulation->set, &key, (uint16_t)flow->backend, now_s,
						    service->timeout[BERTH_STATE_CONFIRMED])]++;
}

static void ignore(void *arg, const struct berth_exception_key *key, uint16_t backend)
{
	(void)arg;
	(void)key;
	(void)backend;
}

static void step(struct simulation *simulation, uint32_t now_s)
{
	change(simulation, now_s);
	const struct berth_view view = berth_image_view(&simulation->fleet.engine.image, now_s, 0);
	for (uint32_t i = 0; i < simulation->n_flows; i++)
		follow(simulation, &view, i, now_s);
	berth_model_scan_ended(&simulation->fleet.model);
	berth_exceptions_scan_ended(simulation->set);
	berth_exceptions_sweep(simulation->set, berth_exceptions_slots(simulation->set), ignore, NULL);
	const uint32_t held = berth_exceptions_count(simulation->set);
	simulation->sums.held += held;
	if (held > simulation->sums.most_held)
		simulation->sums.most_held = held;
}

static void start(struct simulation *simulation, uint32_t flows)
{
	memset(simulation, 0, sizeof(*simulation));
	simulation->random = 1;
	simulation->n_flows = flows;
	simulation->flows = calloc(flows, sizeof(*simulation->flows));
	simulation->set = berth_exceptions_new(flows);
	if (!simulation->flows || !simulation->set) {
		fprintf(stderr, "exceptions: out of memory\n");
		exit(1);
	}
	fleet_make(&simulation->fleet);
	/* Those that are there at one moment are longer ones than those that begin. */
	const double weight = SHORT_SHARE * SHORT_S;
	const struct berth_view view = berth_image_view(&simulation->fleet.engine.image, HOUR_S, 0);
	for (uint32_t i = 0; i < flows; i++)
		begin(simulation, &view, &simulation->flows[i], HOUR_S,
		      weight / (weight + (1 - SHORT_SHARE) * LONG_S));
}

/* --- figures --- */

static void print(const char *id, const char *unit, double value, const char *baseline, double baseline_value)
{
	const struct bench_row row = {
		.id = id,
		.unit = unit,
		.value = value,
		.baseline = baseline,
		.baseline_value = baseline_value,
		.ratio = baseline ? baseline_value / value : 0,
	};
	bench_print(&row);
}

static void report(const struct simulation *simulation, uint32_t steps)
{
	const double each = FLOWS / simulation->n_flows, seconds = (double)steps * STEP_S;
	const double held = each * (double)simulation->sums.held / steps,
		     most = each * (double)simulation->sums.most_held;
	const double begun = each * (double)simulation->sums.begun / seconds;
	uint64_t told = 0;
	for (int news = BERTH_EXCEPTION_NEW; news <= BERTH_EXCEPTION_REFRESHED; news++)
		told += simulation->sums.told[news];
	const double records = each * (double)told / seconds;
	print("cluster.held", "M flows", held / 1e6, "all flows", FLOWS / 1e6);
	print("cluster.held.most", "M flows", most / 1e6, "all flows", FLOWS / 1e6);
	print("cluster.records", "k/s", records / 1e3, "every new flow", begun / 1e3);
	print("cluster.bytes", "MB/s", records * BERTH_CLUSTER_RECORD_BYTES / 1e6, "every new flow",
	      begun * BERTH_CLUSTER_RECORD_BYTES / 1e6);
	print("cluster.records.node", "k/s", records / NODES / 1e3, NULL, 0);
	print("cluster.refreshed", "k/s",
	      each * (double)simulation->sums.told[BERTH_EXCEPTION_REFRESHED] / seconds / 1e3, NULL, 0);
	print("cluster.memory.all", "MB/node", (most * WORD_BYTES + 2 * most / NODES * SLOT_BYTES) / 1e6,
	      "words of all flows", FLOWS * WORD_BYTES / 1e6);
	print("cluster.memory.pair", "MB/node",
	      (2 * most / NODES * WORD_BYTES + 2 * most / NODES * SLOT_BYTES) / 1e6, "words of all flows",
	      FLOWS * WORD_BYTES / 1e6);
}

int main(int argc, char **argv)
{
	static struct simulation simulation;
	const bool quick = bench_quick(&argc, &argv);
	const uint32_t steps = (quick ? QUICK_HOURS : HOURS) * HOUR_S / STEP_S;
	start(&simulation, quick ? QUICK_SAMPLE : SAMPLE);
	for (uint32_t i = 1; i <= steps; i++) {
		step(&simulation, HOUR_S + i * STEP_S);
		if (i == steps / 2)
			simulation.sums = (struct sums){0};
	}
	report(&simulation, steps - steps / 2);
	fleet_drop(&simulation.fleet);
	berth_exceptions_free(simulation.set);
	free(simulation.flows);
	return 0;
}
