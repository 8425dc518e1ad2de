// SPDX-License-Identifier: BSD-3-Clause
/* Usage of backends, figures of removed backends, and the end of a drain. */
#include "tests/support/control.h"

#include "controlplane/tables/counters.h"
#include "controlplane/tables/retired.h"
#include "controlplane/tables/usage.h"
#include "dataplane/core/word.h"

enum {
	NOW = 100
};

struct usage_rig {
	struct berth_model model;
	struct berth_engine *engine;
	struct berth_scan *scan;
};

static struct usage_rig rig_with(struct berth_config *config)
{
	struct usage_rig rig;
	char error[BERTH_ERROR_BYTES];
	rig.engine = null_engine(config);
	rig.scan = berth_scan_new(&rig.engine->image);
	assert_int_equal(berth_model_init(&rig.model, &rig.engine->image.geometry), 0);
	assert_int_equal(berth_model_apply(&rig.model, config, error), 0);
	all_up(&rig.model);
	publish_once(rig.engine, &rig.model);
	return rig;
}

static void drop(struct usage_rig *rig)
{
	berth_scan_free(rig->scan);
	rig->engine->ops->close(rig->engine, true);
	berth_model_clear(&rig->model);
}

/* As the daemon applies a configuration. */
static void apply(struct usage_rig *rig, struct berth_config *config)
{
	char error[BERTH_ERROR_BYTES];
	assert_int_equal(berth_model_apply(&rig->model, config, error), 0);
	all_up(&rig->model);
	assert_int_equal(berth_retired_update(&rig->model, &rig->engine->image), 0);
	berth_counters_clear_new(&rig->engine->image, &rig->model);
	publish_once(rig->engine, &rig->model);
}

static struct berth_model_backend *backend(struct usage_rig *rig, const char *name)
{
	return berth_model_backend(&rig->model.services[0], name);
}

/* Adds to the counters of one worker. */
static void count_traffic(struct usage_rig *rig, uint32_t worker, const char *name, uint64_t packets)
{
	const struct berth_geometry *g = &rig->engine->image.geometry;
	struct berth_tally *tally = &rig->engine->image.tallies[worker * (g->services + g->backends) + g->services +
								backend(rig, name)->number];
	tally->packets += packets;
	tally->bytes += packets * 100;
	tally->flows += 1;
}

static void put(struct usage_rig *rig, uint32_t i, const char *name, uint32_t state)
{
	rig->engine->image.flows[3].word[i] = berth_word_make(1234 + i, backend(rig, name)->number, NOW, state);
}

static void scan_all(struct usage_rig *rig)
{
	while (!berth_scan_step(rig->scan, 64, NOW))
		;
	rig->model.scans++;
}

static void expect_retired(const struct usage_rig *rig, uint64_t packets, uint64_t flows)
{
	const struct berth_tally *retired = &rig->model.services[0].retired;
	assert_int_equal(retired->packets, packets);
	assert_int_equal(retired->bytes, packets * 100);
	assert_int_equal(retired->flows, flows);
}

static void usage_sums_workers_and_the_last_scan(void **state)
{
	(void)state;
	struct usage_rig rig = rig_with(configure_web(BACKENDS("a 1 100", "b 2 100")));
	struct berth_usage usage, sum = {0};
	count_traffic(&rig, 0, "a", 10);
	count_traffic(&rig, 1, "a", 5);
	count_traffic(&rig, 1, "b", 7);
	put(&rig, 0, "a", BERTH_STATE_CONFIRMED);
	put(&rig, 1, "a", BERTH_STATE_CLOSING);
	put(&rig, 2, "b", BERTH_STATE_CONFIRMED);
	scan_all(&rig);
	berth_usage_backend(rig.scan, backend(&rig, "a"), &usage);
	assert_int_equal(usage.tally.packets, 15);
	assert_int_equal(usage.tally.bytes, 1500);
	assert_int_equal(usage.tally.flows, 2);
	assert_int_equal(usage.flows, 1);
	assert_int_equal(usage.closing, 1);
	berth_usage_add(&sum, &usage);
	berth_usage_backend(rig.scan, backend(&rig, "b"), &usage);
	berth_usage_add(&sum, &usage);
	assert_int_equal(sum.tally.packets, 22);
	assert_int_equal(sum.flows, 2);
	drop(&rig);
}

static void figures_of_a_removed_backend_stay_with_its_service(void **state)
{
	(void)state;
	struct usage_rig rig = rig_with(configure_web(BACKENDS("a 1 100", "b 2 100")));
	count_traffic(&rig, 0, "a", 10);
	count_traffic(&rig, 1, "a", 5);
	count_traffic(&rig, 0, "b", 7);
	apply(&rig, configure_web(BACKENDS("b 2 100")));
	expect_retired(&rig, 15, 2);
	apply(&rig, configure_web(BACKENDS("c 3 100")));
	expect_retired(&rig, 22, 3);
	/* The published figures are those of the next apply, as after a restart. */
	apply(&rig, configure_web(BACKENDS("c 3 50")));
	expect_retired(&rig, 22, 3);
	drop(&rig);
}

static void figures_of_a_kept_backend_are_not_retired(void **state)
{
	(void)state;
	struct usage_rig rig = rig_with(configure_web(BACKENDS("a 1 100", "b 2 100")));
	count_traffic(&rig, 0, "a", 10);
	apply(&rig, configure_web(BACKENDS("a 1 50", "b 2 100")));
	expect_retired(&rig, 0, 0);
	drop(&rig);
}

static bool is_drained(struct usage_rig *rig)
{
	return berth_usage_is_drained(rig->scan, &rig->model, backend(rig, "a"));
}

static void a_backend_is_drained_when_two_scans_have_ended_and_the_last_found_no_flow(void **state)
{
	(void)state;
	struct usage_rig rig = rig_with(configure_web(BACKENDS("a 1 100", "b 2 100")));
	scan_all(&rig);
	berth_model_set_admin(&rig.model, backend(&rig, "a"), BERTH_ADMIN_DRAINING, 0);
	scan_all(&rig);
	assert_false(is_drained(&rig));
	put(&rig, 0, "a", BERTH_STATE_CLOSING);
	scan_all(&rig);
	assert_false(is_drained(&rig));
	rig.engine->image.flows[3].word[0] = 0;
	scan_all(&rig);
	assert_true(is_drained(&rig));
	drop(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(usage_sums_workers_and_the_last_scan),
		cmocka_unit_test(figures_of_a_removed_backend_stay_with_its_service),
		cmocka_unit_test(figures_of_a_kept_backend_are_not_retired),
		cmocka_unit_test(a_backend_is_drained_when_two_scans_have_ended_and_the_last_found_no_flow),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
