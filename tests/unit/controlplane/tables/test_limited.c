// SPDX-License-Identifier: BSD-3-Clause
/* The alarm of a service's limits of new flows. */
#include "tests/support/control.h"

#include "controlplane/tables/limited.h"

struct limited_rig {
	struct berth_model model;
	struct berth_engine *engine;
};

static struct limited_rig rig_with(struct berth_config *config)
{
	struct limited_rig rig;
	char error[BERTH_ERROR_BYTES];
	rig.engine = null_engine(config);
	assert_int_equal(berth_model_init(&rig.model, &rig.engine->image.geometry), 0);
	assert_int_equal(berth_model_apply(&rig.model, config, error), 0);
	return rig;
}

static void drop(struct limited_rig *rig)
{
	rig->engine->ops->close(rig->engine, true);
	berth_model_clear(&rig->model);
}

/* Packets over a limit, counted by one worker. */
static void count_limited(struct limited_rig *rig, uint32_t worker, uint64_t packets)
{
	const struct berth_geometry *g = &rig->engine->image.geometry;
	const uint32_t service = rig->model.services[0].number;
	rig->engine->image.tallies[worker * (g->services + g->backends) + service].limited += packets;
}

/* True: the alarm began or ended. */
static bool update(struct limited_rig *rig, uint64_t now_ms)
{
	return berth_limited_update(&rig->engine->image, &rig->model.services[0], now_ms);
}

static bool is_limited(const struct limited_rig *rig)
{
	return rig->model.services[0].is_limited;
}

static void packets_counted_before_are_no_alarm(void **state)
{
	(void)state;
	struct limited_rig rig = rig_with(configure_web(BACKENDS("a 1 100")));
	count_limited(&rig, 0, 1000);
	assert_false(update(&rig, 5000));
	assert_false(update(&rig, 6000));
	assert_false(is_limited(&rig));
	drop(&rig);
}

static void it_begins_with_a_packet_and_ends_ten_seconds_after_the_last(void **state)
{
	(void)state;
	struct limited_rig rig = rig_with(configure_web(BACKENDS("a 1 100")));
	assert_false(update(&rig, 5000));
	count_limited(&rig, 1, 1);
	assert_true(update(&rig, 6000));
	assert_true(is_limited(&rig));
	assert_false(update(&rig, 7000));
	count_limited(&rig, 0, 1);
	assert_false(update(&rig, 8000));
	assert_false(update(&rig, 17999));
	assert_true(is_limited(&rig));
	assert_true(update(&rig, 18000));
	assert_false(is_limited(&rig));
	drop(&rig);
}

static void it_goes_on_over_an_apply(void **state)
{
	(void)state;
	struct limited_rig rig = rig_with(configure_web(BACKENDS("a 1 100")));
	char error[BERTH_ERROR_BYTES];
	assert_false(update(&rig, 5000));
	count_limited(&rig, 0, 1);
	assert_true(update(&rig, 6000));
	assert_int_equal(berth_model_apply(&rig.model, configure_web(BACKENDS("a 1 100", "b 2 100")), error), 0);
	assert_false(update(&rig, 7000));
	assert_true(is_limited(&rig));
	count_limited(&rig, 0, 1);
	assert_false(update(&rig, 8000));
	assert_false(update(&rig, 17999));
	assert_true(update(&rig, 18000));
	drop(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(packets_counted_before_are_no_alarm),
		cmocka_unit_test(it_begins_with_a_packet_and_ends_ten_seconds_after_the_last),
		cmocka_unit_test(it_goes_on_over_an_apply),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
