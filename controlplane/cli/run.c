// SPDX-License-Identifier: BSD-3-Clause
#include <string.h>

#include "controlplane/cli/cli.h"

/* Prints the result or the error. NULL: the pages of the result are printed already. */
static enum berth_cli_status print_reply(const struct berth_call *call, const json_t *reply)
{
	if (!reply)
		return berth_cli_finish_output(BERTH_CLI_OK);
	const json_t *result = json_object_get(reply, "result");
	if (json_is_true(json_object_get(reply, "ok")) && result) {
		if (call->json) {
			berth_cli_print_json(result);
		} else {
			berth_cli_print(stdout, call->command, result);
		}
		return berth_cli_finish_output(berth_cli_is_failure(call->command, result) ? BERTH_CLI_FAILURE
											   : BERTH_CLI_OK);
	}
	const char *error = json_string_value(json_object_get(reply, "error"));
	const char *code = json_string_value(json_object_get(reply, "code"));
	bool is_config = code && strcmp(code, "config") == 0;
	return berth_cli_print_errors(call->json, is_config ? BERTH_CLI_CONFIG : BERTH_CLI_FAILURE,
				      error ? code : NULL, error ? error : BERTH_CLI_MALFORMED,
				      json_object_get(reply, "errors"));
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
	status = status ? berth_cli_print_errors(call->json, status, NULL, error, NULL) : print_reply(call, reply);
	json_decref(reply);
	return status;
}

/* Also where the rest of the line is wrong. */
static bool asks_for_json(int argc, char *const *argv)
{
	for (int i = 0; i < argc; i++)
		if (berth_cli_is_json(argv[i]))
			return true;
	return false;
}

enum berth_cli_status berth_cli_run(const struct berth_cli_options *options, int argc, char *const *argv)
{
	char error[BERTH_CLI_ERROR_BYTES];
	struct berth_call call;
	enum berth_cli_status status;
	if (berth_cli_run_own(options, argc, argv, &status))
		return status;
	status = berth_cli_parse(argc, argv, &call, error);
	if (status)
		return berth_cli_print_errors(options->json || asks_for_json(argc, argv), status, NULL, error,
					      NULL);
	call.json |= options->json;
	berth_cli_table_set_width(options->wide || call.wide ? 0 : berth_cli_line_width(stdout));
	if (call.help)
		berth_cli_help(stdout, &berth_commands[call.command]);
	else
		status = request(options, &call);
	berth_cli_call_free(&call);
	return status;
}
