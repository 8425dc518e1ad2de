/* SPDX-License-Identifier: BSD-3-Clause */
/* The real berthctl as a child of a test whose process is berthd. */
#pragma once

#include "tests/support/berthd.h"

#include <event2/event.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include "controlplane/util/clock.h"

enum {
	PATIENCE_MS = 100000,
};

static pid_t start_berthctl(const struct berthd *berthd, char *const words[], int out)
{
	char *argv[16] = {(char *)program, (char[]){"-s"}, (char *)berthd->socket};
	for (int i = 0; words[i]; i++)
		argv[3 + i] = words[i];
	pid_t pid = fork();
	if (pid == 0) {
		dup2(out, STDOUT_FILENO);
		execv(program, argv);
		_exit(127);
	}
	assert_true(pid > 0);
	return pid;
}

static uint64_t now_us(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* Of an output from its begin: the lines that contain `text`. Closes it. */
static size_t count_lines(int fd, const char *text)
{
	FILE *in = fdopen(fd, "r");
	char line[1024];
	size_t n = 0;
	assert_non_null(in);
	rewind(in);
	while (fgets(line, sizeof(line), in))
		n += strstr(line, text) != NULL;
	fclose(in);
	return n;
}

/* berthd with a configuration, which is freed, and what comes `then`, if anything, without its log: that has a line
 * for each of many backends. */
static inline struct berthd *open_without_log(char *text, void (*then)(struct berthd *berthd))
{
	struct berthd *berthd = calloc(1, sizeof(*berthd));
	assert_non_null(berthd);
	berthd_prepare(berthd, text);
	free(text);
	const int log = dup(STDERR_FILENO), null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	dup2(null, STDERR_FILENO);
	berthd_open(berthd);
	if (then)
		then(berthd);
	dup2(log, STDERR_FILENO);
	close(log);
	close(null);
	return berthd;
}
