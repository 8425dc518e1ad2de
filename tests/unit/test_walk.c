// SPDX-License-Identifier: BSD-3-Clause
/* The walk: counts, frees what is expired or nobody's, and leaves what a worker used meanwhile. */
#include "tests/unit/control.h"

#include "controlplane/walk.h"
#include "dataplane/core/flowtab.h"

struct rig {
	struct berth_model model;
	struct berth_engine *engine;
	struct berth_walk *walk;
	uint32_t a, b; /* numbers */
};

static struct rig rig_make(void)
{
	struct rig rig;
	char error[BERTH_ERROR_BYTES];
	struct berth_config *config = configure_web(BACKENDS("a 1 100", "b 2 100"));
	rig.engine = null_engine(config);
	rig.walk = berth_walk_new(&rig.engine->image);
	assert_int_equal(berth_model_init(&rig.model, &rig.engine->image.geometry), 0);
	assert_int_equal(berth_model_apply(&rig.model, config, error), 0);
	struct berth_publisher *publisher = berth_publisher_new(rig.engine);
	struct berth_generation *generation = berth_compile(&rig.model, &rig.engine->image.geometry, error);
	assert_int_equal(berth_publish(publisher, generation, error), 0);
	berth_generation_free(generation);
	berth_publisher_free(publisher);
	rig.a = rig.model.services[0].backends[0].number;
	rig.b = rig.model.services[0].backends[1].number;
	return rig;
}

static void drop(struct rig *rig)
{
	berth_walk_free(rig->walk);
	rig->engine->ops->close(rig->engine, true);
	berth_model_clear(&rig->model);
}

static void put(struct rig *rig, uint32_t bucket, uint32_t i, uint32_t backend, uint32_t seen, uint32_t state)
{
	rig->engine->image.flows[bucket].word[i] = berth_word_make(1234 + i, backend, seen, state);
}

/* Until a pass over both tables ended. */
static void pass(struct rig *rig, uint32_t now)
{
	int steps = 0;
	while (!berth_walk_step(rig->walk, 7, now))
		assert_in_range(++steps, 0, 100000);
}

static void flows_and_sessions_are_counted_per_backend(void **state)
{
	(void)state;
	struct rig rig = rig_make();
	uint64_t flows, sessions;
	put(&rig, 0, 0, rig.a, 100, BERTH_STATE_ESTABLISHED);
	put(&rig, 0, 1, rig.a, 100, BERTH_STATE_ESTABLISHED);
	put(&rig, rig.engine->image.geometry.flow_buckets - 1, 7, rig.b, 100, BERTH_STATE_HALF_OPEN);
	rig.engine->image.sessions[3].word[2] = berth_word_make(5, rig.b, 100, BERTH_STATE_SESSION);
	pass(&rig, 101);
	assert_int_equal(berth_walk_flows(rig.walk, rig.a), 2);
	assert_int_equal(berth_walk_flows(rig.walk, rig.b), 1);
	assert_int_equal(berth_walk_sessions(rig.walk, rig.a), 0);
	assert_int_equal(berth_walk_sessions(rig.walk, rig.b), 1);
	berth_walk_totals(rig.walk, &flows, &sessions);
	assert_int_equal(flows, 3);
	assert_int_equal(sessions, 1);
	/* The next pass counts anew. */
	rig.engine->image.flows[0].word[0] = 0;
	pass(&rig, 101);
	assert_int_equal(berth_walk_flows(rig.walk, rig.a), 1);
	drop(&rig);
}

static void fragments_take_room_and_are_no_flows(void **state)
{
	(void)state;
	struct rig rig = rig_make();
	uint64_t flows, sessions;
	put(&rig, 0, 0, rig.a, 100, BERTH_STATE_FRAGMENT);
	put(&rig, 0, 1, rig.a, 100, BERTH_STATE_REPEATED);
	/* 30 s, as the default is. */
	pass(&rig, 130);
	assert_int_equal(berth_walk_flows(rig.walk, rig.a), 1);
	berth_walk_totals(rig.walk, &flows, &sessions);
	assert_int_equal(flows, 2);
	pass(&rig, 131);
	assert_int_equal(rig.engine->image.flows[0].word[0], 0);
	assert_int_not_equal(rig.engine->image.flows[0].word[1], 0);
	berth_walk_totals(rig.walk, &flows, &sessions);
	assert_int_equal(flows, 1);
	drop(&rig);
}

static void expired_words_are_freed_by_their_states_timeout(void **state)
{
	(void)state;
	struct rig rig = rig_make();
	const struct berth_bucket *bucket = &rig.engine->image.flows[0];
	/* half-open 10 s, established 1 h, as the defaults are. */
	put(&rig, 0, 0, rig.a, 100, BERTH_STATE_HALF_OPEN);
	put(&rig, 0, 1, rig.a, 100, BERTH_STATE_ESTABLISHED);
	put(&rig, 0, 2, rig.a, 100, BERTH_STATE_CLAIMED);
	pass(&rig, 110);
	assert_int_not_equal(bucket->word[0], 0);
	assert_int_not_equal(bucket->word[1], 0);
	assert_int_equal(bucket->word[2], 0);
	pass(&rig, 111);
	assert_int_equal(bucket->word[0], 0);
	assert_int_not_equal(bucket->word[1], 0);
	pass(&rig, 100 + 3600);
	assert_int_not_equal(bucket->word[1], 0);
	pass(&rig, 100 + 3601);
	assert_int_equal(bucket->word[1], 0);
	drop(&rig);
}

static void words_of_nobody_are_freed(void **state)
{
	(void)state;
	struct rig rig = rig_make();
	put(&rig, 0, 0, 33, 100, BERTH_STATE_ESTABLISHED);
	put(&rig, 0, 1, 0, 100, BERTH_STATE_ESTABLISHED);
	put(&rig, 0, 2, 0xffff, 100, BERTH_STATE_ESTABLISHED);
	pass(&rig, 100);
	for (int i = 0; i < 3; i++)
		assert_int_equal(rig.engine->image.flows[0].word[i], 0);
	drop(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flows_and_sessions_are_counted_per_backend),
		cmocka_unit_test(fragments_take_room_and_are_no_flows),
		cmocka_unit_test(expired_words_are_freed_by_their_states_timeout),
		cmocka_unit_test(words_of_nobody_are_freed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
