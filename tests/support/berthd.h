/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A real daemon with a directory, a configuration and a socket of its own. Its loop runs only where a test runs
 * it; commands are called directly, or sent over the socket.
 */
#pragma once

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controlplane/cmd/cmd.h"
#include "controlplane/daemon/daemon.h"
#include "controlplane/daemon/private.h"
#include "controlplane/util/file.h"

#include "tests/support/unit.h"

struct berthd {
	char dir[40];
	char path[64];
	char socket[64];
	struct berth_daemon *daemon;
	char error[BERTH_ERROR_BYTES]; /* of the last command that failed */
};

/* berthctl's path, the argument of tests that run it. */
__attribute__((unused)) static const char *program;

__attribute__((unused)) static bool find_berthctl(int argc, char **argv)
{
	if (argc == 2)
		program = argv[1];
	else
		fprintf(stderr, "usage: %s BERTHCTL\n", argv[0]);
	return argc == 2;
}

/* Makes the directory, and the configuration's file in it. */
__attribute__((unused)) static void berthd_prepare(struct berthd *berthd, const char *configuration)
{
	strcpy(berthd->dir, "/tmp/berth-test-XXXXXX");
	assert_non_null(mkdtemp(berthd->dir));
	snprintf(berthd->path, sizeof(berthd->path), "%s/berth.yaml", berthd->dir);
	snprintf(berthd->socket, sizeof(berthd->socket), "%s/test.sock", berthd->dir);
	assert_int_equal(berth_file_replace(berthd->path, configuration, strlen(configuration)), 0);
}

__attribute__((unused)) static void berthd_open(struct berthd *berthd)
{
	const struct berth_daemon_options options = {
		.config_path = berthd->path,
		.paths = {.instance = "test", .run_dir = berthd->dir},
		.socket_path = berthd->socket,
		.state_dir = berthd->dir,
	};
	if (berth_daemon_open(&options, &berthd->daemon, berthd->error) != 0)
		fail_msg("%s", berthd->error);
}

/* The state directory of the instance is dir/test. */
__attribute__((unused)) static void berthd_remove_state(const struct berthd *berthd)
{
	static const char *const names[] = {"sessions",
					    "sessions.damaged",
					    "secret",
					    "secret.damaged",
					    "secret.digest",
					    "operator.json",
					    "operator.json.damaged",
					    "dns.json",
					    "dns.json.damaged",
					    "config-history.json",
					    "config-history.json.damaged"};
	char path[80];
	for (unsigned int i = 0; i < BERTH_HISTORY_ENTRIES; i++) {
		snprintf(path, sizeof(path), "%s/test/config-%u.yaml", berthd->dir, i);
		unlink(path);
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/test/%s", berthd->dir, names[i]);
		unlink(path);
	}
	snprintf(path, sizeof(path), "%s/test", berthd->dir);
	assert_true(rmdir(path) == 0 || errno == ENOENT);
}

/* Removes the directory; fails if a file is left in it. */
__attribute__((unused)) static void berthd_remove(struct berthd *berthd)
{
	char old[80];
	snprintf(old, sizeof(old), "%s.old", berthd->path);
	unlink(old);
	berthd_remove_state(berthd);
	unlink(berthd->path);
	assert_int_equal(rmdir(berthd->dir), 0);
}

/* A set_up whose state is the daemon alone. */
__attribute__((unused)) static int berthd_set_up(void **state, const char *configuration)
{
	struct berthd *berthd = calloc(1, sizeof(*berthd));
	assert_non_null(berthd);
	berthd_prepare(berthd, configuration);
	berthd_open(berthd);
	*state = berthd;
	return 0;
}

__attribute__((unused)) static int berthd_tear_down(void **state)
{
	struct berthd *berthd = *state;
	berth_daemon_close(berthd->daemon);
	berthd_remove(berthd);
	free(berthd);
	return 0;
}

/* Runs a command; its arguments are one JSON text. The result, or NULL. */
__attribute__((unused)) static json_t *run(struct berthd *berthd, const char *command, const char *arguments,
					   enum berth_code expected)
{
	json_t *result = NULL;
	json_t *given = json_loads(arguments, 0, NULL);
	assert_non_null(given);
	berthd->error[0] = '\0';
	enum berth_code code = berth_cmd_run(&berthd->daemon->commands, command, given, &result, berthd->error);
	json_decref(given);
	if (code != expected)
		fail_msg("%s %s: code %d, error \"%s\"", command, arguments, (int)code, berthd->error);
	assert_true(code != BERTH_CODE_OK || result != NULL);
	assert_true(code == BERTH_CODE_OK || berthd->error[0]);
	if (code == BERTH_CODE_OK)
		return result;
	/* All errors, of which this is the first. */
	if (result)
		assert_string_equal(json_string_value(json_array_get(result, 0)), berthd->error);
	json_decref(result);
	return NULL;
}

/* Runs a command that must fail, with `says` in its error. */
__attribute__((unused)) static void refuse(struct berthd *berthd, const char *command, const char *arguments,
					   enum berth_code code, const char *says)
{
	assert_null(run(berthd, command, arguments, code));
	if (!strstr(berthd->error, says))
		fail_msg("\"%s\" does not say \"%s\"", berthd->error, says);
}

/* Compares with JSON written with ' for ", and releases `actual`. */
__attribute__((unused)) static void expect(json_t *actual, const char *expected)
{
	char text[8192];
	snprintf(text, sizeof(text), "%s", expected);
	for (char *at = text; *at; at++)
		if (*at == '\'')
			*at = '"';
	json_t *wanted = json_loads(text, 0, NULL);
	assert_non_null(wanted);
	if (!json_equal(actual, wanted))
		fail_msg("expected %s\ngot %s", text, json_dumps(actual, JSON_INDENT(1)));
	json_decref(wanted);
	json_decref(actual);
}
