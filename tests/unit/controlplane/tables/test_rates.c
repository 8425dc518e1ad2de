// SPDX-License-Identifier: BSD-3-Clause
/* Rates of services, backends and the engine from counters that the test writes in place of workers. */
#include "tests/support/control.h"

#include <math.h>
#include <stdio.h>
#include <time.h>

#include "controlplane/tables/counters.h"
#include "controlplane/tables/load.h"
#include "controlplane/tables/rates.h"

struct rates_rig {
	struct berth_model model;
	struct berth_engine *engine;
	struct berth_rates *rates;
	uint64_t now_ms;
	uint64_t version;
};

static struct rates_rig rig_with(struct berth_config *config)
{
	struct rates_rig rig = {.now_ms = 1000007, .version = 1};
	char error[BERTH_ERROR_BYTES];
	rig.engine = null_engine(config);
	assert_int_equal(berth_model_init(&rig.model, &rig.engine->image.geometry), 0);
	assert_int_equal(berth_model_apply(&rig.model, config, error), 0);
	rig.rates = berth_rates_new();
	assert_non_null(rig.rates);
	return rig;
}

static void drop(struct rates_rig *rig)
{
	berth_rates_free(rig->rates);
	rig->engine->ops->close(rig->engine, true);
	berth_model_clear(&rig->model);
}

static struct berth_model_backend *backend(struct rates_rig *rig, const char *name)
{
	return berth_model_backend(&rig->model.services[0], name);
}

static struct berth_tally *tally(struct rates_rig *rig, const char *name)
{
	return &rig->engine->image.tallies[rig->engine->image.geometry.services + backend(rig, name)->number];
}

/* Lets seconds pass in which b1 gets `packets` of 125 bytes a second, every tenth of a new flow. */
static void pass(struct rates_rig *rig, unsigned int seconds, uint64_t packets)
{
	for (unsigned int tick = 0; tick < seconds * 1000 / BERTH_LOAD_TICK_MS; tick++) {
		rig->now_ms += BERTH_LOAD_TICK_MS;
		const uint64_t n = packets * BERTH_LOAD_TICK_MS / 1000;
		tally(rig, "b1")->packets += n;
		tally(rig, "b1")->bytes += 125 * n;
		tally(rig, "b1")->flows += n / 10;
		rig->engine->image.workers[0].received += 2 * n;
		rig->engine->image.workers[0].verdict[BERTH_VERDICT_BAD_IP4] += n;
		berth_rates_step(rig->rates, &rig->engine->image, &rig->model, rig->version, rig->now_ms);
	}
}

static void expect_rate(double actual, double expected)
{
	if (fabs(actual - expected) > expected / 50 + 0.01)
		fail_msg("%f, not %f", actual, expected);
}

static void expect_b1(struct rates_rig *rig, enum berth_rate_window window, double packets)
{
	struct berth_rate rate;
	assert_true(berth_rates_backend(rig->rates, backend(rig, "b1"), window, &rate));
	expect_rate(rate.packets, packets);
	expect_rate(rate.bits, packets * 1000);
	expect_rate(rate.new_flows, packets / 10);
}

static void steady_traffic_has_one_rate_in_all_windows(void **state)
{
	(void)state;
	struct rates_rig rig = rig_with(configure_web(BACKENDS("b1 11 100", "b2 12 100")));
	struct berth_rate rate;
	pass(&rig, 3, 5000);
	for (unsigned int i = 0; i < 130; i++, pass(&rig, 1, 5000))
		for (enum berth_rate_window w = 0; w < BERTH_RATE_WINDOW_COUNT; w++) {
			expect_b1(&rig, w, 5000);
			assert_true(berth_rates_service(rig.rates, &rig.model.services[0], w, &rate));
			expect_rate(rate.packets, 5000);
			assert_true(berth_rates_engine(rig.rates, w, &rate));
			expect_rate(rate.packets, 10000);
			expect_rate(rate.bits, 5000000);
			assert_true(berth_rates_drops(rig.rates, w, &rate));
			expect_rate(rate.packets, 5000);
			assert_true(berth_rates_backend(rig.rates, backend(&rig, "b2"), w, &rate));
			expect_rate(rate.packets, 0);
		}
	drop(&rig);
}

static void a_window_forgets_what_is_older(void **state)
{
	(void)state;
	struct rates_rig rig = rig_with(configure_web(BACKENDS("b1 11 100", "b2 12 100")));
	pass(&rig, 120, 6000);
	pass(&rig, 2, 0);
	expect_b1(&rig, BERTH_RATE_1S, 0);
	pass(&rig, 20, 0);
	expect_b1(&rig, BERTH_RATE_10S, 0);
	struct berth_rate rate;
	assert_true(berth_rates_backend(rig.rates, backend(&rig, "b1"), BERTH_RATE_60S, &rate));
	assert_in_range((uint64_t)rate.packets, 3600, 4000); /* 38 of 60 seconds */
	pass(&rig, 100, 0);
	expect_b1(&rig, BERTH_RATE_60S, 0);
	drop(&rig);
}

static void a_rate_is_unknown_until_the_second_read(void **state)
{
	(void)state;
	struct rates_rig rig = rig_with(configure_web(BACKENDS("b1 11 100", "b2 12 100")));
	struct berth_rate rate;
	assert_false(berth_rates_engine(rig.rates, BERTH_RATE_1S, &rate));
	assert_false(berth_rates_backend(rig.rates, backend(&rig, "b1"), BERTH_RATE_60S, &rate));
	tally(&rig, "b1")->packets = 1000000; /* before berthd started */
	pass(&rig, 1, 1000);
	assert_false(berth_rates_backend(rig.rates, backend(&rig, "b1"), BERTH_RATE_1S, &rate));
	pass(&rig, 1, 1000);
	expect_b1(&rig, BERTH_RATE_1S, 1000);
	expect_b1(&rig, BERTH_RATE_60S, 1000);
	drop(&rig);
}

static void a_number_that_is_used_again_begins_anew(void **state)
{
	(void)state;
	struct rates_rig rig = rig_with(configure_web(BACKENDS("b1 11 100", "b2 12 100")));
	struct berth_rate rate;
	pass(&rig, 20, 1000);
	*tally(&rig, "b1") = (struct berth_tally){0};
	backend(&rig, "b1")->id++;
	rig.version++;
	assert_false(berth_rates_backend(rig.rates, backend(&rig, "b1"), BERTH_RATE_10S, &rate));
	pass(&rig, 1, 10);
	assert_false(berth_rates_backend(rig.rates, backend(&rig, "b1"), BERTH_RATE_10S, &rate));
	pass(&rig, 5, 500);
	expect_b1(&rig, BERTH_RATE_1S, 500);
	assert_true(berth_rates_backend(rig.rates, backend(&rig, "b1"), BERTH_RATE_60S, &rate));
	assert_in_range((uint64_t)rate.packets, 400, 501);
	drop(&rig);
}

enum {
	MANY = 10000,
};

static void one_call_reads_few_of_many_backends(void **state)
{
	(void)state;
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);
	fprintf(out,
		"engine: 'null'\ninterfaces: [{name: lo}]\nlimits: {flows: 1024, services: 2, backends: %d}\n"
		"services:\n  - {name: web, address: 203.0.113.10, port: 80, mode: l2, table-size: 16381, "
		"backends: [",
		MANY);
	for (int i = 0; i < MANY; i++)
		fprintf(out, "%s{name: b%d, address: 10.0.%d.%d}", i ? ", " : "", i + 1, i / 250, i % 250 + 1);
	fprintf(out, "]}\n");
	fclose(out);
	char error[BERTH_ERROR_BYTES];
	struct berth_config *config = berth_config_parse("test.yaml", text, length, error);
	assert_non_null(config);
	free(text);
	struct rates_rig rig = rig_with(config);
	struct berth_rate rate;
	uint64_t ns = 0;
	unsigned int calls[2] = {0}; /* until the first and the last backend were read a second time */
	for (unsigned int call = 1; !calls[1] && call < 200; call++) {
		struct timespec begin, end;
		rig.now_ms += BERTH_LOAD_TICK_MS;
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin);
		berth_rates_step(rig.rates, &rig.engine->image, &rig.model, rig.version, rig.now_ms);
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
		ns += (uint64_t)((end.tv_sec - begin.tv_sec) * 1000000000 + end.tv_nsec - begin.tv_nsec);
		if (!calls[0] && berth_rates_backend(rig.rates, backend(&rig, "b1"), BERTH_RATE_1S, &rate))
			calls[0] = call;
		if (berth_rates_backend(rig.rates, backend(&rig, "b10000"), BERTH_RATE_1S, &rate))
			calls[1] = call;
	}
	printf("%d backends, 2 workers: %.2f ms of processor time a second\n", MANY, (double)ns / 2e6);
	assert_int_equal(calls[0], 1 + 1000 / BERTH_LOAD_TICK_MS);
	assert_in_range(calls[1] - calls[0], 20, 49);
	drop(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(steady_traffic_has_one_rate_in_all_windows),
		cmocka_unit_test(a_window_forgets_what_is_older),
		cmocka_unit_test(a_rate_is_unknown_until_the_second_read),
		cmocka_unit_test(a_number_that_is_used_again_begins_anew),
		cmocka_unit_test(one_call_reads_few_of_many_backends),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
