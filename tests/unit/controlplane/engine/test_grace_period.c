// SPDX-License-Identifier: BSD-3-Clause
/*
 * A grace period is waited for, also where membarrier(2) fails, as it does on a kernel that was booted with
 * nohz_full= (the link wraps syscall()). As root.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "controlplane/engine/grace_period.h"

enum {
	WAITS = 10,
	LEAST_NS = 500000, /* of all waits: ten updates of a map without a grace period take some microseconds */
};

static bool membarrier_works;

long __wrap_syscall(long number, long a, long b, long c);
long __real_syscall(long number, long a, long b, long c);

long __wrap_syscall(long number, long a, long b, long c)
{
	if (number != SYS_membarrier || membarrier_works)
		return __real_syscall(number, a, b, c);
	errno = EINVAL;
	return -1;
}

static uint64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void expect_waits(void)
{
	struct berth_grace_period period = {0};
	const uint64_t begin_ns = now_ns();
	for (int i = 0; i < WAITS; i++)
		assert_int_equal(berth_grace_period_wait(&period), 0);
	assert_true(now_ns() - begin_ns > LEAST_NS);
	berth_grace_period_close(&period);
}

static void a_grace_period_is_waited_for(void **state)
{
	(void)state;
	membarrier_works = true;
	expect_waits();
}

static void it_is_also_waited_for_where_membarrier_fails(void **state)
{
	(void)state;
	membarrier_works = false;
	expect_waits();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_grace_period_is_waited_for),
		cmocka_unit_test(it_is_also_waited_for_where_membarrier_fails),
	};
	if (geteuid() != 0)
		return 77; /* meson: skipped */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
