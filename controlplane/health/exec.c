/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The exec probe: a program ends with 0. It is started without a shell, with the environment below and nothing
 * else of berthd's: no descriptors but /dev/null as its first three, no blocked signals, / as its directory. It
 * leads a process group, which is killed when time is up, so that what it started ends with it.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/queue.h>
#include <sys/wait.h>
#include <unistd.h>

#include "controlplane/util/address.h"
#include "controlplane/health/probe.h"

enum {
	VARIABLE_BYTES = 16 + BERTH_NAME_BYTES,
	MOST_DYING = 64, /* killed and still there: they wait for a disk, say */
};

/* Outlives its probe: a program that was killed ends when it can. */
struct child {
	struct children *children;
	struct berth_probe *probe; /* NULL: it was cancelled */
	pid_t pid;
	int fd; /* readable once it has ended */
	struct event end;
	LIST_ENTRY(child) entry;
};

struct children {
	struct event_base *base;
	posix_spawnattr_t attributes;
	posix_spawn_file_actions_t actions;
	LIST_HEAD(, child) all;
	unsigned int dying;
};

static void child_free(struct child *child)
{
	event_del(&child->end);
	close(child->fd);
	LIST_REMOVE(child, entry);
	free(child);
}

/* si_code is 0 where somebody else took the program's end. */
static enum berth_probe_result judge(struct berth_probe *probe, const siginfo_t *info)
{
	bool is_exit = info->si_code == CLD_EXITED;

	if (is_exit && info->si_status == 0)
		berth_probe_say(probe, "ended with 0 in %.1f ms", berth_probe_took_ms(probe));
	else if (info->si_code)
		berth_probe_say(probe, "ended %s %d", is_exit ? "with" : "by signal", info->si_status);
	else
		berth_probe_say(probe, "ended, nobody knows how");
	if (!info->si_code)
		return BERTH_PROBE_UNSURE;
	return is_exit && info->si_status == 0 ? BERTH_PROBE_SUCCESS : BERTH_PROBE_FAILURE;
}

static void on_end(evutil_socket_t fd, short events, void *arg)
{
	(void)events;
	struct child *child = arg;
	struct berth_probe *probe = child->probe;
	siginfo_t info = {0};

	/* What it left behind. Its own number is nobody else's until waitid. */
	kill(-child->pid, SIGKILL);
	if (waitid(P_PIDFD, (id_t)fd, &info, WEXITED | WNOHANG) < 0)
		info.si_code = 0;
	child->children->dying -= !probe;
	child_free(child);
	if (probe)
		berth_probe_done(probe, judge(probe, &info));
}

static void cancel(struct berth_probe *probe)
{
	struct child *child = probe->own;

	child->probe = NULL;
	child->children->dying++;
	kill(-child->pid, SIGKILL);
}

/* Splits the command; ends with NULL. */
static void arguments_of(const struct berth_health_config *check, char *argv[BERTH_HEALTH_ARGUMENTS + 1])
{
	size_t n = 0;

	for (size_t at = 0; at < check->command_bytes; at += strlen(check->command + at) + 1)
		argv[n++] = (char *)check->command + at;
	argv[n] = NULL;
}

static int spawn(struct children *children, const struct berth_probe_key *key, pid_t *pid)
{
	char *argv[BERTH_HEALTH_ARGUMENTS + 1];
	char service[VARIABLE_BYTES], backend[VARIABLE_BYTES], address[VARIABLE_BYTES], port[VARIABLE_BYTES];
	char text[BERTH_ADDRESS_TEXT];
	char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
	char *const environment[] = {service, backend, address, port, path, NULL};

	arguments_of(key->check, argv);
	if (!argv[0])
		return ENOENT;
	snprintf(service, sizeof(service), "BERTH_SERVICE=%s", key->service);
	snprintf(backend, sizeof(backend), "BERTH_BACKEND=%s", key->backend);
	snprintf(address, sizeof(address), "BERTH_ADDRESS=%s", berth_address_format(&key->address, text));
	snprintf(port, sizeof(port), "BERTH_PORT=%u", (unsigned int)key->port);
	return posix_spawn(pid, argv[0], &children->actions, &children->attributes, argv, environment);
}

/* Errors of the program's file are the check's: nothing is learned of the server, but it must be said. */
static enum berth_probe_result fail_spawn(struct berth_probe *probe, int error)
{
	berth_probe_say(probe, "%s cannot be run: %s", probe->key.check->command, strerror(error));
	return BERTH_PROBE_UNSURE;
}

static enum berth_probe_result start(struct berth_probe *probe)
{
	struct children *children = probe->shared;
	struct child *child;
	int error;

	if (children->dying >= MOST_DYING) {
		berth_probe_say(probe, "%d programs before it were killed and do not end", MOST_DYING);
		return BERTH_PROBE_UNSURE;
	}
	child = calloc(1, sizeof(*child));
	if (!child)
		return berth_probe_error(probe, ENOMEM);
	error = spawn(children, &probe->key, &child->pid);
	if (error) {
		free(child);
		return fail_spawn(probe, error);
	}
	child->fd = pidfd_open(child->pid, 0);
	if (child->fd < 0 || event_assign(&child->end, children->base, child->fd, EV_READ, on_end, child) < 0 ||
	    event_add(&child->end, NULL) < 0) {
		error = errno;
		kill(-child->pid, SIGKILL);
		waitpid(child->pid, NULL, 0);
		if (child->fd >= 0)
			close(child->fd);
		free(child);
		return berth_probe_error(probe, error == EMFILE || error == ENFILE ? error : ENOMEM);
	}
	child->children = children;
	child->probe = probe;
	LIST_INSERT_HEAD(&children->all, child, entry);
	probe->own = child;
	probe->missing = "no end";
	return BERTH_PROBE_UNDER_WAY;
}

/* All of them were killed. */
static void close_shared(void *shared)
{
	struct children *children = shared;
	struct child *child, *next;

	for (child = LIST_FIRST(&children->all); child; child = next) {
		next = LIST_NEXT(child, entry);
		waitpid(child->pid, NULL, 0);
		child_free(child);
	}
	posix_spawnattr_destroy(&children->attributes);
	posix_spawn_file_actions_destroy(&children->actions);
	free(children);
}

/* Nothing of berthd's but what is said here. */
static int set_up(struct children *children)
{
	posix_spawn_file_actions_t *actions = &children->actions;
	posix_spawnattr_t *attributes = &children->attributes;
	sigset_t none, all;

	sigemptyset(&none);
	sigfillset(&all);
	if (posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0) ||
	    posix_spawn_file_actions_addopen(actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0) ||
	    posix_spawn_file_actions_addopen(actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0) ||
	    posix_spawn_file_actions_addclosefrom_np(actions, STDERR_FILENO + 1) ||
	    posix_spawn_file_actions_addchdir_np(actions, "/"))
		return -ENOMEM;
	return posix_spawnattr_setpgroup(attributes, 0) || posix_spawnattr_setsigmask(attributes, &none) ||
			       posix_spawnattr_setsigdefault(attributes, &all) ||
			       posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
									    POSIX_SPAWN_SETSIGDEF)
		       ? -ENOMEM
		       : 0;
}

static void *open_shared(struct event_base *base)
{
	struct children *children = calloc(1, sizeof(*children));

	if (!children)
		return NULL;
	children->base = base;
	LIST_INIT(&children->all);
	posix_spawnattr_init(&children->attributes);
	posix_spawn_file_actions_init(&children->actions);
	if (!set_up(children))
		return children;
	close_shared(children);
	return NULL;
}

const struct berth_probe_ops berth_probe_exec = {.open = open_shared,
						 .close = close_shared,
						 .start = start,
						 .cancel = cancel,
						 .is_named = true,
						 .is_heavy = true};
