// SPDX-License-Identifier: BSD-3-Clause
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/cli/cli.h"

struct global_options {
	const char *socket;
	const char *instance;
	const char *run_dir;
	unsigned int timeout_s;
	bool json;
	bool help;
};

static enum berth_cli_status usage_error(const char *error)
{
	fprintf(stderr, "berthctl: %s\n", error);
	return BERTH_CLI_USAGE;
}

static int parse_seconds(const char *text, unsigned int *seconds)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end || value == 0 || value > 86400)
		return -EINVAL;
	*seconds = (unsigned int)value;
	return 0;
}

/* Parses the options before the command. */
static enum berth_cli_status parse_options(int argc, char **argv, struct global_options *options)
{
	static const struct option names[] = {
		{"socket", required_argument, NULL, 's'},
		{"instance", required_argument, NULL, 'i'},
		{"run-dir", required_argument, NULL, 'r'},
		{"timeout", required_argument, NULL, 't'},
		{"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	for (int c; (c = getopt_long(argc, argv, "+s:i:r:t:jh", names, NULL)) != -1;) {
		if (c == 's')
			options->socket = optarg;
		else if (c == 'i')
			options->instance = optarg;
		else if (c == 'r')
			options->run_dir = optarg;
		else if (c == 'j')
			options->json = true;
		else if (c == 'h')
			options->help = true;
		else if (c != 't')
			return BERTH_CLI_USAGE; /* getopt has printed the error */
		else if (parse_seconds(optarg, &options->timeout_s) != 0)
			return usage_error("-t needs whole seconds, 1 to 86400");
	}
	if (options->socket && (options->instance || options->run_dir))
		return usage_error("-s replaces -i and -r; remove them");
	if (options->instance && (!options->instance[0] || strchr(options->instance, '/')))
		return usage_error("-i needs a name without slashes");
	return BERTH_CLI_OK;
}

static enum berth_cli_status socket_path(const struct global_options *options, char path[BERTH_WIRE_PATH_BYTES])
{
	int n;
	if (options->socket)
		n = snprintf(path, BERTH_WIRE_PATH_BYTES, "%s", options->socket) >= BERTH_WIRE_PATH_BYTES;
	else
		n = berth_wire_path(path, options->run_dir ? options->run_dir : BERTH_RUN_DIR,
				    options->instance ? options->instance : BERTH_INSTANCE);
	return n == 0 ? BERTH_CLI_OK : usage_error("the path of the socket is too long; at most 107 bytes");
}

/* `status`, or FAILURE where standard output could not be written. */
static enum berth_cli_status finish_output(enum berth_cli_status status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	fprintf(stderr, "berthctl: cannot write: %s\n", strerror(errno));
	return BERTH_CLI_FAILURE;
}

/* Prints the result or the error. NULL: the pages of the result are printed already. An error in a configuration
 * starts with file:line:column, without a prefix, so that editors can open the place. */
static enum berth_cli_status print_reply(const struct berth_call *call, const json_t *reply)
{
	if (!reply)
		return finish_output(BERTH_CLI_OK);
	const json_t *result = json_object_get(reply, "result");
	if (json_is_true(json_object_get(reply, "ok")) && result) {
		if (call->json) {
			json_dumpf(result, stdout, JSON_INDENT(2));
			putchar('\n');
		} else {
			berth_cli_print(stdout, call->command, result);
		}
		return finish_output(berth_cli_is_failure(call->command, result) ? BERTH_CLI_FAILURE
										 : BERTH_CLI_OK);
	}
	const char *error = json_string_value(json_object_get(reply, "error"));
	const char *code = json_string_value(json_object_get(reply, "code"));
	bool is_config = code && strcmp(code, "config") == 0;
	fprintf(stderr, "%s%s\n", is_config ? "" : "berthctl: ", error ? error : "malformed reply from berthd");
	return is_config ? BERTH_CLI_CONFIG : BERTH_CLI_FAILURE;
}

/* berthctl joins the pages of some commands into one table: the key of their rows. NULL: another command. */
static const char *rows_of(enum berth_command_index command)
{
	switch (command) {
	case BERTH_COMMAND_show_services:
		return "services";
	case BERTH_COMMAND_show_backends:
		return "backends";
	case BERTH_COMMAND_show_dns:
		return "names";
	default:
		return NULL;
	}
}

static enum berth_cli_status run(const struct global_options *options, const struct berth_call *call)
{
	char error[BERTH_CLI_ERROR_BYTES];
	char path[BERTH_WIRE_PATH_BYTES];
	struct berth_connection connection;
	json_t *reply = NULL;
	if (socket_path(options, path) != BERTH_CLI_OK)
		return BERTH_CLI_USAGE;
	enum berth_cli_status status = berth_cli_connect(&connection, path, options->timeout_s, error);
	if (status)
		goto out;
	if (berth_cli_is_paged(call->command))
		status = berth_cli_request_pages(stdout, &connection, call, &reply, error);
	else if (rows_of(call->command))
		status = berth_cli_request_rows(&connection, call, rows_of(call->command), &reply, error);
	else if (call->command == BERTH_COMMAND_wait_drained)
		status = berth_cli_request_drained(&connection, call, &reply, error);
	else
		status = berth_cli_request(&connection, berth_commands[call->command].words, call->arguments,
					   &reply, error);
	if (!status && call->command == BERTH_COMMAND_shutdown)
		berth_cli_wait_closed(&connection); /* so that a new berthd can start at once */
	berth_cli_disconnect(&connection);
out:
	if (status)
		fprintf(stderr, "berthctl: %s\n", error);
	else
		status = print_reply(call, reply);
	json_decref(reply);
	return status;
}

/* `help`, or `help COMMAND`, the same as `COMMAND --help`. */
static enum berth_cli_status help(int argc, char *const *argv)
{
	char error[BERTH_CLI_ERROR_BYTES];
	char *words[BERTH_COMMAND_WORDS + 1];
	struct berth_call call;
	if (argc == 0) {
		berth_cli_usage(stdout);
		return BERTH_CLI_OK;
	}
	if (argc > BERTH_COMMAND_WORDS)
		return usage_error("help needs one command, as in `help show stats`");
	for (int i = 0; i < argc; i++)
		words[i] = argv[i];
	words[argc] = (char[]){"--help"};
	enum berth_cli_status status = berth_cli_parse(argc + 1, words, &call, error);
	if (status)
		return usage_error(error);
	berth_cli_help(stdout, &berth_commands[call.command]);
	json_decref(call.arguments);
	return BERTH_CLI_OK;
}

int main(int argc, char **argv)
{
	struct global_options options = {.timeout_s = 30};
	char error[BERTH_CLI_ERROR_BYTES];
	struct berth_call call;
	enum berth_cli_status status = parse_options(argc, argv, &options);
	if (status)
		return (int)status;
	argc -= optind;
	argv += optind;
	if (options.help || (argc > 0 && strcmp(argv[0], "help") == 0))
		return (int)(options.help ? help(0, NULL) : help(argc - 1, argv + 1));
	if (argc == 0) {
		berth_cli_usage(stderr);
		return BERTH_CLI_USAGE;
	}
	status = berth_cli_parse(argc, argv, &call, error);
	if (status) {
		fprintf(stderr, "%s%s\n", status == BERTH_CLI_CONFIG ? "" : "berthctl: ", error);
		return (int)status;
	}
	call.json |= options.json;
	if (call.help)
		berth_cli_help(stdout, &berth_commands[call.command]);
	else
		status = run(&options, &call);
	json_decref(call.arguments);
	return (int)status;
}
