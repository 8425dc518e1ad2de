/* SPDX-License-Identifier: BSD-3-Clause */
/* A real daemon with the null engine, and its metrics as text. Health is checked on real sockets. */
#pragma once

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "controlplane/cmd/cmd.h"
#include "controlplane/daemon/daemon.h"
#include "controlplane/daemon/private.h"
#include "controlplane/metrics/metrics.h"
#include "controlplane/util/address.h"
#include "controlplane/util/clock.h"
#include "controlplane/util/file.h"

#include "tests/support/loop.h"
#include "tests/support/unit.h"

/* Service web has three servers on a port of this process, and shares a group with web2. */
#define CONFIGURATION                                                                                              \
	"engine: 'null'\n"                                                                                         \
	"interfaces: [{name: lo}]\n"                                                                               \
	"limits: {flows: 1024, sessions: 2048, services: 5, backends: 60}\n"                                       \
	"services:\n"                                                                                              \
	"- {name: web, address: 203.0.113.10, port: 80, mode: ipip, table-size: 251, panic-threshold: 50%%,"       \
	" affinity: {by: client, group: shop},"                                                                    \
	" health: {port: %u, interval: 50ms, timeout: 1s, rise: 1, fall: 1},"                                      \
	" backends: [{name: b1, address: 127.0.0.2, weight: 7}, {name: b2, address: 127.0.0.3},"                   \
	" {name: b3, address: 127.0.0.4}]}\n"                                                                      \
	"- {name: web2, address: 203.0.113.10, port: 443, mode: ipip, table-size: 251,"                            \
	" affinity: {by: client, group: shop}, health: {type: none},"                                              \
	" backends: [{name: b1, address: 127.0.0.2}]}\n"                                                           \
	"- {name: idle, address: '2001:db8::/64', protocol: udp, port: 8000-8099, mode: l2, health: {type: "       \
	"none}}\n"

struct metrics_fixture {
	char dir[40];
	char path[64];
	char socket[64];
	char log[64];
	int log_fd; /* log output during the loop */
	uint16_t port;
	int servers[3];
	struct berth_daemon *daemon;
};

/* A listening server. Port 0 is replaced by the chosen port. */
static inline int serve(const char *address, uint16_t *port)
{
	struct sockaddr_storage at;
	union berth_addr parsed;
	socklen_t length;
	const int on = 1;
	assert_int_equal(berth_address_parse(address, &parsed), 0);
	length = berth_address_to_socket(&parsed, *port, &at);
	int fd = socket(at.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	assert_int_equal(bind(fd, (struct sockaddr *)&at, length), 0);
	assert_int_equal(listen(fd, 128), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &length), 0);
	*port = ntohs(((struct sockaddr_in *)&at)->sin_port);
	return fd;
}

static const char *const servers[] = {"127.0.0.2", "127.0.0.3", "127.0.0.4"};

static inline void server_begins(struct metrics_fixture *f, int i)
{
	f->servers[i] = serve(servers[i], &f->port);
}

static inline void server_ends(struct metrics_fixture *f, int i)
{
	close(f->servers[i]);
	f->servers[i] = -1;
}

static inline int set_up(void **state)
{
	struct metrics_fixture *f = calloc(1, sizeof(*f));
	char text[2048], error[BERTH_ERROR_BYTES];
	assert_non_null(f);
	strcpy(f->dir, "/tmp/berth-test-metrics-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->path, sizeof(f->path), "%s/berth.yaml", f->dir);
	snprintf(f->socket, sizeof(f->socket), "%s/berth.sock", f->dir);
	snprintf(f->log, sizeof(f->log), "%s/log", f->dir);
	f->log_fd = open(f->log, O_WRONLY | O_CREAT | O_CLOEXEC | O_APPEND, 0600);
	assert_true(f->log_fd >= 0);
	for (int i = 0; i < 3; i++)
		server_begins(f, i);
	snprintf(text, sizeof(text), CONFIGURATION, f->port);
	assert_int_equal(berth_file_replace(f->path, text, strlen(text)), 0);
	const struct berth_daemon_options options = {
		.config_path = f->path,
		.paths = {.instance = "test", .run_dir = f->dir},
		.socket_path = f->socket,
		.state_dir = f->dir,
	};
	if (berth_daemon_open(&options, &f->daemon, error) != 0)
		fail_msg("%s", error);
	*state = f;
	return 0;
}

static inline int tear_down(void **fixture)
{
	struct metrics_fixture *f = *fixture;
	char state[sizeof(f->dir) + sizeof("/test/config-history.json")];
	berth_daemon_close(f->daemon);
	close(f->log_fd);
	for (int i = 0; i < 3; i++)
		close(f->servers[i]);
	unlink(f->log);
	unlink(f->path);
	snprintf(state, sizeof(state), "%s/test/secret", f->dir);
	unlink(state);
	snprintf(state, sizeof(state), "%s/test/secret.digest", f->dir);
	unlink(state);
	snprintf(state, sizeof(state), "%s/test/config-history.json", f->dir);
	unlink(state);
	snprintf(state, sizeof(state), "%s/test/config-1.yaml", f->dir);
	unlink(state);
	snprintf(state, sizeof(state), "%s/test", f->dir);
	assert_int_equal(rmdir(state), 0);
	assert_int_equal(rmdir(f->dir), 0);
	free(f);
	return 0;
}

static inline void turn(struct metrics_fixture *f, unsigned int ms)
{
	int before = dup(STDERR_FILENO);
	dup2(f->log_fd, STDERR_FILENO);
	loop_for(f->daemon->base, ms);
	dup2(before, STDERR_FILENO);
	close(before);
}

/* Runs until `n` servers of web are down. */
static inline void turn_until_down(struct metrics_fixture *f, size_t servers_down)
{
	const struct berth_model_service *web = berth_model_service(&f->daemon->model, "web");
	size_t down = SIZE_MAX;
	for (uint64_t end = berth_clock_ms() + 5000; down != servers_down && berth_clock_ms() < end;) {
		turn(f, 20);
		down = 0;
		for (size_t i = 0; i < web->n_backends; i++)
			down += web->backends[i].health != BERTH_HEALTH_UP;
	}
	assert_int_equal(down, servers_down);
	turn(f, 150); /* and for some more checks */
}

static inline json_t *show(struct metrics_fixture *f, const char *command)
{
	char error[BERTH_ERROR_BYTES];
	json_t *result = NULL, *none = json_object();
	assert_int_equal(berth_cmd_run(&f->daemon->commands, command, none, &result, error), BERTH_CODE_OK);
	json_decref(none);
	return result;
}

/* The metrics as text; freed by the caller. */
static inline char *scrape(struct metrics_fixture *f)
{
	json_t *result = show(f, "show metrics");
	char *text = strdup(json_string_value(json_object_get(result, "metrics")));
	json_decref(result);
	return text;
}
