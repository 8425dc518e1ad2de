/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runs the real berthctl against a daemon with the null engine while a second client sends requests, and checks
 * that no turn of berthd's loop keeps that client waiting.
 */
#pragma once

#include "tests/unit/controlplane/cli/child.h"

#include <sys/socket.h>
#include <sys/un.h>

enum {
	/* Limits: CPU time of one turn of berthd's loop, which a virtual machine's host may lengthen now and then,
	 * and median time of an answer to the second client, generous because the machine may be busy. */
	TURN_MS = 20,
	LONGER_TURNS = 2,
	ANSWER_MS = 200,
	MAX_ANSWERS = 100000,
};

/* The peak memory of a process in KiB; `last` if the process has ended. */
static long memory_of(pid_t pid, long last)
{
	char path[64], line[256];
	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	FILE *in = fopen(path, "re");
	while (in && fgets(line, sizeof(line), in))
		sscanf(line, "VmHWM: %ld", &last);
	if (in)
		fclose(in);
	return last;
}

static int by_value(const void *a, const void *b)
{
	const unsigned int *x = a, *y = b;
	return *x < *y ? -1 : *x > *y;
}

/* The second client: sends requests until it is killed. Every 10 answers it writes their median, 99th percentile
 * and longest time, in microseconds. */
static void send_requests(const struct berthd *berthd, int out)
{
	static unsigned int took[MAX_ANSWERS];
	static const char request[] = "{\"command\": \"show engine\"}\n";
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char answer[65536];
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	strcpy(address.sun_path, berthd->socket);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
		_exit(1);
	for (size_t n = 0; n < MAX_ANSWERS;) {
		uint64_t begin = now_us(CLOCK_MONOTONIC);
		size_t have = 0;
		if (write(fd, request, sizeof(request) - 1) < 0)
			_exit(1);
		do {
			ssize_t got = read(fd, answer + have, sizeof(answer) - have);
			if (got <= 0)
				_exit(1);
			have += (size_t)got;
		} while (answer[have - 1] != '\n');
		took[n++] = (unsigned int)(now_us(CLOCK_MONOTONIC) - begin);
		usleep(2000);
		if (n > 100 && n % 10)
			continue;
		qsort(took, n, sizeof(took[0]), by_value);
		unsigned int times[] = {took[n / 2], took[n * 99 / 100], took[n - 1]};
		if (pwrite(out, times, sizeof(times), 0) != sizeof(times))
			_exit(1);
	}
	_exit(0);
}

/* Runs `berthctl WORDS` beside the second client; returns its output, a file, and its peak memory. */
static int run_berthctl(struct berthd *berthd, char *const words[], long *berthctl_kib)
{
	int out = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	int figures = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	assert_true(out >= 0 && figures >= 0);
	pid_t other = fork();
	if (other == 0)
		send_requests(berthd, figures);
	uint64_t begin = berth_clock_ms(), longest_us = 0, busy_us = 0;
	uint32_t longer_turns = 0;
	pid_t pid = start_berthctl(berthd, words, out);
	long memory = 0;
	int status;
	struct rusage usage;
	while (wait4(pid, &status, WNOHANG, &usage) == 0) {
		uint64_t turn = now_us(CLOCK_THREAD_CPUTIME_ID);
		event_base_loop(berthd->daemon->base, EVLOOP_ONCE);
		turn = now_us(CLOCK_THREAD_CPUTIME_ID) - turn;
		busy_us += turn;
		longest_us = turn > longest_us ? turn : longest_us;
		longer_turns += turn > TURN_MS * 1000;
		memory = memory_of(pid, memory);
		assert_in_range(berth_clock_ms() - begin, 0, PATIENCE_MS);
	}
	uint64_t took = berth_clock_ms() - begin;
	kill(other, SIGKILL);
	waitpid(other, NULL, 0);
	unsigned int times[3] = {0};
	(void)!pread(figures, times, sizeof(times), 0);
	close(figures);
	assert_int_equal(status, 0);
	printf("%-8s %.2f s; CPU %.2f s in berthctl, %.2f s in berthd; peak memory of berthctl %ld KiB; longest "
	       "turn of the loop %.1f ms; answers to the second client %.1f ms (median), %.1f (99%%), %.1f "
	       "(longest)\n",
	       words[0], (double)took / 1000, (double)usage.ru_utime.tv_sec + (double)usage.ru_utime.tv_usec / 1e6,
	       (double)busy_us / 1e6, memory, (double)longest_us / 1000, times[0] / 1e3, times[1] / 1e3,
	       times[2] / 1e3);
	assert_in_range(longer_turns, 0, LONGER_TURNS);
	assert_in_range(times[0], 0, ANSWER_MS * 1000);
	if (berthctl_kib)
		*berthctl_kib = memory;
	return out;
}
