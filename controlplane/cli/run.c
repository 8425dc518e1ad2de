// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <string.h>

#include "controlplane/cli/cli.h"
#include "controlplane/cli/report/report.h"
#include "controlplane/cli/top/top.h"

/* The code of an error that berthctl itself finds. */
static const char *own_code(enum berth_cli_status status)
{
	switch (status) {
	case BERTH_CLI_USAGE:
		return "usage";
	case BERTH_CLI_CONFIG:
		return "config";
	case BERTH_CLI_UNREACHABLE:
		return "unreachable";
	default:
		return "failure";
	}
}

/* `errors`: all of a configuration, the first one too; NULL: there is one. */
static enum berth_cli_status print_errors(bool json, enum berth_cli_status status, const char *code,
					  const char *error, json_t *errors)
{
	size_t i;
	json_t *line;
	if (!json) {
		json_array_foreach(errors, i, line) fprintf(stderr, "%s\n", json_string_value(line));
		if (!json_array_size(errors))
			fprintf(stderr, "%s%s\n", status == BERTH_CLI_CONFIG ? "" : "berthctl: ", error);
		return status;
	}
	json_t *object = json_pack("{s:s, s:s, s:i, s:O*}", "error", error, "code", code ? code : own_code(status),
				   "exit_status", (int)status, "errors", errors);
	json_dumpf(object, stderr, 0);
	fputc('\n', stderr);
	json_decref(object);
	return status;
}

/* Prints an error, as one JSON object with `json`; returns the status. An error in a configuration starts with
 * file:line:column, without a prefix, so that editors can open the place. `code`: NULL if berthctl found it. */
static enum berth_cli_status print_error(bool json, enum berth_cli_status status, const char *code,
					 const char *error)
{
	return print_errors(json, status, code, error, NULL);
}

enum berth_cli_status berth_cli_usage_error(const char *error)
{
	return print_error(false, BERTH_CLI_USAGE, NULL, error);
}

enum berth_cli_status berth_cli_open(const struct berth_cli_options *options, struct berth_connection *connection,
				     char error[BERTH_CLI_ERROR_BYTES])
{
	char path[BERTH_WIRE_PATH_BYTES];
	int n;
	if (options->socket)
		n = snprintf(path, sizeof(path), "%s", options->socket) >= BERTH_WIRE_PATH_BYTES;
	else
		n = berth_wire_path(path, options->run_dir ? options->run_dir : BERTH_RUN_DIR,
				    options->instance ? options->instance : BERTH_INSTANCE);
	if (n == 0)
		return berth_cli_connect(connection, path, options->timeout_s, error);
	snprintf(error, BERTH_CLI_ERROR_BYTES, "the path of the socket is too long; at most 107 bytes");
	return BERTH_CLI_USAGE;
}

/* `status`, or FAILURE where standard output could not be written. */
static enum berth_cli_status finish_output(enum berth_cli_status status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	fprintf(stderr, "berthctl: cannot write: %s\n", strerror(errno));
	return BERTH_CLI_FAILURE;
}

/* Prints the result or the error. NULL: the pages of the result are printed already. */
static enum berth_cli_status print_reply(const struct berth_call *call, const json_t *reply)
{
	if (!reply)
		return finish_output(BERTH_CLI_OK);
	const json_t *result = json_object_get(reply, "result");
	if (json_is_true(json_object_get(reply, "ok")) && result) {
		if (call->json) {
			json_dumpf(result, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(BERTH_WIRE_DIGITS));
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
	return print_errors(call->json, is_config ? BERTH_CLI_CONFIG : BERTH_CLI_FAILURE, error ? code : NULL,
			    error ? error : BERTH_CLI_MALFORMED, json_object_get(reply, "errors"));
}

static enum berth_cli_status request(const struct berth_cli_options *options, const struct berth_call *call)
{
	char error[BERTH_CLI_ERROR_BYTES];
	struct berth_connection connection;
	json_t *reply = NULL;
	enum berth_cli_status status = berth_cli_open(options, &connection, error);
	if (status)
		goto out;
	if (berth_cli_is_paged(call->command))
		status = berth_cli_request_pages(stdout, &connection, call, &reply, error);
	else if (call->command == BERTH_COMMAND_events)
		status = berth_cli_print_events(stdout, &connection, call, &reply, error);
	else if (berth_cli_rows_key(call->command) && berth_cli_prints_rows(call))
		status = berth_cli_print_rows(stdout, &connection, call, berth_cli_rows_key(call->command), &reply,
					      error);
	else if (berth_cli_rows_key(call->command))
		status = berth_cli_request_rows(&connection, call, berth_cli_rows_key(call->command), &reply,
						error);
	else if (call->command == BERTH_COMMAND_capture)
		status = berth_cli_capture(stdout, &connection, call, &reply, error);
	else if (json_object_get(call->display, "read"))
		status = berth_cli_explain_file(&connection, call, &reply, error);
	else if (call->command == BERTH_COMMAND_wait_drained)
		status = berth_cli_request_until(&connection, call, "drained", &reply, error);
	else if (call->command == BERTH_COMMAND_wait_withdrawn)
		status = berth_cli_request_until(&connection, call, "withdrawn", &reply, error);
	else if (call->command == BERTH_COMMAND_wait_ready)
		status = berth_cli_request_until(&connection, call, "ready", &reply, error);
	else
		status = berth_cli_request(&connection, berth_commands[call->command].words, call->arguments,
					   &reply, error);
	if (!status && call->command == BERTH_COMMAND_shutdown && json_is_true(json_object_get(reply, "ok")))
		berth_cli_wait_closed(&connection); /* so that a new berthd can start at once */
	berth_cli_disconnect(&connection);
	if (!status)
		status = berth_cli_arrange(call, json_object_get(reply, "result"), error);
out:
	status = status ? print_error(call->json, status, NULL, error) : print_reply(call, reply);
	json_decref(reply);
	return status;
}

/* `help`; `help COMMAND`, the same as `COMMAND --help`; or `help show`, for the beginning of commands. */
static enum berth_cli_status help(int argc, char *const *argv)
{
	char error[BERTH_CLI_ERROR_BYTES];
	enum berth_command_index command;
	if (argc == 0) {
		berth_cli_usage(stdout);
		return BERTH_CLI_OK;
	}
	if (argc > BERTH_COMMAND_WORDS)
		return berth_cli_usage_error("help needs one command, as in `help show stats`");
	if (berth_cli_find_command(argc, argv, &command) == argc) {
		berth_cli_help(stdout, &berth_commands[command]);
		return BERTH_CLI_OK;
	}
	if (berth_cli_help_own(stdout, argc, argv) || berth_cli_help_list(stdout, argc, argv))
		return BERTH_CLI_OK;
	berth_cli_suggest(argc, argv, error);
	return berth_cli_usage_error(error);
}

static enum berth_cli_status schema(int argc)
{
	if (argc > 0)
		return berth_cli_usage_error(
			"schema has no arguments; it prints the JSON schema of the configuration");
	for (const char *const *line = berth_cli_schema_lines; *line; line++)
		fputs(*line, stdout);
	return finish_output(BERTH_CLI_OK);
}

/* For the completion of a shell: what can stand in place of the last word, a line each. */
static enum berth_cli_status print_completions(const struct berth_cli_options *options, int argc, char *const *argv)
{
	struct berth_completions completions;
	if (argc == 0)
		return berth_cli_usage_error("complete needs the words of a command; the last may be empty");
	berth_cli_complete(options, argc - 1, argv, argv[argc - 1], &completions);
	for (size_t i = 0; i < completions.n; i++)
		puts(completions.words[i]);
	berth_cli_clear_completions(&completions);
	return finish_output(BERTH_CLI_OK);
}

static enum berth_cli_status report(const struct berth_cli_options *options, int argc, char *const *argv)
{
	bool is_anonymous = argc == 1 && strcmp(argv[0], "--anonymous") == 0;
	if (argc > 0 && !is_anonymous)
		return berth_cli_usage_error("report has one option, --anonymous");
	return finish_output(berth_cli_report(options, is_anonymous));
}

static bool asks_for_help(int argc, char *const *argv)
{
	return argc > 1 && (strcmp(argv[argc - 1], "--help") == 0 || strcmp(argv[argc - 1], "-h") == 0);
}

/* What is no command of berthd. False: another command. */
static bool run_own(const struct berth_cli_options *options, int argc, char *const *argv,
		    enum berth_cli_status *status)
{
	if (asks_for_help(argc, argv) && berth_cli_help_own(stdout, argc - 1, argv))
		*status = finish_output(BERTH_CLI_OK);
	else if (strcmp(argv[0], "help") == 0)
		*status = help(argc - 1, argv + 1);
	else if (strcmp(argv[argc - 1], "?") == 0)
		*status = help(argc - 1, argv);
	else if (strcmp(argv[0], "schema") == 0)
		*status = schema(argc - 1);
	else if (strcmp(argv[0], "top") == 0)
		*status = finish_output(berth_cli_top(options, argc - 1, argv + 1));
	else if (strcmp(argv[0], "report") == 0)
		*status = report(options, argc - 1, argv + 1);
	else if (argc > 1 && strcmp(argv[0], "config") == 0 && strcmp(argv[1], "import") == 0)
		*status = berth_cli_import(argc - 2, argv + 2);
	else if (strcmp(argv[0], "complete") == 0)
		*status = print_completions(options, argc - 1, argv + 1);
	else
		return false;
	return true;
}

/* Also where the rest of the line is wrong. */
static bool asks_for_json(int argc, char *const *argv)
{
	for (int i = 0; i < argc; i++)
		if (strcmp(argv[i], "-j") == 0 || strcmp(argv[i], "--json") == 0)
			return true;
	return false;
}

enum berth_cli_status berth_cli_run(const struct berth_cli_options *options, int argc, char *const *argv)
{
	char error[BERTH_CLI_ERROR_BYTES];
	struct berth_call call;
	enum berth_cli_status status;
	if (run_own(options, argc, argv, &status))
		return status;
	status = berth_cli_parse(argc, argv, &call, error);
	if (status)
		return print_error(options->json || asks_for_json(argc, argv), status, NULL, error);
	call.json |= options->json;
	berth_cli_table_set_width(options->wide || call.wide ? 0 : berth_cli_line_width(stdout));
	if (call.help)
		berth_cli_help(stdout, &berth_commands[call.command]);
	else
		status = request(options, &call);
	berth_cli_call_free(&call);
	return status;
}
