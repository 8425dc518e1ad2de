/* SPDX-License-Identifier: BSD-3-Clause */
/* Health checks against real sockets in a network namespace: an event loop, and the reports per target. */
#pragma once

#include <dirent.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "controlplane/health/health.h"
#include "controlplane/helper/helper.h"
#include "controlplane/util/address.h"
#include "tests/support/loop.h"
#include "tests/support/unit.h"

enum {
	LAB_TARGETS = 50000,
	LAB_CHECKS = 6000,
};

struct report {
	unsigned int calls;
	int up;
	char reason[160];
	unsigned int errors; /* calls that report an error of the check */
	enum berth_health_error error;
};

struct health_lab {
	struct event_base *base;
	struct berth_health *health;
	struct berth_helper *helper;		/* NULL: probes run in the test's process */
	struct report reports[LAB_TARGETS + 1]; /* by id */
	void (*then)(struct health_lab *lab, uint64_t id);
};

static __attribute__((unused)) void on_change(void *arg, uint64_t id, bool up, const char *reason)
{
	struct health_lab *lab = arg;
	struct report *report = &lab->reports[id];

	assert_in_range(id, 1, LAB_TARGETS);
	report->calls++;
	report->up = up;
	snprintf(report->reason, sizeof(report->reason), "%s", reason);
	if (lab->then != NULL)
		lab->then(lab, id);
}

static __attribute__((unused)) void on_error(void *arg, uint64_t id, enum berth_health_error error,
					     const char *reason)
{
	struct health_lab *lab = arg;

	assert_in_range(id, 1, LAB_TARGETS);
	assert_true(reason[0]);
	assert_int_not_equal(lab->reports[id].error, error);
	lab->reports[id].error = error;
	lab->reports[id].errors += error != BERTH_HEALTH_NO_ERROR;
}

static pid_t helper_pid; /* 0: none */

static size_t descriptors_of(const char *process)
{
	char path[32];
	size_t n = 0;
	snprintf(path, sizeof(path), "/proc/%s/fd", process);
	DIR *dir = opendir(path);

	assert_non_null(dir);
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n;
}

static __attribute__((unused)) size_t open_descriptors(void)
{
	char pid[16];
	snprintf(pid, sizeof(pid), "%d", (int)helper_pid);
	return descriptors_of("self") + (helper_pid ? descriptors_of(pid) : 0);
}

/* Filters of system calls that a process has. */
static int filters_of(pid_t pid)
{
	char path[32], line[128];
	int filters = 0;
	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	FILE *file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file) && sscanf(line, "Seccomp_filters: %d", &filters) != 1)
		;
	if (file)
		fclose(file);
	return filters;
}

/* Its own filter is its last step before it serves; in a container it has another one from the start. */
static bool helper_serves(void)
{
	return filters_of(helper_pid) > filters_of(getpid());
}

static __attribute__((unused)) void limit_descriptors(rlim_t limit, rlim_t *before)
{
	struct rlimit files;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
	*before = files.rlim_cur;
	files.rlim_cur = limit;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
}

static __attribute__((unused)) void run_for(struct health_lab *lab, uint64_t ms)
{
	loop_for(lab->base, ms);
}

static __attribute__((unused)) int set_up(void **state)
{
	struct health_lab *lab = calloc(1, sizeof(*lab));

	lab->base = event_base_new();
	/* Path of berth-helper: meson runs the tests with it and without. */
	const struct berth_helper_options options = {
		.program = getenv("BERTH_TEST_HELPER"), .name = "probes", .run_dir = "/tmp"};
	if (options.program)
		lab->helper = berth_helper_new(lab->base, &options);
	helper_pid = lab->helper ? berth_helper_status(lab->helper)->pid : 0;
	/* Its start opens and closes files, and takes seconds on a busy machine. */
	if (lab->helper)
		assert_true(wait_until(helper_serves(), 30000, run_for(lab, 5)));
	lab->health = berth_health_new(lab->base, lab->helper, on_change, lab);
	assert_non_null(lab->health);
	berth_health_set_error_fn(lab->health, on_error);
	*state = lab;
	return 0;
}

static __attribute__((unused)) int tear_down(void **state)
{
	struct health_lab *lab = *state;

	berth_health_free(lab->health);
	berth_helper_free(lab->helper);
	event_base_free(lab->base);
	free(lab);
	return 0;
}

static __attribute__((unused)) struct berth_health_status status_of(struct health_lab *lab, uint64_t id)
{
	struct berth_health_status status;

	assert_true(berth_health_get(lab->health, id, &status));
	return status;
}

static __attribute__((unused)) void wait_for(struct health_lab *lab, uint64_t id, int up, uint64_t within_ms)
{
	if (!wait_until(lab->reports[id].calls > 0 && lab->reports[id].up == up, within_ms, run_for(lab, 5)))
		fail_msg("%u is not %s within %u ms", (unsigned)id, up ? "up" : "down", (unsigned)within_ms);
}

static __attribute__((unused)) void wait_for_probes(struct health_lab *lab, uint64_t id, uint64_t probes)
{
	assert_true(wait_until(status_of(lab, id).probes >= probes, 3000, run_for(lab, 5)));
}

/* Opens a listening socket. Port 0 is replaced by the chosen port. */
static __attribute__((unused)) int listen_on(const char *text, uint16_t *port, int backlog)
{
	union berth_addr address;
	struct sockaddr_storage to;
	int on = 1;

	assert_int_equal(berth_address_parse(text, &address), 0);
	socklen_t length = berth_address_to_socket(&address, *port, &to);
	int fd = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	assert_int_equal(bind(fd, (struct sockaddr *)&to, length), 0);
	assert_int_equal(listen(fd, backlog), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&to, &length), 0);
	*port = ntohs(to.ss_family == AF_INET ? ((struct sockaddr_in *)&to)->sin_port
					      : ((struct sockaddr_in6 *)&to)->sin6_port);
	return fd;
}

/* One of the kernel's counters of TCP in this namespace; what a check of type tcp does, no server sees. */
static __attribute__((unused)) uint64_t tcp_counter(const char *name)
{
	char names[512], values[512], *rest[2];
	FILE *file = fopen("/proc/self/net/snmp", "re");
	assert_non_null(file);
	do
		assert_non_null(fgets(names, sizeof(names), file));
	while (strncmp(names, "Tcp:", 4) != 0);
	assert_non_null(fgets(values, sizeof(values), file));
	fclose(file);
	const char *value = strtok_r(values, " ", &rest[1]);
	for (const char *at = strtok_r(names, " \n", &rest[0]); at; at = strtok_r(NULL, " \n", &rest[0])) {
		assert_non_null(value);
		if (strcmp(at, name) == 0)
			return strtoull(value, NULL, 10);
		value = strtok_r(NULL, " ", &rest[1]);
	}
	fail_msg("the kernel has no counter %s", name);
	return 0;
}

static __attribute__((unused)) unsigned int accept_all(int fd)
{
	unsigned int n = 0;

	for (int peer; (peer = accept(fd, NULL, NULL)) >= 0; n++)
		close(peer);
	return n;
}

/* Each target has its own configuration, which the test may change; the array is reused after LAB_CHECKS targets.
 */
static __attribute__((unused)) struct berth_health_target target_of(uint64_t id, const char *text, uint16_t port)
{
	static struct berth_health_config checks[LAB_CHECKS];
	static size_t next;
	struct berth_health_config *check = &checks[next++ % LAB_CHECKS];

	*check = berth_health_defaults;
	check->interval_ms = 50;
	check->timeout_ms = 40;
	struct berth_health_target target = {
		.id = id,
		.port = port,
		.check = check,
		.initial = -1,
		.service = "web",
		.backend = "b1",
	};
	assert_int_equal(berth_address_parse(text, &target.address), 0);
	return target;
}

static __attribute__((unused)) struct berth_health_config *check_of(const struct berth_health_target *target)
{
	return (struct berth_health_config *)target->check;
}

/* Sets the limit of descriptors. Returns false on failure. */
static __attribute__((unused)) bool allow_files(rlim_t n)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) != 0)
		return false;
	files.rlim_cur = n;
	return setrlimit(RLIMIT_NOFILE, &files) == 0;
}

/* Enters a network namespace with a loopback only. */
static __attribute__((unused)) bool enter_namespace(void)
{
	if (unshare(CLONE_NEWNET) != 0 || !allow_files(1024) ||
	    system("ip link set lo up && sysctl -qw net.core.somaxconn=4096") != 0) {
		fprintf(stderr, "this test needs to be root, for a network namespace of its own\n");
		return false;
	}
	return true;
}
