// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/util/wheel.h"

#include <time.h>

#include "tests/support/unit.h"

enum {
	MANY = 1000,
	LATEST_MS = 300,
};

struct noted {
	struct berth_wheel_timer timer;
	struct berth_wheel *wheel;
	struct noted *other; /* cancelled by the call; NULL: none */
	uint64_t set_us, wait_us, called_us;
	uint64_t again_us; /* set again by the call; 0: not */
	int calls;
};

static uint64_t now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void on_due(void *arg)
{
	struct noted *noted = arg;
	noted->called_us = now_us();
	noted->calls++;
	if (noted->other)
		berth_wheel_cancel(noted->wheel, &noted->other->timer);
	if (noted->again_us)
		berth_wheel_set(noted->wheel, &noted->timer, noted->again_us);
}

static void set(struct berth_wheel *wheel, struct noted *noted, uint64_t us)
{
	noted->timer.fn = on_due;
	noted->timer.arg = noted;
	noted->wheel = wheel;
	noted->set_us = now_us();
	noted->wait_us = us;
	berth_wheel_set(wheel, &noted->timer, us);
}

static int setup(void **state)
{
	static struct event_base *base;
	base = event_base_new();
	*state = base;
	return base ? 0 : -1;
}

static int teardown(void **state)
{
	event_base_free(*state);
	return 0;
}

/* The loop ends when no timer is set. */
static void each_timer_is_called_once_and_never_too_early(void **state)
{
	static struct noted all[MANY];
	struct berth_wheel *wheel = berth_wheel_new(*state);
	assert_non_null(wheel);
	for (uint64_t i = 0; i < MANY; i++)
		set(wheel, &all[i], i * 7919 % LATEST_MS * 1000 + i % 1000);
	assert_int_equal(event_base_dispatch(*state), 1);
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(all[i].calls, 1);
		assert_true(all[i].called_us >= all[i].set_us + all[i].wait_us);
	}
	for (int i = 1; i < MANY; i++)
		if (all[i].timer.tick > all[i - 1].timer.tick)
			assert_true(all[i].called_us >= all[i - 1].called_us);
	berth_wheel_free(wheel);
}

/* It has the slot of one that is due now. */
static void a_timer_of_a_later_revolution_is_not_called_yet(void **state)
{
	struct noted soon = {0}, late = {0};
	struct berth_wheel *wheel = berth_wheel_new(*state);
	set(wheel, &soon, 20000);
	set(wheel, &late, 20000 + 16384 * 1000);
	while (!soon.calls)
		event_base_loop(*state, EVLOOP_ONCE);
	event_base_loop(*state, EVLOOP_NONBLOCK);
	assert_int_equal(soon.calls, 1);
	assert_int_equal(late.calls, 0);
	berth_wheel_cancel(wheel, &late.timer);
	berth_wheel_free(wheel);
}

static void a_timer_that_is_set_anew_has_its_new_time_only(void **state)
{
	struct noted later = {0}, sooner = {0};
	struct berth_wheel *wheel = berth_wheel_new(*state);
	set(wheel, &later, 1000);
	set(wheel, &later, 50000);
	set(wheel, &sooner, 3600u * 1000000u);
	set(wheel, &sooner, 1000);
	assert_int_equal(event_base_dispatch(*state), 1);
	assert_int_equal(later.calls, 1);
	assert_true(later.called_us >= later.set_us + later.wait_us);
	assert_int_equal(sooner.calls, 1);
	assert_true(sooner.timer.tick > later.timer.tick || sooner.called_us <= later.called_us);
	berth_wheel_free(wheel);
}

static void a_call_may_cancel_one_that_is_due_with_it_and_set_itself(void **state)
{
	struct noted first = {0}, second = {0};
	struct berth_wheel *wheel = berth_wheel_new(*state);
	first.other = &second;
	first.again_us = 10000;
	do {
		set(wheel, &first, 5000);
		set(wheel, &second, 5000);
	} while (second.timer.tick != first.timer.tick);
	while (first.calls < 2)
		event_base_loop(*state, EVLOOP_ONCE);
	assert_int_equal(second.calls, 0);
	berth_wheel_cancel(wheel, &first.timer);
	berth_wheel_free(wheel);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_timer_is_called_once_and_never_too_early, setup, teardown),
		cmocka_unit_test_setup_teardown(a_timer_of_a_later_revolution_is_not_called_yet, setup, teardown),
		cmocka_unit_test_setup_teardown(a_timer_that_is_set_anew_has_its_new_time_only, setup, teardown),
		cmocka_unit_test_setup_teardown(a_call_may_cancel_one_that_is_due_with_it_and_set_itself, setup,
						teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
