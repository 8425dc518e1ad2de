// SPDX-License-Identifier: BSD-3-Clause
/* Loads: over share, at the limit, the loads and costs that least-conn and response-time compare, and the frequency
 * of counts.
 */
#include "tests/support/control.h"

#include "controlplane/tables/load.h"
#include "dataplane/core/flowtab.h"

#define SERVICE(keys, backends)                                                                                    \
	"  - {name: web, address: 203.0.113.10, port: 80, mode: l2, table-size: 251, " keys "backends: [" backends \
	"]}"                                                                                                       \
	"\n"

struct load_rig {
	struct berth_model model;
	struct berth_engine *engine;
	struct berth_scan *scan;
	struct berth_load *load;
	unsigned int changes;
};

static struct load_rig *rig_make(const char *services)
{
	struct load_rig *rig = calloc(1, sizeof(*rig));
	char error[BERTH_ERROR_BYTES];
	struct berth_config *config = configure(services);
	rig->engine = null_engine(config);
	rig->scan = berth_scan_new(&rig->engine->image);
	rig->load = berth_load_new(&rig->engine->image);
	assert_int_equal(berth_model_init(&rig->model, &rig->engine->image.geometry), 0);
	assert_int_equal(berth_model_apply(&rig->model, config, error), 0);
	all_up(&rig->model);
	publish_once(rig->engine, &rig->model);
	return rig;
}

static void drop(struct load_rig *rig)
{
	berth_scan_free(rig->scan);
	berth_load_free(rig->load);
	rig->engine->ops->close(rig->engine, true);
	berth_model_clear(&rig->model);
	free(rig);
}

static struct berth_model_backend *at(struct load_rig *rig, size_t i)
{
	return &rig->model.services[0].backends[i];
}

static void on_change(void *arg, const struct berth_model_backend *backend)
{
	struct load_rig *rig = arg;
	(void)backend;
	rig->changes++;
}

/* Inserts these numbers of flows for the service's backends. */
static void fill(struct load_rig *rig, const unsigned int *flows)
{
	const struct berth_image *image = &rig->engine->image;
	memset(image->flows, 0, image->geometry.flow_buckets * sizeof(*image->flows));
	unsigned int n = 0;
	for (size_t i = 0; i < rig->model.services[0].n_backends; i++)
		for (unsigned int k = 0; k < flows[i]; k++, n++)
			image->flows[n / BERTH_BUCKET_WORDS].word[n % BERTH_BUCKET_WORDS] = berth_word_make(
				n, at(rig, i)->number, 100, BERTH_STATE_CONFIRMED);
	assert_true(n < image->geometry.flow_buckets * BERTH_BUCKET_WORDS);
}

static void count(struct load_rig *rig)
{
	while (!berth_scan_step(rig->scan, 1000, 100))
		;
	rig->changes = 0;
	berth_load_update_counts(rig->load, &rig->model, rig->scan, on_change, rig);
}

static void tick(struct load_rig *rig)
{
	rig->changes = 0;
	berth_load_update_estimates(rig->load, &rig->model, on_change, rig);
}

/* New flows, as worker 1 counts them. */
static void begin(struct load_rig *rig, size_t i, unsigned int flows)
{
	const struct berth_geometry *g = &rig->engine->image.geometry;
	rig->engine->image.tallies[1 * (g->services + g->backends) + g->services + at(rig, i)->number].flows +=
		flows;
}

static void expect_bits(struct load_rig *rig, const uint8_t *bits, size_t n)
{
	assert_int_equal(rig->model.services[0].n_backends, n);
	for (size_t i = 0; i < n; i++) {
		if (at(rig, i)->load != bits[i])
			fail_msg("backend %zu: %u, not %u", i, at(rig, i)->load, bits[i]);
		assert_int_equal(berth_model_eligibility(at(rig, i)) & (BERTH_OVER_SHARE | BERTH_AT_LIMIT),
				 bits[i]);
	}
}

#define FLOWS(...) ((const unsigned int[]){__VA_ARGS__})
#define BITS(...) ((const uint8_t[]){__VA_ARGS__})
#define expect(rig, bits) expect_bits(rig, bits, sizeof(bits))
#define FULL BERTH_OVER_SHARE
#define LIMIT BERTH_AT_LIMIT

#define THREE "{name: a, address: 192.0.2.1}, {name: b, address: 192.0.2.2}, {name: c, address: 192.0.2.3}"

static void a_backend_is_over_its_share_above_bound_times_its_share(void **state)
{
	(void)state;
	static const struct {
		uint64_t flows, weight, all_flows, all_weight;
		uint32_t bound;
		bool full;
	} cases[] = {
		{125, 100, 400, 400, 125, false},
		{126, 100, 400, 400, 125, true},
		{0, 100, 0, 100, 125, false},
		{1, 100, 1, 200, 125, true},
		{1, 100, 2, 200, 125, false},
		{1050, 1, 10000, 10, 105, false},
		{1051, 1, 10000, 10, 105, true},
		/* The highest possible figures. */
		{200000000, 10000, 200000000, UINT64_C(655340000), 1000, true},
		{30000, 10000, 200000000, UINT64_C(655340000), 1000, false},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(berth_load_is_over_share(cases[i].flows, cases[i].weight, cases[i].all_flows,
							  cases[i].all_weight, cases[i].bound),
				 cases[i].full);
}

static void a_count_sets_and_clears_the_over_share_bit(void **state)
{
	(void)state;
	struct load_rig *rig = rig_make(SERVICE("scheduler: bounded, ", THREE));
	fill(rig, FLOWS(50, 25, 25));
	count(rig);
	expect(rig, BITS(FULL, 0, 0));
	assert_int_equal(rig->changes, 1);
	count(rig);
	assert_int_equal(rig->changes, 0);
	fill(rig, FLOWS(40, 30, 30));
	count(rig);
	expect(rig, BITS(0, 0, 0));
	assert_int_equal(rig->changes, 1);
	drop(rig);
}

static void shares_follow_the_weights_of_backends_that_take_new_flows(void **state)
{
	(void)state;
	struct load_rig *rig = rig_make(SERVICE("scheduler: bounded, bound: 1.5, ",
						"{name: a, address: 192.0.2.1, weight: 300}, {name: b, "
						"address: 192.0.2.2}, {name: c, address: 192.0.2.3}"));
	fill(rig, FLOWS(80, 10, 10));
	count(rig);
	expect(rig, BITS(0, 0, 0));
	/* A draining backend has no share, and its flows do not count. */
	at(rig, 2)->admin = BERTH_ADMIN_DRAINING;
	fill(rig, FLOWS(10, 11, 79));
	count(rig);
	expect(rig, BITS(0, FULL, 0));
	at(rig, 2)->admin = BERTH_ADMIN_ENABLED;
	at(rig, 0)->health = BERTH_HEALTH_DOWN;
	fill(rig, FLOWS(79, 11, 10));
	count(rig);
	expect(rig, BITS(0, 0, 0));
	drop(rig);
}

static void max_flows_limits_with_every_scheduler(void **state)
{
	(void)state;
	struct load_rig *rig = rig_make(
		SERVICE("", "{name: a, address: 192.0.2.1, max-flows: 10}, {name: b, address: 192.0.2.2}"));
	fill(rig, FLOWS(10, 30));
	count(rig);
	expect(rig, BITS(LIMIT, 0));
	fill(rig, FLOWS(9, 30));
	count(rig);
	expect(rig, BITS(0, 0));
	drop(rig);
}

static void new_flows_are_added_between_two_counts(void **state)
{
	(void)state;
	struct load_rig *rig = rig_make(
		SERVICE("scheduler: bounded, ",
			"{name: a, address: 192.0.2.1, max-flows: 50}, {name: b, address: 192.0.2.2}"));
	fill(rig, FLOWS(20, 20));
	begin(rig, 0, 20);
	begin(rig, 1, 20);
	count(rig); /* these may have begun during this scan; only the next count has all of them */
	count(rig);
	tick(rig);
	expect(rig, BITS(0, 0));
	begin(rig, 0, 15);
	tick(rig);
	expect(rig, BITS(FULL, 0));
	begin(rig, 1, 15);
	tick(rig);
	expect(rig, BITS(0, 0));
	begin(rig, 0, 15);
	begin(rig, 1, 15);
	tick(rig);
	expect(rig, BITS(LIMIT, 0));
	/* These flows have ended. */
	count(rig);
	count(rig);
	expect(rig, BITS(0, 0));
	drop(rig);
}

/* The scan may have passed their buckets before they began. */
static void flows_that_began_during_a_scan_are_added_to_its_count(void **state)
{
	(void)state;
	struct load_rig *rig = rig_make(SERVICE("", "{name: a, address: 192.0.2.1, max-flows: 30}"));
	fill(rig, FLOWS(20));
	count(rig);
	berth_scan_step(rig->scan, 1, 100);
	begin(rig, 0, 10);
	count(rig);
	expect(rig, BITS(LIMIT));
	count(rig);
	expect(rig, BITS(0));
	drop(rig);
}

static void a_reassigned_number_starts_at_zero(void **state)
{
	(void)state;
	struct load_rig *rig = rig_make(SERVICE("", "{name: a, address: 192.0.2.1, max-flows: 30}"));
	begin(rig, 0, 1000);
	fill(rig, FLOWS(30));
	count(rig);
	count(rig);
	expect(rig, BITS(LIMIT));
	const struct berth_geometry *g = &rig->engine->image.geometry;
	rig->engine->image.tallies[1 * (g->services + g->backends) + g->services + at(rig, 0)->number].flows = 0;
	at(rig, 0)->id++;
	at(rig, 0)->load = 0;
	begin(rig, 0, 29);
	tick(rig);
	expect(rig, BITS(0));
	begin(rig, 0, 1);
	tick(rig);
	expect(rig, BITS(LIMIT));
	drop(rig);
}

/* The workers' totals do not tell how many of these flows are still live. */
static void a_restarted_berthd_keeps_the_bits_until_its_first_count(void **state)
{
	(void)state;
	struct load_rig *rig = rig_make(SERVICE("scheduler: bounded, ",
						"{name: a, address: 192.0.2.1, max-flows: 30}, {name: b, address: "
						"192.0.2.2, max-flows: 30}"));
	begin(rig, 0, 1000);
	berth_load_free(rig->load);
	rig->load = berth_load_new(&rig->engine->image);
	at(rig, 1)->load = LIMIT;
	tick(rig);
	expect(rig, BITS(0, LIMIT));
	fill(rig, FLOWS(20, 20));
	begin(rig, 0, 5);
	tick(rig);
	expect(rig, BITS(0, LIMIT));
	count(rig);
	expect(rig, BITS(0, 0));
	begin(rig, 0, 5);
	tick(rig);
	expect(rig, BITS(LIMIT, 0));
	drop(rig);
}

/* A backend that is new with this berthd: its flows before the first count are counted. */
static void a_restarted_berthd_counts_all_flows_of_a_new_backend(void **state)
{
	(void)state;
	struct load_rig *rig = rig_make(SERVICE("", "{name: a, address: 192.0.2.1, max-flows: 30}"));
	begin(rig, 0, 1);
	berth_load_free(rig->load);
	rig->load = berth_load_new(&rig->engine->image);
	const struct berth_geometry *g = &rig->engine->image.geometry;
	rig->engine->image.tallies[1 * (g->services + g->backends) + g->services + at(rig, 0)->number].flows = 0;
	at(rig, 0)->id++;
	begin(rig, 0, 12);
	tick(rig);
	fill(rig, FLOWS(20));
	count(rig);
	expect(rig, BITS(LIMIT));
	count(rig);
	expect(rig, BITS(0));
	drop(rig);
}

static void without_bounds_no_backend_has_bits(void **state)
{
	(void)state;
	struct load_rig *rig = rig_make(SERVICE("", THREE));
	assert_false(berth_load_is_needed(&rig->model));
	at(rig, 0)->load = BERTH_OVER_SHARE | BERTH_AT_LIMIT; /* of the former configuration */
	fill(rig, FLOWS(100, 0, 0));
	count(rig);
	expect(rig, BITS(0, 0, 0));
	drop(rig);
}

static struct berth_load_cell cell_of(struct load_rig *rig, size_t i)
{
	uint32_t n = at(rig, i)->number;
	return rig->engine->image.loads[n / BERTH_LOADS_PER_LINE].backend[n % BERTH_LOADS_PER_LINE];
}

static uint32_t load_of(struct load_rig *rig, size_t i)
{
	return cell_of(rig, i).load;
}

static void least_conn_compares_flows_by_weight(void **state)
{
	(void)state;
	struct load_rig *rig = rig_make(SERVICE("scheduler: least-conn, ",
						"{name: a, address: 192.0.2.1, weight: 200}, {name: b, address: "
						"192.0.2.2}, {name: c, address: 192.0.2.3, weight: 0}"));
	assert_true(berth_load_is_needed(&rig->model));
	fill(rig, FLOWS(20, 10, 7));
	count(rig);
	assert_int_equal(load_of(rig, 0), 20 * 64);
	assert_int_equal(load_of(rig, 1), 10 * 128);
	assert_int_equal(load_of(rig, 2), 0);
	/* The unit that workers add per flow. */
	const struct berth_image *image = &rig->engine->image;
	const struct berth_image_half current = berth_image_current(image);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(current.backends[at(rig, i)->number].load_unit, i == 2 ? 0 : 64 << i);
	drop(rig);
}

/* The flow to come counts, too. A time that is not known yet is the mean, one that is no longer known stays. */
static void response_time_compares_flows_by_weight_times_the_servers_times(void **state)
{
	(void)state;
	struct load_rig *rig = rig_make(SERVICE(
		"scheduler: response-time, ",
		"{name: a, address: 192.0.2.1, weight: 200}, {name: b, address: 192.0.2.2}, {name: c, address: "
		"192.0.2.3}"));
	assert_true(berth_load_is_needed(&rig->model));
	fill(rig, FLOWS(20, 10, 0));
	count(rig);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(cell_of(rig, i).cost, 0);
	at(rig, 0)->response_us = 1000;
	at(rig, 1)->response_us = 3000;
	count(rig);
	assert_int_equal(load_of(rig, 0), 21 * 64);
	assert_int_equal(load_of(rig, 1), 11 * 128);
	assert_int_equal(load_of(rig, 2), 1 * 128);
	assert_int_equal(cell_of(rig, 0).cost, 1000);
	assert_int_equal(cell_of(rig, 1).cost, 3000);
	assert_int_equal(cell_of(rig, 2).cost, 2000);
	at(rig, 1)->response_us = 0;
	count(rig);
	assert_int_equal(cell_of(rig, 1).cost, 3000);
	at(rig, 1)->id++;
	count(rig);
	assert_int_equal(cell_of(rig, 1).cost, 1000);
	rig->model.services[0].config.scheduler = BERTH_SCHEDULE_LEAST_CONN;
	count(rig);
	assert_int_equal(load_of(rig, 0), 20 * 64);
	assert_int_equal(cell_of(rig, 0).cost, 0);
	drop(rig);
}

/* Engines have timed so many connections of a backend, of `us` each. */
static void connect(struct load_rig *rig, size_t i, uint64_t n, uint64_t us)
{
	rig->engine->image.timings[at(rig, i)->number].totals += (n << BERTH_TIMING_SUM_BITS) + n * us;
}

/* A count at `now_ms`, with these times of probes. */
static void count_times(struct load_rig *rig, uint32_t us0, uint32_t us1, uint64_t now_ms)
{
	at(rig, 0)->response_us = us0;
	at(rig, 1)->response_us = us1;
	at(rig, 0)->is_by_connections = at(rig, 1)->is_by_connections = false;
	berth_load_update_times(rig->load, &rig->model, now_ms);
	count(rig);
}

static struct load_rig *rig_nat(const char *protocol)
{
	char services[1024];
	snprintf(services, sizeof(services),
		 "  - {name: web, address: 203.0.113.10, port: 80, mode: nat, table-size: 251, protocol: %s, "
		 "scheduler: response-time, health: {type: icmp, half-life: 1s}, "
		 "backends: [{name: a, address: 192.0.2.1}, {name: b, address: 192.0.2.2}]}\n",
		 protocol);
	struct load_rig *rig = rig_make(services);
	/* From then on its engine's totals are read. */
	count_times(rig, 0, 0, 0);
	return rig;
}

static const uint32_t of_connections = BERTH_COST_OF_CONNECTIONS;

static void in_mode_nat_the_times_of_connections_count_once_each_backend_has_them(void **state)
{
	(void)state;
	struct load_rig *rig = rig_nat("tcp");
	connect(rig, 0, 20, 300);
	connect(rig, 1, 7, 900);
	count_times(rig, 5000, 7000, 1000);
	assert_int_equal(cell_of(rig, 0).cost, 5000);
	assert_int_equal(cell_of(rig, 1).cost, 7000);
	connect(rig, 0, 1, 300);
	connect(rig, 1, 1, 900);
	count_times(rig, 5000, 7000, 1250);
	assert_int_equal(cell_of(rig, 0).cost, of_connections | 300);
	assert_int_equal(cell_of(rig, 1).cost, of_connections | 900);
	assert_int_equal(at(rig, 1)->response_us, 900);
	assert_true(at(rig, 1)->is_by_connections);
	/* For ten half-lives after the last ones. */
	connect(rig, 0, 1, 300);
	count_times(rig, 5000, 7000, 11250);
	assert_int_equal(cell_of(rig, 1).cost, of_connections | 900);
	count_times(rig, 5000, 7000, 11251);
	assert_int_equal(cell_of(rig, 0).cost, 5000);
	assert_int_equal(cell_of(rig, 1).cost, 7000);
	assert_false(at(rig, 1)->is_by_connections);
	drop(rig);
}

/* It cannot have any, and it does not keep the others from theirs. */
static void a_backend_without_new_flows_needs_no_time_of_connections(void **state)
{
	(void)state;
	struct load_rig *rig = rig_nat("tcp");
	connect(rig, 0, 20, 300);
	at(rig, 1)->admin = BERTH_ADMIN_DRAINING;
	count_times(rig, 5000, 7000, 1000);
	assert_int_equal(cell_of(rig, 0).cost, of_connections | 300);
	assert_int_equal(cell_of(rig, 1).cost, of_connections | 300);
	at(rig, 1)->admin = BERTH_ADMIN_ENABLED;
	count_times(rig, 5000, 7000, 1250);
	assert_int_equal(cell_of(rig, 0).cost, 5000);
	assert_int_equal(cell_of(rig, 1).cost, 7000);
	at(rig, 0)->admin = at(rig, 1)->admin = BERTH_ADMIN_DRAINING;
	count_times(rig, 5000, 7000, 1500);
	assert_int_equal(cell_of(rig, 0).cost, 5000);
	drop(rig);
}

static void times_of_connections_of_another_backend_do_not_count(void **state)
{
	(void)state;
	struct load_rig *rig = rig_nat("tcp");
	connect(rig, 0, 20, 300);
	connect(rig, 1, 20, 300);
	at(rig, 0)->id++;
	count_times(rig, 5000, 7000, 1000);
	assert_int_equal(at(rig, 0)->connect.all, 0);
	assert_int_equal(at(rig, 1)->connect.all, 20);
	assert_int_equal(cell_of(rig, 1).cost, 7000);
	drop(rig);
}

/* The sum reaches the bits of the number: both are right nevertheless. */
static void totals_of_connections_may_overflow(void **state)
{
	(void)state;
	struct load_rig *rig = rig_nat("tcp");
	uint64_t *totals = &rig->engine->image.timings[at(rig, 0)->number].totals;
	*totals = UINT64_MAX - 100;
	at(rig, 0)->id++;
	count_times(rig, 5000, 7000, 1000);
	connect(rig, 0, 10, 400);
	connect(rig, 1, 10, 400);
	count_times(rig, 5000, 7000, 1250);
	assert_int_equal(at(rig, 0)->connect.all, 10);
	assert_int_equal(cell_of(rig, 0).cost, of_connections | 400);
	drop(rig);
}

static void only_tcp_has_times_of_connections(void **state)
{
	(void)state;
	struct load_rig *rig = rig_nat("udp");
	connect(rig, 0, 20, 300);
	connect(rig, 1, 20, 300);
	count_times(rig, 5000, 7000, 1000);
	assert_int_equal(cell_of(rig, 0).cost, 5000);
	drop(rig);
}

static void a_load_never_overflows(void **state)
{
	(void)state;
	struct load_rig *rig = rig_make(
		SERVICE("scheduler: least-conn, ",
			"{name: a, address: 192.0.2.1, weight: 1}, {name: b, address: 192.0.2.2, weight: 1000}"));
	assert_int_equal(berth_model_load_unit(1, 1000), 64000);
	/* A weight of 1,000 at 200% beside one of 1 at 1%: 32,768 flows do not wrap the largest load. */
	assert_int_equal(berth_model_load_unit(1, 200000), 65536);
	assert_int_equal(berth_load_value(1000000, 65536), INT32_MAX);
	assert_int_equal(berth_model_load_unit(0, 1000), 0);
	assert_int_equal(berth_model_load_unit(1000, 1000), 64);
	begin(rig, 0, 200000000);
	count(rig);
	assert_int_equal(load_of(rig, 0), INT32_MAX);
	assert_int_equal(load_of(rig, 1), 0);
	drop(rig);
}

static void counts_are_as_frequent_as_a_tenth_of_a_cpu_allows(void **state)
{
	(void)state;
	static const struct {
		uint64_t buckets;
		bool needed;
		uint64_t pass_us;
		uint32_t a_tick;
	} cases[] = {
		/* In 12 ticks of 20 ms; in 50 if no service needs it. */
		{120000, true, 0, 10000},
		{120001, true, 0, 10001},
		{120000, true, 24000, 10000},
		{120000, false, 0, 2400},
		/* 100 ms of CPU time: once a second. */
		{120000, true, 100000, 2400},
		/* 50 million flows and 12 million sessions: 131072 at 16 ns are 2 ms of 20. */
		{10485760, true, 0, 131072},
		{10485760, true, 170000, 123362},
		{10485760, false, 170000, 65536},
		{1, true, 0, 1},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(berth_load_buckets_per_tick(cases[i].buckets, cases[i].needed, cases[i].pass_us),
				 cases[i].a_tick);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_backend_is_over_its_share_above_bound_times_its_share),
		cmocka_unit_test(a_count_sets_and_clears_the_over_share_bit),
		cmocka_unit_test(shares_follow_the_weights_of_backends_that_take_new_flows),
		cmocka_unit_test(max_flows_limits_with_every_scheduler),
		cmocka_unit_test(new_flows_are_added_between_two_counts),
		cmocka_unit_test(flows_that_began_during_a_scan_are_added_to_its_count),
		cmocka_unit_test(a_reassigned_number_starts_at_zero),
		cmocka_unit_test(a_restarted_berthd_keeps_the_bits_until_its_first_count),
		cmocka_unit_test(a_restarted_berthd_counts_all_flows_of_a_new_backend),
		cmocka_unit_test(without_bounds_no_backend_has_bits),
		cmocka_unit_test(least_conn_compares_flows_by_weight),
		cmocka_unit_test(response_time_compares_flows_by_weight_times_the_servers_times),
		cmocka_unit_test(in_mode_nat_the_times_of_connections_count_once_each_backend_has_them),
		cmocka_unit_test(a_backend_without_new_flows_needs_no_time_of_connections),
		cmocka_unit_test(times_of_connections_of_another_backend_do_not_count),
		cmocka_unit_test(totals_of_connections_may_overflow),
		cmocka_unit_test(only_tcp_has_times_of_connections),
		cmocka_unit_test(a_load_never_overflows),
		cmocka_unit_test(counts_are_as_frequent_as_a_tenth_of_a_cpu_allows),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
