// SPDX-License-Identifier: BSD-3-Clause
/* `events`: prints each page as it arrives, a line an event; with -j each line is a JSON object. */
#include "controlplane/cli/cli.h"

/* " service=web backend=b1" */
static void print_pair(FILE *out, const json_t *event, const char *key)
{
	const char *value = json_string_value(json_object_get(event, key));
	if (value)
		fprintf(out, " %s=%s", key, value);
}

static void print_event(FILE *out, const json_t *event, bool json)
{
	if (json) {
		json_dumpf(event, out, JSON_COMPACT);
	} else {
		fprintf(out, "%s %-7s %s", berth_cli_text(event, "time"), berth_cli_text(event, "priority"),
			berth_cli_text(event, "text"));
		print_pair(out, event, "service");
		print_pair(out, event, "backend");
	}
	fputc('\n', out);
}

static void print_events(FILE *out, const json_t *result, bool json)
{
	const json_int_t lost = berth_cli_number(result, "lost_events");
	size_t i;
	json_t *event;
	if (lost)
		fprintf(out,
			json ? "{\"lost_events\":%" JSON_INTEGER_FORMAT "}\n"
			     : "%" JSON_INTEGER_FORMAT " events lost\n",
			lost);
	json_array_foreach(json_object_get(result, "events"), i, event) print_event(out, event, json);
	fflush(out);
}

enum berth_cli_status berth_cli_print_events(FILE *out, const struct berth_connection *connection,
					     const struct berth_call *call, json_t **reply,
					     char error[BERTH_CLI_ERROR_BYTES])
{
	bool has_more = true;
	while (has_more && !ferror(out)) {
		enum berth_cli_status status = berth_cli_request_list(
			connection, berth_commands[call->command].words, call->arguments, "events", reply, error);
		if (status || !json_is_true(json_object_get(*reply, "ok")))
			return status;
		const json_t *result = json_object_get(*reply, "result");
		json_t *next = json_object_get(result, "next");
		print_events(out, result, call->json);
		has_more = json_is_string(next);
		if (has_more)
			json_object_set(call->arguments, "after", next);
		json_decref(*reply);
		*reply = NULL;
	}
	return BERTH_CLI_OK;
}
