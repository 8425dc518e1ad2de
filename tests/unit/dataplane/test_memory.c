// SPDX-License-Identifier: BSD-3-Clause
/* Hugepages of a process that ended are waited for, as long as they can come. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <pthread.h>

#include "dataplane/memory.h"

enum {
	LATE_MS = 100,
	LONG_MS = 5000,
};

static char path[] = "/tmp/berth-meminfo-XXXXXX";

/* By rename: a reader sees all of it. */
static void put(unsigned int total, unsigned int free_pages, unsigned int reserved)
{
	char next[sizeof(path) + 8];
	snprintf(next, sizeof(next), "%s.new", path);
	FILE *file = fopen(next, "w");
	assert_non_null(file);
	fprintf(file,
		"MemTotal:       4096000 kB\nMemAvailable:   2048000 kB\nHugePages_Total:   %u\n"
		"HugePages_Free:    %u\nHugePages_Rsvd:    %u\nHugepagesize:       2048 kB\n",
		total, free_pages, reserved);
	fclose(file);
	assert_int_equal(rename(next, path), 0);
}

static uint64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void memory_is_what_the_kernel_says(void **state)
{
	(void)state;
	put(512, 100, 30);
	const struct berth_memory memory = berth_memory_read(path);
	assert_int_equal(memory.available_mb, 2000);
	assert_int_equal(memory.free_hugepages_mb, 140);
	assert_int_equal(memory.hugepages_mb, 1024);
	put(512, 30, 30);
	assert_int_equal(berth_memory_read(path).free_hugepages_mb, 0);
	assert_int_equal(berth_memory_read("/nonexistent").hugepages_mb, 0);
}

static void *free_late(void *arg)
{
	(void)arg;
	usleep(LATE_MS * 1000);
	put(512, 400, 0);
	return NULL;
}

static void hugepages_that_come_free_late_are_waited_for(void **state)
{
	(void)state;
	pthread_t thread;
	put(512, 10, 0);
	const uint64_t begin_ms = now_ms();
	assert_int_equal(pthread_create(&thread, NULL, free_late, NULL), 0);
	const struct berth_memory memory = berth_memory_await_hugepages(path, 800, LONG_MS);
	pthread_join(thread, NULL);
	assert_int_equal(memory.free_hugepages_mb, 800);
	assert_in_range(now_ms() - begin_ms, LATE_MS, LONG_MS - 1);
}

static void the_wait_ends_in_time_and_is_none_for_more_than_there_is(void **state)
{
	(void)state;
	put(512, 10, 0);
	uint64_t begin_ms = now_ms();
	assert_int_equal(berth_memory_await_hugepages(path, 1024, 60).free_hugepages_mb, 20);
	assert_true(now_ms() - begin_ms >= 60);
	begin_ms = now_ms();
	assert_int_equal(berth_memory_await_hugepages(path, 1025, LONG_MS).free_hugepages_mb, 20);
	assert_true(now_ms() - begin_ms < LONG_MS);
}

static int remove_file(void **state)
{
	(void)state;
	return unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_is_what_the_kernel_says),
		cmocka_unit_test(hugepages_that_come_free_late_are_waited_for),
		cmocka_unit_test(the_wait_ends_in_time_and_is_none_for_more_than_there_is),
	};
	const int fd = mkstemp(path);
	if (fd < 0)
		return 1;
	close(fd);
	return cmocka_run_group_tests(tests, NULL, remove_file);
}
