// SPDX-License-Identifier: BSD-3-Clause
/* A process that forwarded is started again at once; starts that fail are repeated in bounded steps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "controlplane/engine/restart_policy.h"

static void a_process_that_forwarded_is_started_at_once_every_time(void **state)
{
	struct berth_restart_policy policy = {0};
	uint64_t now_ms = 5;
	(void)state;
	assert_true(berth_restart_is_due(&policy, 0));
	for (int i = 0; i < 1000; i++, now_ms += 1) {
		assert_int_equal(berth_restart_ended(&policy, now_ms, true), 0);
		assert_true(berth_restart_is_due(&policy, now_ms));
		berth_restart_reset(&policy);
	}
}

static void failed_starts_are_repeated_in_steps_of_at_most_a_second(void **state)
{
	static const uint32_t steps_ms[] = {0, 125, 250, 500, 1000, 1000, 1000};
	struct berth_restart_policy policy = {0};
	uint64_t now_ms = 1000;
	(void)state;
	for (size_t i = 0; i < sizeof(steps_ms) / sizeof(steps_ms[0]); i++) {
		assert_int_equal(berth_restart_ended(&policy, now_ms, false), steps_ms[i]);
		assert_int_equal(berth_restart_is_due(&policy, now_ms), steps_ms[i] == 0);
		now_ms += steps_ms[i];
		assert_true(berth_restart_is_due(&policy, now_ms));
	}
	for (int i = 0; i < 100; i++)
		assert_int_equal(berth_restart_ended(&policy, now_ms, false), 1000);
	assert_int_equal(berth_restart_ended(&policy, now_ms, true), 0);
	assert_int_equal(berth_restart_ended(&policy, now_ms, false), 0);
	assert_int_equal(berth_restart_ended(&policy, now_ms, false), 125);
}

static void three_ends_in_a_minute_are_an_alarm_until_the_minute_is_over(void **state)
{
	struct berth_restart_policy policy = {0};
	(void)state;
	for (uint64_t now_ms = 0; now_ms < 300000; now_ms += 30000) {
		berth_restart_ended(&policy, now_ms, true);
		assert_false(berth_restart_is_alarm(&policy, now_ms));
	}
	berth_restart_ended(&policy, 271000, true);
	assert_true(berth_restart_is_alarm(&policy, 271000));
	assert_true(berth_restart_is_alarm(&policy, 240000 + 59999));
	assert_false(berth_restart_is_alarm(&policy, 240000 + 60000));
}

static void a_failed_start_is_an_alarm_until_one_succeeds(void **state)
{
	struct berth_restart_policy policy = {0};
	(void)state;
	berth_restart_ended(&policy, 10, false);
	assert_true(berth_restart_is_alarm(&policy, 10));
	assert_true(berth_restart_is_alarm(&policy, 1000000));
	berth_restart_reset(&policy);
	assert_false(berth_restart_is_alarm(&policy, 1000000));
}

static void a_hang_is_an_alarm_for_a_minute_and_delays_no_start(void **state)
{
	struct berth_restart_policy policy = {0};
	(void)state;
	berth_restart_hung(&policy, 5000);
	assert_int_equal(berth_restart_ended(&policy, 5010, true), 0);
	berth_restart_reset(&policy);
	assert_true(berth_restart_is_alarm(&policy, 64999));
	assert_false(berth_restart_is_alarm(&policy, 65000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_process_that_forwarded_is_started_at_once_every_time),
		cmocka_unit_test(failed_starts_are_repeated_in_steps_of_at_most_a_second),
		cmocka_unit_test(three_ends_in_a_minute_are_an_alarm_until_the_minute_is_over),
		cmocka_unit_test(a_failed_start_is_an_alarm_until_one_succeeds),
		cmocka_unit_test(a_hang_is_an_alarm_for_a_minute_and_delays_no_start),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
