// SPDX-License-Identifier: BSD-3-Clause
/* The model: slow starts and panics. */
#include "tests/support/control.h"

#include "controlplane/model/effective_weight.h"
#include "controlplane/model/panic.h"

static const struct berth_geometry small = {.services = 5, .backends = 64};

/* A service "web" with these keys and `n` backends b0, b1, ..., all up. */
static struct berth_model *model_with(const char *keys, int n)
{
	char text[4096], error[BERTH_ERROR_BYTES];
	char *at = text + sprintf(text,
				  "  - {name: web, address: 203.0.113.10, port: 80, mode: l2, table-size: 251, %s"
				  "backends: [",
				  keys);
	for (int i = 0; i < n; i++)
		at += sprintf(at, "{name: b%d, address: 192.0.2.%d},", i, i + 1);
	sprintf(at, "]}\n");
	struct berth_model *model = calloc(1, sizeof(*model));
	assert_int_equal(berth_model_init(model, &small), 0);
	assert_int_equal(berth_model_apply(model, configure(text), error), 0);
	return model;
}

static void drop(struct berth_model *model)
{
	berth_model_clear(model);
	free(model);
}

static struct berth_model_backend *at(struct berth_model *model, size_t i)
{
	return &model->services[0].backends[i];
}

static void set_health(struct berth_model *model, size_t i, bool up, uint64_t now_ms)
{
	assert_true(berth_model_set_health(at(model, i), up ? BERTH_HEALTH_UP : BERTH_HEALTH_DOWN, now_ms));
}

/* Steps at `now_ms`; expects if a weight changes, and the time of the next step. */
static void expect_step(struct berth_model *model, uint64_t now_ms, bool changed, uint64_t next_ms)
{
	uint64_t next;
	bool has = berth_effective_weight_step(model, now_ms, &next);
	if (has != changed || next != next_ms)
		fail_msg("at %lu: changed %d, next %lu", now_ms, has, next);
}

static void a_backend_that_comes_up_gets_its_weight_in_ten_steps(void **state)
{
	(void)state;
	struct berth_model *model = model_with("slow-start: 30s, ", 2);
	all_up(model);
	expect_step(model, 1000, false, UINT64_MAX);
	assert_int_equal(berth_model_weight_hundredths(at(model, 1)), 10000);
	set_health(model, 1, false, 2000);
	expect_step(model, 2000, false, UINT64_MAX);
	set_health(model, 1, true, 100000);
	expect_step(model, 100000, true, 103000);
	assert_int_equal(berth_model_weight_hundredths(at(model, 1)), 1000);
	expect_step(model, 102999, false, 103000);
	expect_step(model, 103000, false, 106000); /* the first tenth is given at once */
	for (uint64_t i = 2; i < 10; i++) {
		expect_step(model, 100000 + 3000 * i, true, 103000 + 3000 * i);
		assert_int_equal(berth_model_weight_hundredths(at(model, 1)), 1000 * i);
	}
	expect_step(model, 130000, true, UINT64_MAX);
	assert_int_equal(berth_model_weight_hundredths(at(model, 1)), 10000);
	assert_int_equal(berth_model_weight_hundredths(at(model, 0)), 10000);
	drop(model);
}

static void a_late_step_catches_up_with_time(void **state)
{
	(void)state;
	struct berth_model *model = model_with("slow-start: 1s, ", 1);
	set_health(model, 0, false, 1);
	expect_step(model, 1, false, UINT64_MAX);
	set_health(model, 0, true, 5000);
	expect_step(model, 5000, true, 5100);
	expect_step(model, 5777, true, 5800);
	assert_int_equal(berth_model_weight_hundredths(at(model, 0)), 7000);
	expect_step(model, 60000, true, UINT64_MAX);
	drop(model);
}

/* A backend that falls meanwhile starts again. At berthd's start all have their full weight. */
static void every_recovery_causes_a_slow_start_but_berthds_start_does_not(void **state)
{
	(void)state;
	struct berth_model *model = model_with("slow-start: 10s, ", 2);
	expect_step(model, 10, false, UINT64_MAX);
	set_health(model, 0, true, 20);
	expect_step(model, 20, false, UINT64_MAX);
	at(model, 0)->admin = BERTH_ADMIN_EVICTED;
	expect_step(model, 30, false, UINT64_MAX);
	at(model, 0)->admin = BERTH_ADMIN_ENABLED;
	expect_step(model, 1000, true, 2000);
	expect_step(model, 5000, true, 6000);
	set_health(model, 0, false, 5500);
	expect_step(model, 5500, true, UINT64_MAX);
	set_health(model, 0, true, 7000);
	expect_step(model, 7000, true, 8000);
	assert_int_equal(berth_model_weight_hundredths(at(model, 0)), 1000);
	/* A drain causes no slow start. */
	expect_step(model, 17000, true, UINT64_MAX);
	at(model, 0)->admin = BERTH_ADMIN_DRAINING;
	expect_step(model, 18000, false, UINT64_MAX);
	at(model, 0)->admin = BERTH_ADMIN_ENABLED;
	expect_step(model, 19000, false, UINT64_MAX);
	drop(model);
}

static void a_new_backend_has_a_slow_start(void **state)
{
	(void)state;
	char error[BERTH_ERROR_BYTES];
	struct berth_model *model = model_with("slow-start: 10s, ", 1);
	all_up(model);
	expect_step(model, 10, false, UINT64_MAX);
	struct berth_model *wider = model_with("slow-start: 10s, ", 2);
	struct berth_config *config = wider->config;
	wider->config = NULL;
	drop(wider);
	assert_int_equal(berth_model_apply(model, config, error), 0);
	set_health(model, 1, true, 500);
	expect_step(model, 500, true, 1500);
	assert_int_equal(at(model, 0)->withheld_percent, 0);
	assert_int_equal(at(model, 1)->withheld_percent, 90);
	drop(model);
}

static void without_slow_start_the_full_weight_counts_at_once(void **state)
{
	(void)state;
	struct berth_model *model = model_with("", 1);
	set_health(model, 0, false, 1);
	expect_step(model, 1, false, UINT64_MAX);
	set_health(model, 0, true, 2);
	expect_step(model, 2, false, UINT64_MAX);
	assert_int_equal(berth_model_weight_hundredths(at(model, 0)), 10000);
	drop(model);
}

/* Rows of a selection table whose primary is this backend. */
static uint32_t rows_of(struct berth_model *model, size_t i)
{
	char error[BERTH_ERROR_BYTES];
	struct berth_geometry geometry = berth_geometry_of(&model->config->limits, 251, 1);
	struct berth_generation *generation = berth_compile(model, &geometry, error);
	assert_non_null(generation);
	uint32_t n = 0;
	for (uint32_t row = 0; row < model->services[0].n_rows; row++)
		n += model->services[0].rows[row].primary == at(model, i)->number;
	berth_generation_free(generation);
	return n;
}

static void the_selection_table_follows_the_slow_start(void **state)
{
	(void)state;
	struct berth_model *model = model_with("slow-start: 10s, ", 2);
	all_up(model);
	expect_step(model, 0, false, UINT64_MAX);
	assert_in_range(rows_of(model, 1), 125, 126);
	set_health(model, 1, false, 1);
	expect_step(model, 1, false, UINT64_MAX);
	set_health(model, 1, true, 1000);
	expect_step(model, 1000, true, 2000);
	assert_in_range(rows_of(model, 1), 22, 23); /* 1 of 11 */
	expect_step(model, 6000, true, 7000);
	assert_in_range(rows_of(model, 1), 83, 84); /* 5 of 15 */
	drop(model);
}

static void follow_health(struct berth_model *model, size_t i, bool up, uint64_t now_ms)
{
	set_health(model, i, up, now_ms);
	assert_true(berth_panic_update(&model->services[0], now_ms));
}

static void expect_kept(struct berth_model *model, bool panic, const char *kept)
{
	struct berth_model_service *service = &model->services[0];
	assert_int_equal(service->panic, panic);
	for (size_t i = 0; i < service->n_backends; i++) {
		if (at(model, i)->is_kept != (kept[i] == 'k') ||
		    at(model, i)->is_kept_for_clients != (kept[i] == 'c'))
			fail_msg("backend %zu", i);
		bool used = kept[i] == 'k' || berth_model_health(at(model, i)) == BERTH_HEALTH_UP;
		const uint8_t clients = kept[i] == 'c' ? BERTH_ELIGIBLE_FLOWS | BERTH_ELIGIBLE_SESSIONS : 0;
		assert_int_equal(berth_model_eligibility(at(model, i)), used ? BERTH_ELIGIBLE_ALL : clients);
	}
}

#define PANIC "panic-threshold: 50%, health: {interval: 2s, timeout: 1s, rise: 3, fall: 3}, "

enum {
	AFTER_PANIC_MS = 2000 * (3 + 1) + 1000, /* interval x (rise + 1) + timeout */
};

static void more_than_the_share_is_a_panic(void **state)
{
	(void)state;
	static const struct {
		uint32_t percent;
		size_t n, down;
		bool panic;
	} cases[] = {
		{50, 4, 2, false},    {50, 4, 3, true},	    {0, 4, 4, false},
		{99, 100, 99, false}, {99, 100, 100, true}, {1, 100, 1, false},
		{1, 100, 2, true},    {50, 0, 0, false},    {50, 1, 1, true},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(berth_panic_is_due(cases[i].percent, cases[i].n, cases[i].down), cases[i].panic);
}

static void a_panic_keeps_the_last_healthy_set(void **state)
{
	(void)state;
	struct berth_model *model = model_with(PANIC, 5);
	all_up(model);
	/* One is down long before. */
	set_health(model, 0, false, 1000);
	assert_false(berth_panic_update(&model->services[0], 1000));
	/* The checks detect the others within some seconds. */
	set_health(model, 1, false, 100000);
	assert_false(berth_panic_update(&model->services[0], 100000));
	expect_kept(model, false, ".....");
	follow_health(model, 2, false, 103000);
	expect_kept(model, true, ".kk..");
	follow_health(model, 3, false, 150000);
	expect_kept(model, true, ".kkk.");
	assert_int_equal(model->services[0].panic_since_ms, 103000);
	drop(model);
}

static void a_panic_ends_when_enough_are_back(void **state)
{
	(void)state;
	struct berth_model *model = model_with(PANIC, 4);
	all_up(model);
	for (size_t i = 0; i < 3; i++)
		set_health(model, i, false, 5000);
	assert_true(berth_panic_update(&model->services[0], 5000));
	expect_kept(model, true, "kkk.");
	follow_health(model, 0, true, 6000);
	expect_kept(model, false, ".cc.");
	assert_true(berth_panic_update(&model->services[0], 6000 + AFTER_PANIC_MS));
	expect_kept(model, false, "....");
	/* The next panic is a new one. */
	follow_health(model, 3, false, 900000);
	expect_kept(model, true, "...k");
	drop(model);
}

/* Three backends, which went down at 5000 ms. */
static struct berth_model *model_in_panic(void)
{
	struct berth_model *model = model_with("health: {interval: 2s, timeout: 1s, rise: 3}, ", 3);
	all_up(model);
	for (size_t i = 0; i < 3; i++)
		set_health(model, i, false, 5000);
	assert_true(berth_panic_update(&model->services[0], 5000));
	return model;
}

/* When flows and sessions of backend `which` lose it; 0: never. All are down, and come up at `up_ms` (0: never). */
static uint64_t lost_at(struct berth_model *model, const uint64_t *up_ms, size_t n, size_t which)
{
	struct berth_model_service *service = &model->services[0];
	for (uint64_t now_ms = 6000; now_ms < 30000; now_ms += 100) {
		for (size_t i = 0; i < n; i++)
			if (up_ms[i] == now_ms) {
				set_health(model, i, true, now_ms);
				berth_panic_update(service, now_ms);
			}
		uint64_t next_ms = UINT64_MAX;
		berth_panic_next(service, &next_ms);
		if (next_ms <= now_ms)
			berth_panic_update(service, now_ms);
		if (!berth_model_eligibility(at(model, which)))
			return now_ms;
	}
	return 0;
}

/* All were down because of one fault, and their checks find its end at different times. */
static void after_a_panic_the_others_keep_their_clients_until_their_checks_pass(void **state)
{
	(void)state;
	static const struct {
		uint64_t up_ms[3];
		uint64_t lost_ms; /* by the last backend */
	} cases[] = {
		{{10000, 10100, 10200}, 0},
		{{10000, 0, 10000 + AFTER_PANIC_MS - 100}, 0},
		{{10000, 0, 0}, 10000 + AFTER_PANIC_MS},
		/* The time begins with the first one. */
		{{10000, 14000, 0}, 10000 + AFTER_PANIC_MS},
		{{0, 0, 0}, 0}, /* the panic lasts */
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct berth_model *model = model_in_panic();
		const uint64_t lost_ms = lost_at(model, cases[i].up_ms, 3, 2);
		if (lost_ms != cases[i].lost_ms)
			fail_msg("case %zu: lost at %lu", i, lost_ms);
		drop(model);
	}
}

/* The fault is back before the checks of all have found its end. */
static void a_panic_soon_after_another_keeps_what_that_one_kept(void **state)
{
	(void)state;
	struct berth_model *model = model_in_panic();
	follow_health(model, 0, true, 900000);
	expect_kept(model, false, ".cc");
	set_health(model, 0, false, 904000);
	assert_true(berth_panic_report(&model->services[0], true));
	assert_true(berth_panic_update(&model->services[0], 904000));
	expect_kept(model, true, "kkk");
	assert_false(berth_panic_update(&model->services[0], 999000));
	expect_kept(model, true, "kkk");
	drop(model);
}

static void a_backend_that_flaps_keeps_no_dead_one_in_use(void **state)
{
	(void)state;
	struct berth_model *model = model_in_panic();
	uint64_t now_ms = 5000;
	for (uint64_t up_ms = 0; up_ms < AFTER_PANIC_MS; up_ms += 1000) {
		expect_kept(model, true, "kkk");
		follow_health(model, 0, true, now_ms += 1000);
		expect_kept(model, false, ".cc");
		follow_health(model, 0, false, now_ms += 1000);
	}
	expect_kept(model, true, "k..");
	follow_health(model, 1, true, now_ms += 1000);
	follow_health(model, 1, false, now_ms += 1000);
	expect_kept(model, true, "kk.");
	drop(model);
}

static void the_next_update_is_when_the_first_one_loses_its_clients(void **state)
{
	(void)state;
	struct berth_model *model = model_in_panic();
	struct berth_model_service *service = &model->services[0];
	uint64_t next_ms = UINT64_MAX;
	follow_health(model, 0, true, 10000);
	follow_health(model, 1, true, 12000);
	set_health(model, 0, false, 13000);
	follow_health(model, 1, false, 13000);
	follow_health(model, 0, true, 20000);
	berth_panic_next(service, &next_ms);
	assert_int_equal(next_ms, 20000 + AFTER_PANIC_MS - 3000);
	assert_int_equal(service->after_panic_until_ms, 20000 + AFTER_PANIC_MS);
	assert_true(berth_panic_update(service, next_ms));
	expect_kept(model, false, ".c.");
	drop(model);
}

/* Disabled backends do not count as faults, and forced-down ones do not stay in use. */
static void operator_states_cause_no_panic(void **state)
{
	(void)state;
	struct berth_model *model = model_with(PANIC, 4);
	struct berth_model_service *service = &model->services[0];
	all_up(model);
	at(model, 0)->admin = BERTH_ADMIN_DISABLED;
	at(model, 1)->admin = BERTH_ADMIN_EVICTED;
	at(model, 2)->forced = BERTH_FORCED_DOWN;
	set_health(model, 0, false, 1000);
	set_health(model, 1, false, 1000);
	assert_false(berth_panic_update(service, 1000));
	at(model, 0)->admin = at(model, 1)->admin = BERTH_ADMIN_ENABLED;
	assert_true(berth_panic_update(service, 2000));
	expect_kept(model, true, "kk..");
	at(model, 0)->forced = BERTH_FORCED_DOWN;
	assert_true(berth_panic_update(service, 2001));
	expect_kept(model, false, ".c..");
	drop(model);
}

static void a_backend_kept_by_panic_has_no_slow_start(void **state)
{
	(void)state;
	struct berth_model *model = model_with(PANIC "slow-start: 10s, ", 2);
	all_up(model);
	set_health(model, 0, false, 1000);
	expect_step(model, 1000, false, UINT64_MAX);
	follow_health(model, 1, false, 1001);
	expect_kept(model, true, "kk");
	expect_step(model, 1001, false, UINT64_MAX);
	drop(model);
}

static void a_backend_that_was_never_up_is_not_kept(void **state)
{
	(void)state;
	struct berth_model *model = model_with(PANIC, 2);
	set_health(model, 0, false, 10);
	set_health(model, 1, false, 10);
	/* So it is no panic: the service has no eligible backend. */
	assert_false(berth_panic_update(&model->services[0], 10));
	expect_kept(model, false, "..");
	drop(model);
}

static void by_default_the_last_backends_stay_in_use_once_all_are_down(void **state)
{
	(void)state;
	struct berth_model *model = model_with("", 3);
	all_up(model);
	set_health(model, 0, false, 10);
	set_health(model, 1, false, 10);
	assert_false(berth_panic_update(&model->services[0], 10));
	expect_kept(model, false, "...");
	follow_health(model, 2, false, 11);
	expect_kept(model, true, "kkk");
	drop(model);
}

static void without_a_threshold_all_may_be_down(void **state)
{
	(void)state;
	struct berth_model *model = model_with("panic-threshold: off, ", 2);
	all_up(model);
	set_health(model, 0, false, 10);
	set_health(model, 1, false, 10);
	assert_false(berth_panic_update(&model->services[0], 10));
	expect_kept(model, false, "..");
	drop(model);
}

/* Reports that nothing follows change nothing; `percent`: text. */
static void expect_followed_reports(const char *panic, size_t n)
{
	struct berth_model *model = model_with(panic, n);
	struct berth_model_service *service = &model->services[0];
	uint32_t random = 1, skipped = 0;
	all_up(model);
	berth_panic_update(service, 1);
	for (uint64_t now = 2; now < 3000; now++) {
		random = random * 1664525 + 1013904223;
		const size_t i = (random >> 8) % n;
		const bool is_up = at(model, i)->health == BERTH_HEALTH_UP;
		set_health(model, i, !is_up, now);
		if (berth_panic_report(service, is_up)) {
			berth_panic_update(service, now);
			continue;
		}
		struct berth_model_service full = *service;
		skipped++;
		assert_false(berth_panic_update(&full, now));
		assert_int_equal(full.panic, service->panic);
	}
	assert_true(skipped > 100);
	drop(model);
}

static void a_report_that_cannot_begin_a_panic_needs_no_update(void **state)
{
	(void)state;
	expect_followed_reports(PANIC, 5);
	expect_followed_reports("panic-threshold: 70%, ", 7);
	expect_followed_reports("", 4);
	expect_followed_reports("panic-threshold: off, ", 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_backend_that_comes_up_gets_its_weight_in_ten_steps),
		cmocka_unit_test(a_late_step_catches_up_with_time),
		cmocka_unit_test(every_recovery_causes_a_slow_start_but_berthds_start_does_not),
		cmocka_unit_test(a_new_backend_has_a_slow_start),
		cmocka_unit_test(without_slow_start_the_full_weight_counts_at_once),
		cmocka_unit_test(the_selection_table_follows_the_slow_start),
		cmocka_unit_test(more_than_the_share_is_a_panic),
		cmocka_unit_test(a_panic_keeps_the_last_healthy_set),
		cmocka_unit_test(a_panic_ends_when_enough_are_back),
		cmocka_unit_test(after_a_panic_the_others_keep_their_clients_until_their_checks_pass),
		cmocka_unit_test(a_panic_soon_after_another_keeps_what_that_one_kept),
		cmocka_unit_test(a_backend_that_flaps_keeps_no_dead_one_in_use),
		cmocka_unit_test(the_next_update_is_when_the_first_one_loses_its_clients),
		cmocka_unit_test(operator_states_cause_no_panic),
		cmocka_unit_test(a_backend_kept_by_panic_has_no_slow_start),
		cmocka_unit_test(a_backend_that_was_never_up_is_not_kept),
		cmocka_unit_test(by_default_the_last_backends_stay_in_use_once_all_are_down),
		cmocka_unit_test(without_a_threshold_all_may_be_down),
		cmocka_unit_test(a_report_that_cannot_begin_a_panic_needs_no_update),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
