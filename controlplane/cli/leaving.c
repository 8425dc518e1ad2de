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
		number_of(backend, "flows_live"), number_of(backend, "flows_closing"),
		number_of(backend, "sessions_live"));
}

/* "flows.leave" of {"flows": {"leave": 3}}: 3; - for none. */
static void counts_cell(const json_t *row, const char *key, char cell[BERTH_CELL_BYTES])
{
	const char *dot = strchr(key, '.');
	char part[32];
	snprintf(part, sizeof(part), "%.*s", (int)(dot - key), key);
	json_int_t count = number_of(json_object_get(row, part), dot + 1);
	if (count)
		snprintf(cell, BERTH_CELL_BYTES, "%" JSON_INTEGER_FORMAT, count);
	else
		snprintf(cell, BERTH_CELL_BYTES, "-");
}

void berth_cli_show_plan(FILE *out, const json_t *result)
{
	static const struct berth_column columns[] = {
		{"SERVICE", "service", berth_cell_plain, false},
		{"BACKEND", "name", berth_cell_plain, false},
		{"CHANGE", "change", berth_cell_plain, false},
		{"FLOWS", "flows.live", counts_cell, true},
		{"LEAVE", "flows.leave", counts_cell, true},
		{"COME", "flows.come", counts_cell, true},
		{"CLIENTS", "sessions.live", counts_cell, true},
		{"LEAVE", "sessions.leave", counts_cell, true},
		{"COME", "sessions.come", counts_cell, true},
		{"FORGOTTEN", "sessions_forgotten", berth_cell_plain, true},
	};
	berth_cli_table_print(out, columns, sizeof(columns) / sizeof(columns[0]),
			      json_object_get(result, "backends"));
	fprintf(out,
		"\n%" JSON_INTEGER_FORMAT " flows and %" JSON_INTEGER_FORMAT
		" clients would move, %" JSON_INTEGER_FORMAT
		" clients would be taken as new ones; nothing was changed\n",
		number_of(result, "flows_move"), number_of(result, "sessions_move"),
		number_of(result, "sessions_forgotten"));
}
