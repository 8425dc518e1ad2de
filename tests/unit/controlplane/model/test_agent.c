// SPDX-License-Identifier: BSD-3-Clause
/* What agents say comes into force: precedence, and changes in simulated time. */
#include "tests/support/control.h"

#include "controlplane/compile/compile.h"
#include "controlplane/model/agent.h"
#include "controlplane/model/effective_weight.h"

enum {
	SECOND = 1000,
	LONG_S = 1000,
};

static const struct berth_geometry small = {.services = 9, .backends = 64};

/* A service "web" with these keys and two backends, which are up. */
static struct berth_model *model_with(const char *keys)
{
	char text[1024], error[BERTH_ERROR_BYTES];
	struct berth_model *model = calloc(1, sizeof(*model));
	snprintf(text, sizeof(text),
		 "  - {name: web, address: 203.0.113.10, port: 80, mode: l2, table-size: 251, %s"
		 "backends: [{name: b0, address: 192.0.2.1}, {name: b1, address: 192.0.2.2}]}\n",
		 keys);
	assert_int_equal(berth_model_init(model, &small), 0);
	assert_int_equal(berth_model_apply(model, configure(text), error), 0);
	for (size_t i = 0; i < model->services[0].n_backends; i++) {
		model->services[0].backends[i].health = BERTH_HEALTH_UP;
		model->services[0].backends[i].next_hop.is_resolved = true;
	}
	return model;
}

#define AGENT "health: {agent: {port: 7777}}, "

static void drop(struct berth_model *model)
{
	berth_model_clear(model);
	free(model);
}

static struct berth_model_backend *at(struct berth_model *model, size_t i)
{
	return &model->services[0].backends[i];
}

static bool hear(struct berth_model_backend *backend, const char *line)
{
	struct berth_agent_words words;
	char reason[BERTH_AGENT_REASON_BYTES];
	if (!berth_agent_read(&words, line, strlen(line), reason))
		fail_msg("%s", reason);
	return berth_agent_hear(backend, &words);
}

/* True: an effective weight or what is in force changed. */
static bool follow(struct berth_model *model, uint64_t now_ms, uint64_t *next_ms)
{
	bool changed = false;
	uint64_t weight_ms;
	*next_ms = UINT64_MAX;
	for (size_t i = 0; i < model->services[0].n_backends; i++)
		changed |= berth_agent_follow(at(model, i), now_ms, next_ms);
	changed |= berth_effective_weight_step(model, now_ms, &weight_ms);
	*next_ms = weight_ms < *next_ms ? weight_ms : *next_ms;
	return changed;
}

static uint32_t weight(struct berth_model *model, size_t i)
{
	return berth_model_weight_hundredths(at(model, i));
}

static void a_percentage_is_followed_in_steps_of_a_tenth_of_the_weight(void **state)
{
	(void)state;
	struct berth_model *model = model_with(AGENT);
	uint64_t next, now = 100 * SECOND;
	assert_false(follow(model, now, &next));
	assert_int_equal(next, UINT64_MAX);
	assert_true(hear(at(model, 1), "25%"));
	assert_false(hear(at(model, 1), "25%"));
	for (uint32_t left = 9000; left > 2500; left -= left > 3500 ? 1000 : left - 2500, now = next) {
		assert_true(follow(model, now, &next));
		assert_int_equal(weight(model, 1), left);
		assert_int_equal(weight(model, 0), 10000);
		assert_int_equal(next, now + SECOND);
	}
	assert_true(follow(model, now, &next));
	assert_int_equal(weight(model, 1), 2500);
	assert_int_equal(next, UINT64_MAX);
	drop(model);
}

/* The steps of all backends of a service are at one moment, so that its table is built once. */
static void agents_of_one_service_cost_a_table_a_second_at_most(void **state)
{
	(void)state;
	struct berth_model *model = model_with(AGENT);
	uint64_t next, changes = 0;
	for (uint64_t now = 100 * SECOND; now < 110 * SECOND; now += 10) {
		if (now == 100 * SECOND)
			hear(at(model, 0), "0%");
		if (now == 100 * SECOND + 370)
			hear(at(model, 1), "0%");
		changes += follow(model, now, &next);
	}
	assert_int_equal(weight(model, 0), 0);
	assert_in_range(changes, 10, 12);
	drop(model);
}

/* Small changes and those that go back wait for ten steps: tables are not built each second without end. */
static void an_agent_that_swings_goes_back_every_ten_seconds_at_most(void **state)
{
	(void)state;
	/* In ten seconds: one back, and as many forth as the agent says without going back. */
	static const struct {
		const char *line[3];
		uint32_t most;
	} swings[] = {
		{{"74%", "75%", "76%"}, 1},   {{"70%", "90%", "50%"}, 3},
		{{"0%", "100%", "200%"}, 4},  {{"drain", "ready", "up"}, 2},
		{{"down", "up", "ready"}, 2}, {{"maint 10%", "ready 90%", "drain"}, 5},
	};
	for (size_t i = 0; i < sizeof(swings) / sizeof(swings[0]); i++) {
		struct berth_model *model = model_with(AGENT);
		uint64_t next, changes = 0;
		hear(at(model, 1), "75%");
		for (uint64_t now = 100 * SECOND; now < 200 * SECOND; now += 100)
			follow(model, now, &next);
		for (uint64_t s = 0; s < LONG_S; s++) {
			hear(at(model, 1), swings[i].line[s % 3]);
			changes += follow(model, (200 + s) * SECOND, &next);
		}
		if (changes > swings[i].most * LONG_S / 10)
			fail_msg("%s, %s: %lu changes", swings[i].line[0], swings[i].line[1], changes);
		drop(model);
	}
}

static void a_small_change_counts_after_a_while(void **state)
{
	(void)state;
	struct berth_model *model = model_with(AGENT);
	uint64_t next;
	hear(at(model, 1), "95%");
	assert_true(follow(model, 100 * SECOND, &next));
	hear(at(model, 1), "93%");
	assert_false(follow(model, 109 * SECOND, &next));
	assert_int_equal(next, 110 * SECOND);
	assert_true(follow(model, 110 * SECOND, &next));
	assert_int_equal(weight(model, 1), 9300);
	drop(model);
}

static void a_slow_start_goes_up_to_what_the_agent_says(void **state)
{
	(void)state;
	struct berth_model *model = model_with(AGENT "slow-start: 100s, ");
	uint64_t next;
	hear(at(model, 1), "50%");
	for (uint64_t s = 0; s < 100; s += 10)
		follow(model, (1000 + s) * SECOND, &next);
	assert_int_equal(weight(model, 1), 5000);
	berth_model_set_health(at(model, 1), BERTH_HEALTH_DOWN, 2000 * SECOND);
	follow(model, 2000 * SECOND, &next);
	berth_model_set_health(at(model, 1), BERTH_HEALTH_UP, 3000 * SECOND);
	follow(model, 3000 * SECOND, &next);
	assert_int_equal(weight(model, 1), 500);
	for (uint32_t tenths = 2; tenths <= 10; tenths++) {
		follow(model, (3000 + 10 * tenths) * SECOND, &next);
		assert_int_equal(weight(model, 1), 500 * tenths);
	}
	drop(model);
}

/* What takes clients away counts at once. */
static void the_words_are_states_of_a_backend(void **state)
{
	(void)state;
	static const struct {
		const char *line;
		uint8_t eligibility;
		enum berth_admin admin;
		enum berth_health_state health;
	} cases[] = {
		{"ready", BERTH_ELIGIBLE_ALL, BERTH_ADMIN_ENABLED, BERTH_HEALTH_UP},
		{"drain", BERTH_ELIGIBLE_FLOWS | BERTH_ELIGIBLE_SESSIONS, BERTH_ADMIN_DRAINING, BERTH_HEALTH_UP},
		{"maint", BERTH_ELIGIBLE_FLOWS, BERTH_ADMIN_FLOWS_ONLY, BERTH_HEALTH_UP},
		{"down", 0, BERTH_ADMIN_ENABLED, BERTH_HEALTH_DOWN},
		{"stopped drain", 0, BERTH_ADMIN_DRAINING, BERTH_HEALTH_DOWN},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct berth_model *model = model_with(AGENT);
		uint64_t next;
		hear(at(model, 1), cases[i].line);
		assert_int_equal(follow(model, 50 * SECOND, &next), i > 0);
		assert_int_equal(berth_model_eligibility(at(model, 1)), cases[i].eligibility);
		assert_int_equal(berth_model_admin(at(model, 1)), cases[i].admin);
		assert_int_equal(berth_model_health(at(model, 1)), cases[i].health);
		hear(at(model, 1), "ready up");
		assert_int_equal(follow(model, 59 * SECOND, &next), false);
		assert_int_equal(next, i ? 60 * SECOND : UINT64_MAX);
		follow(model, 60 * SECOND, &next);
		assert_int_equal(berth_model_eligibility(at(model, 1)), BERTH_ELIGIBLE_ALL);
		drop(model);
	}
}

static void a_share_of_0_percent_is_a_drain(void **state)
{
	(void)state;
	struct berth_model *model = model_with(AGENT);
	uint64_t next, now = 100 * SECOND;
	hear(at(model, 1), "0%");
	for (int i = 0; i < 10; i++, now += SECOND)
		follow(model, now, &next);
	assert_int_equal(weight(model, 1), 0);
	assert_int_equal(berth_model_eligibility(at(model, 1)), BERTH_ELIGIBLE_FLOWS | BERTH_ELIGIBLE_SESSIONS);
	drop(model);
}

static void an_operator_comes_before_the_agent(void **state)
{
	(void)state;
	struct berth_model *model = model_with(AGENT);
	struct berth_model_backend *b1 = at(model, 1);
	uint64_t next;
	hear(b1, "maint down");
	follow(model, SECOND, &next);
	berth_model_set_admin(model, b1, BERTH_ADMIN_DRAINING, 0);
	assert_int_equal(berth_model_admin(b1), BERTH_ADMIN_DRAINING);
	b1->forced = BERTH_FORCED_UP;
	assert_int_equal(berth_model_health(b1), BERTH_HEALTH_UP);
	assert_int_equal(berth_model_eligibility(b1), BERTH_ELIGIBLE_FLOWS | BERTH_ELIGIBLE_SESSIONS);
	hear(b1, "ready up");
	follow(model, 60 * SECOND, &next);
	assert_int_equal(berth_model_admin(b1), BERTH_ADMIN_DRAINING);
	b1->forced = BERTH_FORCED_DOWN;
	assert_int_equal(berth_model_health(b1), BERTH_HEALTH_DOWN);
	b1->forced = BERTH_FORCED_NOT;
	berth_model_set_admin(model, b1, BERTH_ADMIN_ENABLED, 0);
	assert_int_equal(berth_model_eligibility(b1), BERTH_ELIGIBLE_ALL);
	/* Neither do the checks have to agree. */
	b1->health = BERTH_HEALTH_DOWN;
	assert_int_equal(berth_model_health(b1), BERTH_HEALTH_DOWN);
	drop(model);
}

static void a_service_without_agent_forgets_what_it_said(void **state)
{
	(void)state;
	struct berth_model *model = model_with(AGENT);
	char error[BERTH_ERROR_BYTES];
	uint64_t next;
	hear(at(model, 1), "drain 90%");
	follow(model, SECOND, &next);
	struct berth_config *config = configure(
		"  - {name: web, address: 203.0.113.10, port: 80, mode: l2, table-size: 251, "
		"backends: [{name: b0, address: 192.0.2.1}, {name: b1, address: 192.0.2.2}]}\n");
	assert_int_equal(berth_model_apply(model, config, error), 0);
	assert_int_equal(berth_model_admin(at(model, 1)), BERTH_ADMIN_ENABLED);
	assert_int_equal(weight(model, 1), 9000);
	assert_true(follow(model, 20 * SECOND, &next));
	assert_int_equal(weight(model, 1), 10000);
	drop(model);
}

static void the_next_berthd_knows_what_agents_said(void **state)
{
	(void)state;
	struct berth_model *model = model_with(AGENT);
	struct berth_agent_part again = {0};
	struct berth_record_agent record;
	uint64_t next;
	berth_agent_save(at(model, 0), &record);
	berth_agent_restore(&again, at(model, 0)->id, &record);
	assert_false(berth_agent_says_anything(&again.said));
	hear(at(model, 1), "85% drain up");
	for (uint64_t s = 1; s < 10; s++)
		follow(model, s * SECOND, &next);
	berth_agent_save(at(model, 1), &record);
	berth_agent_restore(&again, at(model, 1)->id, &record);
	assert_true(berth_agent_equal(&again.said, &at(model, 1)->agent.said));
	assert_int_equal(again.withheld, 15);
	assert_int_equal(again.admin, BERTH_ADMIN_DRAINING);
	assert_false(again.is_down);
	/* What a former release left of another backend, and damage. */
	again = (struct berth_agent_part){0};
	berth_agent_restore(&again, at(model, 0)->id, &record);
	record.percent = 10000;
	berth_agent_restore(&again, at(model, 1)->id, &record);
	assert_false(berth_agent_says_anything(&again.said));
	assert_int_equal(again.withheld, 0);
	drop(model);
}

static void rows_follow_what_the_agent_says(void **state)
{
	(void)state;
	char error[BERTH_ERROR_BYTES];
	struct berth_model *model = model_with(AGENT);
	uint64_t next;
	uint32_t n = 0;
	hear(at(model, 1), "25%");
	for (uint64_t s = 1; s < 10; s++)
		follow(model, s * SECOND, &next);
	const struct berth_geometry geometry = berth_geometry_of(&model->config->limits, 251, 1);
	struct berth_generation *generation = berth_compile(model, &geometry, error);
	assert_non_null(generation);
	for (uint32_t i = 0; i < 251; i++)
		n += model->services[0].rows[i].primary == at(model, 1)->number;
	assert_in_range(n, 48, 52);
	berth_generation_free(generation);
	drop(model);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_percentage_is_followed_in_steps_of_a_tenth_of_the_weight),
		cmocka_unit_test(agents_of_one_service_cost_a_table_a_second_at_most),
		cmocka_unit_test(an_agent_that_swings_goes_back_every_ten_seconds_at_most),
		cmocka_unit_test(a_small_change_counts_after_a_while),
		cmocka_unit_test(a_slow_start_goes_up_to_what_the_agent_says),
		cmocka_unit_test(the_words_are_states_of_a_backend),
		cmocka_unit_test(a_share_of_0_percent_is_a_drain),
		cmocka_unit_test(an_operator_comes_before_the_agent),
		cmocka_unit_test(a_service_without_agent_forgets_what_it_said),
		cmocka_unit_test(the_next_berthd_knows_what_agents_said),
		cmocka_unit_test(rows_follow_what_the_agent_says),
	};
	return cmocka_run_group_tests_name("agent", tests, NULL, NULL);
}
