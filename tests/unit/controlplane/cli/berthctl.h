/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runs the real berthctl (its path is the test's argument) against a daemon with the null engine, whose loop runs
 * in the test, or against a fake listener.
 */
#pragma once

#include "tests/support/berthd.h"

#include <event2/event.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "controlplane/util/clock.h"

enum {
	PATIENCE_MS = 20000,
	MAX_WORDS = 12,
};

static const char configuration[] =
	"engine: 'null'\n"
	"interfaces: [{name: lo}]\n"
	"limits: {flows: 1024, sessions: 1024, services: 4, backends: 60}\n"
	"services:\n"
	"  - {name: web, address: 203.0.113.10, protocol: tcp, port: 80, mode: ipip, table-size: 251, "
	"affinity: {by: client, timeout: 3h}, health: {type: none}, backends: [{name: b1, address: 192.0.2.11}, "
	"{name: b2, address: 192.0.2.12}]}\n"
	"  - {name: web6, address: '2001:db8::80', protocol: tcp, port: 80, mode: l2, table-size: 251, "
	"health: {type: none}, backends: [{name: b1, address: '2001:db8::11'}]}\n";

struct fixture {
	struct berthd berthd;
	struct event_base *base; /* of the daemon; NULL: no daemon */
	int listener;		 /* the fake; -1: none */
	const char *reply;	 /* sent before it closes the connection; NULL: it stays silent */
	int held;		 /* its connection; -1: none */
	unsigned int stays_ms;	 /* from its reply to the close */
	uint64_t hang_up_ms;
	uid_t uid;   /* berthctl runs as this user and group; 0: as the test */
	gid_t group; /* then a supplementary group; 0: none */
};

struct outcome {
	int status;
	char out[1 << 19];
	char err[4096];
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	assert_non_null(f);
	berthd_prepare(&f->berthd, configuration);
	assert_int_equal(chmod(f->berthd.dir, 0755), 0); /* readable for the unprivileged user */
	f->listener = -1;
	f->held = -1;
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	if (f->base)
		berth_daemon_close(f->berthd.daemon);
	if (f->held >= 0)
		close(f->held);
	if (f->listener >= 0) {
		close(f->listener);
		unlink(f->berthd.socket);
	}
	berthd_remove(&f->berthd);
	free(f);
	return 0;
}

__attribute__((unused)) static int set_up_daemon(void **state)
{
	set_up(state);
	struct fixture *f = *state;
	berthd_open(&f->berthd);
	f->base = f->berthd.daemon->base;
	return 0;
}

static void turn_fake(struct fixture *f)
{
	if (f->held >= 0 && berth_clock_ms() >= f->hang_up_ms) {
		close(f->held);
		f->held = -1;
	}
	if (f->held >= 0)
		return;
	f->held = accept4(f->listener, NULL, NULL, SOCK_CLOEXEC);
	f->hang_up_ms = berth_clock_ms() + f->stays_ms;
	if (f->held >= 0)
		(void)!send(f->held, f->reply, strlen(f->reply), MSG_NOSIGNAL);
}

static void turn(struct fixture *f)
{
	usleep(500);
	if (f->base)
		event_base_loop(f->base, EVLOOP_NONBLOCK);
	if (f->listener >= 0 && f->reply)
		turn_fake(f);
}

static pid_t start(const struct fixture *f, const char *words, int out, int err)
{
	char line[512];
	char *argv[MAX_WORDS] = {(char *)program};
	snprintf(line, sizeof(line), "%s", words);
	int n = 1;
	for (char *word = strtok(line, " "); word; word = strtok(NULL, " "))
		argv[n++] = word;
	assert_true(n < MAX_WORDS);
	pid_t pid = fork();
	if (pid == 0) {
		signal(SIGPIPE, SIG_DFL);
		dup2(out, STDOUT_FILENO);
		dup2(err, STDERR_FILENO);
		if (f->uid &&
		    (setgroups(f->group ? 1 : 0, &f->group) != 0 || setgid(f->uid) != 0 || setuid(f->uid) != 0))
			_exit(126);
		execv(program, argv);
		_exit(127);
	}
	assert_true(pid > 0);
	return pid;
}

static void read_back(int fd, char *text, size_t size)
{
	ssize_t n = pread(fd, text, size - 1, 0);
	assert_true(n >= 0);
	text[n] = '\0';
	close(fd);
}

/* Runs `berthctl WORDS` while the loop runs; calls `each` after every turn of the loop. */
static struct outcome run_until(struct fixture *f, const char *words, void (*each)(struct fixture *))
{
	struct outcome outcome = {.status = -1};
	int out = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	int err = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	assert_true(out >= 0 && err >= 0);
	pid_t pid = start(f, words, out, err);
	int status = 0;
	uint64_t end = berth_clock_ms() + PATIENCE_MS;
	while (waitpid(pid, &status, WNOHANG) == 0) {
		turn(f);
		if (each)
			each(f);
		if (berth_clock_ms() > end) {
			kill(pid, SIGKILL);
			waitpid(pid, &status, 0);
			break;
		}
	}
	if (WIFEXITED(status))
		outcome.status = WEXITSTATUS(status);
	read_back(out, outcome.out, sizeof(outcome.out));
	read_back(err, outcome.err, sizeof(outcome.err));
	return outcome;
}

/* "-s SOCKET COMMAND..." */
__attribute__((unused)) static struct outcome berthctl(struct fixture *f, const char *words)
{
	char line[400];
	snprintf(line, sizeof(line), "-s %s %s", f->berthd.socket, words);
	return run_until(f, line, NULL);
}

__attribute__((unused)) static void expect_outcome(const struct outcome *outcome, int status, const char *wanted)
{
	if (outcome->status != status)
		fail_msg("status %d, \"%s\", \"%s\"", outcome->status, outcome->out, outcome->err);
	if (status != 0)
		assert_string_equal(outcome->out, "");
	const char *text = status == 0 ? outcome->out : outcome->err;
	if (!strstr(text, wanted))
		fail_msg("no \"%s\" in \"%s\"", wanted, text);
}
