// SPDX-License-Identifier: BSD-3-Clause
/*
 * The control protocol: lines as a client sends them, to the commands of a daemon with the null engine. Its event
 * loop does not run, so no probe and no check program starts.
 */
#include <stdio.h>
#include <unistd.h>

#include "controlplane/cmd/cmd.h"
#include "controlplane/daemon/daemon.h"
#include "controlplane/daemon/private.h"
#include "controlplane/server/format.h"
#include "controlplane/util/file.h"
#include "tests/fuzz/control/fuzz.h"

static const char configuration[] =
	"engine: 'null'\n"
	"interfaces: [{name: lo}]\n"
	"limits: {flows: 1024, sessions: 1024, services: 4, backends: 60}\n"
	"services:\n"
	"  - {name: web, address: 203.0.113.10, protocol: tcp, port: 80, mode: ipip, table-size: 251, affinity: "
	"{by: client}, health: {type: none}, backends: [{name: b1, address: 192.0.2.11}, {name: b2, address: "
	"192.0.2.12}]}\n";

static char dir[] = "/tmp/berth-fuzz-XXXXXX";
static char config_path[64], socket_path[64];

static void remove_dir(void)
{
	char command[64];
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	if (system(command))
		perror(dir);
}

static struct berth_daemon *open_daemon(void)
{
	struct berth_daemon *daemon;
	char error[BERTH_ERROR_BYTES];
	need(mkdtemp(dir) != NULL);
	atexit(remove_dir);
	snprintf(config_path, sizeof(config_path), "%s/berth.yaml", dir);
	snprintf(socket_path, sizeof(socket_path), "%s/fuzz.sock", dir);
	need(berth_file_replace(config_path, configuration, strlen(configuration)) == 0);
	const struct berth_daemon_options options = {
		.config_path = config_path,
		.paths = {.instance = "fuzz", .run_dir = dir},
		.socket_path = socket_path,
		.state_dir = dir,
	};
	need(berth_daemon_open(&options, &daemon, error) == 0);
	return daemon;
}

/* A command that answers later, or that changes what the daemon runs on, is not for this loop. */
static int is_immediate(const char *command)
{
	return strcmp(command, "doctor") != 0 && strcmp(command, "shutdown") != 0;
}

static void answer(struct berth_daemon *daemon, const json_t *request)
{
	char error[BERTH_ERROR_BYTES] = "";
	const char *command = json_string_value(json_object_get(request, "command"));
	json_t *arguments = json_object_get(request, "arguments");
	json_t *none = json_object(), *result = NULL;
	if (command && is_immediate(command) && (!arguments || json_is_object(arguments))) {
		enum berth_code code = berth_cmd_run(&daemon->commands, command, arguments ? arguments : none,
						     &result, error);
		need(code == BERTH_CODE_OK || error[0]);
		char *line = berth_server_format_answer(code, result, error);
		need(line && !strchr(line, '\n'));
		json_t *valid = json_loads(line, 0, NULL);
		need(valid != NULL);
		json_decref(valid);
		free(line);
	}
	json_decref(none);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct berth_daemon *daemon;
	if (!daemon)
		daemon = open_daemon();
	char *line = copy_of(data, size);
	json_t *request = berth_server_parse_request(line, size);
	if (json_is_object(request))
		answer(daemon, request);
	json_decref(request);
	free(line);
	return 0;
}
