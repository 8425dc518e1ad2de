/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Exec probe: succeeds if a program exits with status 0. The program is started without a shell, as the check's
 * `user`, without privileges (util/spawn.h); its environment is the one below, descriptors 0 to 2 are /dev/null and
 * no others are open. Its process group is killed on a timeout together with all children.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/queue.h>
#include <sys/wait.h>
#include <unistd.h>

#include "controlplane/health/types.h"
#include "controlplane/util/address.h"
#include "controlplane/util/spawn.h"

enum {
	VARIABLE_BYTES = 16 + BERTH_NAME_BYTES,
	MAX_KILLED = 64, /* killed programs that have not exited, for example blocked on a disk */
};

/* Outlives its probe: a killed program may exit later. */
struct child {
	struct children *children;
	struct berth_probe *probe; /* NULL: it was cancelled */
	pid_t pid;
	uint32_t uid;
	int fd; /* pidfd: readable after the exit */
	struct event exit;
	LIST_ENTRY(child) entry;
};

struct children {
	struct event_base *base;
	LIST_HEAD(, child) all;
	unsigned int n_killed;
};

static void child_free(struct child *child)
{
	event_del(&child->exit);
	close(child->fd);
	LIST_REMOVE(child, entry);
	free(child);
}

/* si_code is 0 if the exit status is not available. */
static enum berth_probe_result evaluate(struct berth_probe *probe, const siginfo_t *info)
{
	bool is_exit = info->si_code == CLD_EXITED;

	if (is_exit && info->si_status == 0)
		berth_probe_set_reason(probe, "exited with status 0 in %.1f ms", berth_probe_elapsed_ms(probe));
	else if (info->si_code && !is_exit && info->si_status == SIGSYS)
		berth_probe_set_reason(probe, "killed by signal %d: a system call that docs/security.md refuses",
				       SIGSYS);
	else if (info->si_code)
		berth_probe_set_reason(probe, "%s %d", is_exit ? "exited with status" : "killed by signal",
				       info->si_status);
	else
		berth_probe_set_reason(probe, "exit status not available");
	if (!info->si_code)
		return BERTH_PROBE_HOST_ERROR;
	return is_exit && info->si_status == 0 ? BERTH_PROBE_SUCCESS : BERTH_PROBE_FAILURE;
}

static void on_exit_event(evutil_socket_t fd, short events, void *arg)
{
	(void)events;
	struct child *child = arg;
	struct berth_probe *probe = child->probe;
	siginfo_t info = {0};

	/* Kills its children. The kernel does not reuse its pid before waitid. */
	berth_spawn_kill(-child->pid, child->uid);
	if (waitid(P_PIDFD, (id_t)fd, &info, WEXITED | WNOHANG) < 0)
		info.si_code = 0;
	child->children->n_killed -= !probe;
	child_free(child);
	if (probe)
		berth_probe_done(probe, evaluate(probe, &info));
}

static void cancel(struct berth_probe *probe)
{
	struct child *child = probe->own;

	child->probe = NULL;
	child->children->n_killed++;
	berth_spawn_kill(-child->pid, child->uid);
}

/* Splits the command into a NULL-terminated argv. */
static void split_command(const struct berth_health_config *check, char *argv[BERTH_HEALTH_ARGUMENTS + 1])
{
	size_t n = 0;

	for (size_t at = 0; at < check->command_bytes; at += strlen(check->command + at) + 1)
		argv[n++] = (char *)check->command + at;
	argv[n] = NULL;
}

/* Returns the process id or -errno. */
static pid_t spawn(const struct berth_probe_key *key, bool *is_refused)
{
	char *argv[BERTH_HEALTH_ARGUMENTS + 1];
	char service[VARIABLE_BYTES], backend[VARIABLE_BYTES], address[VARIABLE_BYTES], port[VARIABLE_BYTES];
	char text[BERTH_ADDRESS_TEXT];
	char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
	char *const environment[] = {service, backend, address, port, path, NULL};
	const struct berth_spawn program = {
		.argv = argv, .environment = environment, .account = &key->check->account, .fd = -1};

	split_command(key->check, argv);
	if (!argv[0])
		return -ENOENT;
	snprintf(service, sizeof(service), "BERTH_SERVICE=%s", key->service);
	snprintf(backend, sizeof(backend), "BERTH_BACKEND=%s", key->backend);
	snprintf(address, sizeof(address), "BERTH_ADDRESS=%s", berth_address_format(&key->address, text));
	snprintf(port, sizeof(port), "BERTH_PORT=%u", (unsigned int)key->port);
	return berth_spawn(&program, is_refused);
}

/* A program that is not found or not executable, or a user that berthd may not switch to, is a fault of the check.
 */
static enum berth_probe_result fail_spawn(struct berth_probe *probe, int error, bool is_refused)
{
	const struct berth_health_config *check = probe->key.check;
	if (is_refused)
		berth_probe_set_reason(probe, "cannot run %s as user %s: %s", check->command,
				       check->user[0] ? check->user : BERTH_HEALTH_USER, strerror(error));
	else
		berth_probe_set_reason(probe, "cannot run %s: %s", check->command, strerror(error));
	return berth_probe_lacks_resources(error) ? BERTH_PROBE_HOST_ERROR : BERTH_PROBE_MISCONFIGURED;
}

static enum berth_probe_result start(struct berth_probe *probe)
{
	struct children *children = probe->shared;
	struct child *child;
	bool is_refused = false;
	int error;

	if (children->n_killed >= MAX_KILLED) {
		berth_probe_set_reason(probe, "%d killed check programs have not exited yet", MAX_KILLED);
		return BERTH_PROBE_HOST_ERROR;
	}
	child = calloc(1, sizeof(*child));
	if (!child)
		return berth_probe_fail(probe, ENOMEM);
	child->pid = spawn(&probe->key, &is_refused);
	if (child->pid < 0) {
		error = -child->pid;
		free(child);
		return fail_spawn(probe, error, is_refused);
	}
	child->uid = probe->key.check->account.uid;
	child->fd = pidfd_open(child->pid, 0);
	if (child->fd < 0 ||
	    event_assign(&child->exit, children->base, child->fd, EV_READ, on_exit_event, child) < 0 ||
	    event_add(&child->exit, NULL) < 0) {
		error = errno;
		berth_spawn_kill(-child->pid, child->uid);
		waitpid(child->pid, NULL, 0);
		if (child->fd >= 0)
			close(child->fd);
		free(child);
		return berth_probe_fail(probe, error == EMFILE || error == ENFILE ? error : ENOMEM);
	}
	child->children = children;
	child->probe = probe;
	LIST_INSERT_HEAD(&children->all, child, entry);
	probe->own = child;
	probe->timeout_reason = "no exit";
	return BERTH_PROBE_PENDING;
}

/* All children were killed before. */
static void close_shared(void *shared)
{
	struct children *children = shared;
	struct child *child, *next;

	for (child = LIST_FIRST(&children->all); child; child = next) {
		next = LIST_NEXT(child, entry);
		waitpid(child->pid, NULL, 0);
		child_free(child);
	}
	free(children);
}

static void *open_shared(struct event_base *base)
{
	struct children *children = calloc(1, sizeof(*children));

	if (!children)
		return NULL;
	children->base = base;
	LIST_INIT(&children->all);
	return children;
}

const struct berth_probe_ops berth_probe_exec = {.open = open_shared,
						 .close = close_shared,
						 .start = start,
						 .cancel = cancel,
						 .is_named = true,
						 .is_heavy = true};
