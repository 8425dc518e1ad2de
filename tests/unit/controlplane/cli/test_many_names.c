// SPDX-License-Identifier: BSD-3-Clause
/*
 * berthctl (its path is the argument of this test) completes and helps within 50 ms while berthd knows 10,000
 * services: processor time of both, the least of several times, so that other work on the machine does not count,
 * beyond that of a start of berthctl, which a terminal has once.
 */
#include "tests/unit/controlplane/cli/child.h"

#include <malloc.h>

enum {
	SERVICES = 10000,
	MOST_US = 50 * 1000,
	TIMES = 10,
	MOST_NAMES = 200,
};

/* The caller frees it. */
static char *configuration(void)
{
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);
	fprintf(out,
		"engine: 'null'\ninterfaces: [{name: lo}]\n"
		"limits: {flows: 1024, sessions: 1024, services: %d, backends: %d}\nservices:\n",
		SERVICES + 1, SERVICES + 1);
	for (int i = 0; i < SERVICES; i++)
		fprintf(out,
			"  - {name: service%d, address: 203.0.113.1, port: %d, mode: l2, table-size: 251, "
			"health: {type: none}, backends: [{name: b1, address: 10.0.%d.%d}]}\n",
			i, i + 1, i / 250, i % 250 + 1);
	fclose(out);
	return text;
}

static int set_up(void **state)
{
	*state = open_without_log(configuration(), NULL);
	return 0;
}

static int tear_down(void **state)
{
	struct berthd *berthd = *state;
	berth_daemon_close(berthd->daemon);
	berthd_remove(berthd);
	free(berthd);
	return 0;
}

static uint64_t us_of(const struct timeval *time)
{
	return (uint64_t)time->tv_sec * 1000000 + (uint64_t)time->tv_usec;
}

/* Processor time of berthd with nothing to do. */
static uint64_t idle_time_of(struct berthd *berthd, uint64_t wall_us)
{
	const uint64_t begin = now_us(CLOCK_THREAD_CPUTIME_ID), end = now_us(CLOCK_MONOTONIC) + wall_us;
	while (now_us(CLOCK_MONOTONIC) < end) {
		event_base_loop(berthd->daemon->base, EVLOOP_NONBLOCK);
		usleep(100);
	}
	return now_us(CLOCK_THREAD_CPUTIME_ID) - begin;
}

/* Processor time of berthctl, and of berthd for it. The output goes to `out`. */
static uint64_t time_of(struct berthd *berthd, char *const words[], int out)
{
	const uint64_t end_ms = berth_clock_ms() + PATIENCE_MS, begin = now_us(CLOCK_THREAD_CPUTIME_ID);
	const uint64_t wall_begin = now_us(CLOCK_MONOTONIC);
	const pid_t pid = start_berthctl(berthd, words, out);
	struct rusage usage;
	int status;
	while (wait4(pid, &status, WNOHANG, &usage) == 0) {
		event_base_loop(berthd->daemon->base, EVLOOP_NONBLOCK);
		usleep(100);
		assert_true(berth_clock_ms() < end_ms);
	}
	assert_int_equal(status, 0);
	const uint64_t of_berthd = now_us(CLOCK_THREAD_CPUTIME_ID) - begin;
	const uint64_t idle = idle_time_of(berthd, now_us(CLOCK_MONOTONIC) - wall_begin);
	return of_berthd - (idle < of_berthd ? idle : of_berthd) + us_of(&usage.ru_utime) + us_of(&usage.ru_stime);
}

struct trial {
	char *words[5];
	const char *line; /* of the output, at least in part */
	size_t lines;	  /* that have it */
};

/* The least of at most TIMES times, until one is not above `enough_us`. */
static uint64_t least_of(struct berthd *berthd, const struct trial *trial, uint64_t enough_us)
{
	uint64_t least_us = UINT64_MAX;
	for (int n = 0; n < TIMES && least_us > enough_us; n++) {
		const int out = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
		const uint64_t us = time_of(berthd, trial->words, out);
		least_us = us < least_us ? us : least_us;
		assert_int_equal(count_lines(out, trial->line), trial->lines);
	}
	return least_us;
}

static void completion_and_help_take_at_most_50_ms(void **state)
{
	static const struct trial start = {{"--version"}, "berthctl", 1};
	static const struct trial cases[] = {
		{{"complete", "backend", "drain", "service9999/"}, "service9999/b1", 1},
		{{"complete", "backend", "drain", ""}, "/b1", MOST_NAMES},
		{{"complete", "service", "set", "service999"}, "service999", 11},
		{{"complete", "service", "set", "nothing"}, "service", 0},
		{{"complete", "host", "drain", "10."}, "10.", MOST_NAMES},
		{{"complete", "show", "sess"}, "sessions", 1},
		{{"help", "show"}, "show services", 1},
		{{"backend", "drain", "--help"}, "backend drain", 1},
	};
	const uint64_t start_us = least_of(*state, &start, 0);
	printf("start: %.1f ms\n", (double)start_us / 1000);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const uint64_t us = least_of(*state, &cases[i], start_us + MOST_US);
		printf("%s %s %s: %.1f ms\n", cases[i].words[0], cases[i].words[1],
		       cases[i].words[2] ? cases[i].words[2] : "", (double)us / 1000);
		assert_in_range(us, 1, start_us + MOST_US);
	}
}

int main(int argc, char **argv)
{
	if (!find_berthctl(argc, argv))
		return 2;
	mallopt(M_PERTURB, 0); /* berthctl's time is measured as an operator has it */
	unsetenv("MALLOC_PERTURB_");
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(completion_and_help_take_at_most_50_ms),
	};
	return cmocka_run_group_tests_name("many names", tests, set_up, tear_down);
}
