/* SPDX-License-Identifier: BSD-3-Clause */
/* The state machine, delays and starts of checks, and lateness, as tables. */
#include "controlplane/health/delays.h"
#include "controlplane/health/state.h"
#include "tests/support/unit.h"

static void test_rise_and_fall_count_results_in_a_row(void **state)
{
	(void)state;
	/* Results: '+' and '-'; after each: up 'U', down 'D'. */
	static const struct {
		int initial;
		uint32_t rise, fall;
		const char *results, *then;
	} CASES[] = {
		{-1, 2, 3, "+", "U"},	      {-1, 2, 3, "-", "D"},	 {-1, 5, 5, "+----+-----", "UUUUUUUUUUD"},
		{-1, 2, 3, "-+-++", "DDDDU"}, {1, 2, 3, "---", "UUD"},	 {1, 2, 3, "--+---", "UUUUUD"},
		{0, 2, 3, "++", "DU"},	      {0, 1, 1, "+-+-", "UDUD"}, {0, 3, 1, "++-+++", "DDDDDU"},
		{1, 1, 2, "--+--", "UDUUD"},  {0, 0, 0, "+-", "UD"},
	};

	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		struct berth_rise_fall is;
		berth_rise_fall_init(&is, CASES[i].initial, 1000);
		for (size_t j = 0; CASES[i].results[j] != 0; j++) {
			int before = is.up;
			uint64_t since = is.since_ms;
			bool changed = berth_rise_fall_step(&is, CASES[i].rise, CASES[i].fall,
							    CASES[i].results[j] == '+', 2000 + j);
			assert_int_equal(is.up, CASES[i].then[j] == 'U');
			assert_int_equal(changed, is.up != before);
			assert_int_equal(is.since_ms, changed ? 2000 + j : since);
		}
	}
}

static void test_delays_stay_within_a_tenth_and_differ(void **state)
{
	(void)state;
	uint64_t random = 7, again = 7;
	uint32_t least = UINT32_MAX, most = 0;
	unsigned int tenths[10] = {0};

	for (int i = 0; i < 1000; i++) {
		random = berth_health_random(random);
		again = berth_health_random(again);
		assert_int_equal(random, again);
		uint32_t delay = berth_health_delay(2000, random);
		least = delay < least ? delay : least;
		most = delay > most ? delay : most;
		assert_in_range(berth_health_second_delay(2000, random), 1, 2000);
		tenths[(berth_health_second_delay(2000, random) - 1) / 200]++;
		assert_true(berth_health_first_delay(2000, random) <= 100);
		assert_true(berth_health_first_delay(30, random) <= 30);
	}
	assert_in_range(least, 1800, 1810);
	assert_in_range(most, 2190, 2200);
	for (int i = 0; i < 10; i++)
		assert_in_range(tenths[i], 60, 140);
	assert_int_equal(berth_health_delay(5, random), 5);
}

static void test_probes_start_at_times_that_they_share(void **state)
{
	(void)state;
	assert_int_equal(berth_health_together(80003999, 60000), 80000000);
	assert_int_equal(berth_health_together(80004000, 60000), 80008000);
	assert_int_equal(berth_health_together(80001000, 128), 80001000);
	assert_int_equal(berth_health_together(80001499, 128), 80001000);
	/* No interval loses more than the half of a 128th. */
	for (uint32_t ms = 1; ms < 3000; ms++)
		assert_in_range(berth_health_together(UINT64_C(1234567891), ms), 1234567891 - ms * 1000 / 256 - 1,
				1234567891 + ms * 1000 / 256 + 1);
}

static void test_checks_are_behind_while_more_than_one_in_twenty_is_late(void **state)
{
	(void)state;
	struct berth_health_delays delays = {0};
	const struct {
		uint32_t probes, late; /* in 10 s each */
		bool is_behind;
	} periods[] = {{100, 0, false}, {100, 5, false}, {100, 6, true}, {100, 100, true},
		       {19, 1, false},	{19, 2, true},	 {40, 2, false}, {9, 9, true}};
	uint64_t now = 1, late = 0;
	for (size_t i = 0; i < sizeof(periods) / sizeof(periods[0]); i++) {
		for (uint32_t n = 0; n < periods[i].probes; n++)
			berth_health_delays_add(&delays, n < periods[i].late ? 500000 : 499999, 1000, now);
		now += 10000000;
		late += periods[i].late;
		assert_int_equal(delays.late, late);
		if (i)
			assert_int_equal(delays.is_behind, periods[i - 1].is_behind);
	}
	/* A period ends without a probe, too. */
	berth_health_delays_tick(&delays, now);
	assert_true(delays.is_behind);
	berth_health_delays_tick(&delays, now + 9999999);
	assert_true(delays.is_behind);
	now += 10000000;
	berth_health_delays_tick(&delays, now);
	assert_false(delays.is_behind);
	/* Half of a short interval is what a busy host takes now and then. */
	berth_health_delays_add(&delays, 49999, 50, now);
	assert_int_equal(delays.late, late);
	berth_health_delays_add(&delays, 50000, 50, now);
	assert_int_equal(delays.late, late + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rise_and_fall_count_results_in_a_row),
		cmocka_unit_test(test_delays_stay_within_a_tenth_and_differ),
		cmocka_unit_test(test_probes_start_at_times_that_they_share),
		cmocka_unit_test(test_checks_are_behind_while_more_than_one_in_twenty_is_late),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
