// SPDX-License-Identifier: BSD-3-Clause
/* Waiting for a backend to be empty, and what a configuration would move. */
#include <string.h>
#include <time.h>

#include "controlplane/cli/cli.h"

enum {
	POLL_MS = 250,
};

static json_int_t number_of(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text ? text : "-";
}

static json_int_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (json_int_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

enum berth_cli_exit berth_cli_ask_until(const struct berth_connection *connection, const struct berth_call *call,
					json_t **answer, char error[BERTH_CLI_ERROR_BYTES])
{
	const struct timespec pause = {.tv_nsec = POLL_MS * 1000000};
	json_int_t begin = now_ms();
	for (;;) {
		enum berth_cli_exit status = berth_cli_ask(connection, berth_commands[call->command].words,
							   call->arguments, answer, error);
		const json_t *result = status ? NULL : json_object_get(*answer, "result");
		if (!result || json_is_true(json_object_get(result, "drained")) ||
		    now_ms() - begin >= number_of(result, "timeout_ms"))
			return status;
		json_decref(*answer);
		*answer = NULL;
		nanosleep(&pause, NULL);
	}
}

void berth_cli_show_wait(FILE *out, const json_t *result)
{
	const json_t *backend = json_object_get(result, "backend");
	if (json_is_true(json_object_get(result, "drained"))) {
		fprintf(out, "%s/%s is drained\n", text_of(backend, "service"), text_of(backend, "name"));
		return;
	}
	fprintf(out,
		"%s/%s is not drained after %" JSON_INTEGER_FORMAT " s: %" JSON_INTEGER_FORMAT
		" flows, %" JSON_INTEGER_FORMAT " that close and %" JSON_INTEGER_FORMAT " clients are left\n",
		text_of(backend, "service"), text_of(backend, "name"), number_of(result, "timeout_ms") / 1000,
		number_of(backend, "flows"), number_of(backend, "closing_flows"), number_of(backend, "sessions"));
}

/* A dash for 0, so that changes stand out. */
static void count_cell(const json_t *row, const char *key, char cell[BERTH_CELL_BYTES])
{
	if (number_of(row, key))
		berth_cell_plain(row, key, cell);
	else
		snprintf(cell, BERTH_CELL_BYTES, "-");
}

void berth_cli_show_plan(FILE *out, const json_t *result)
{
	static const struct berth_column columns[] = {
		{"SERVICE", "service", berth_cell_plain, false},
		{"BACKEND", "name", berth_cell_plain, false},
		{"CHANGE", "change", berth_cell_plain, false},
		{"FLOWS", "flows", count_cell, true},
		{"LEAVING", "leaving_flows", count_cell, true},
		{"ARRIVING", "arriving_flows", count_cell, true},
		{"SESSIONS", "sessions", count_cell, true},
		{"LEAVING", "leaving_sessions", count_cell, true},
		{"ARRIVING", "arriving_sessions", count_cell, true},
		{"CLEARED", "cleared_sessions", count_cell, true},
	};
	berth_cli_table_print(out, columns, sizeof(columns) / sizeof(columns[0]),
			      json_object_get(result, "backends"));
	fprintf(out,
		"\n%" JSON_INTEGER_FORMAT " flows and %" JSON_INTEGER_FORMAT
		" clients would move, %" JSON_INTEGER_FORMAT
		" clients would be taken as new ones; nothing was changed\n",
		number_of(result, "moved_flows"), number_of(result, "moved_sessions"),
		number_of(result, "cleared_sessions"));
}
