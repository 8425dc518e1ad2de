// SPDX-License-Identifier: BSD-3-Clause
#include <string.h>
#include <time.h>

#include "controlplane/cli/top/top.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void share_cell(const json_t *row, const char *key, char cell[BERTH_CELL_BYTES])
{
	const json_t *share = json_object_get(row, key);
	if (json_is_real(share))
		snprintf(cell, BERTH_CELL_BYTES, "%.0f%%", 100 * json_real_value(share));
	else
		snprintf(cell, BERTH_CELL_BYTES, "-");
}

static const struct berth_column workers[] = {
	{"WORKER", "worker", berth_cell_plain, true},
	{"PACKETS/S", "packets_per_s", berth_cell_rate, true},
	{"BUSY", "busy_share", share_cell, true},
	{"BURST", "burst_packets", berth_cell_rate, true},
	{"CYCLES", "cycles_per_packet", berth_cell_rate, true},
	{"PACKETS", "received_packets", berth_cell_plain, true},
};

static const struct berth_column drops[] = {
	{"REASON", "name", berth_cell_plain, false},
	{"PACKETS/S", "packets_per_s", berth_cell_rate, true},
	{"COUNT", "count", berth_cell_plain, true},
	{"MEANING", "help", berth_cell_plain, BERTH_COLUMN_LEAST(20)},
};

static const struct {
	const char *name;
	enum berth_command_index command;
	const char *key; /* of the rows in its result */
	const char *first_order;
} views[BERTH_TOP_VIEWS] = {
	[BERTH_TOP_SERVICES] = {"services", BERTH_COMMAND_show_services, "services", "BITS/S"},
	[BERTH_TOP_BACKENDS] = {"backends", BERTH_COMMAND_show_backends, "backends", "BITS/S"},
	[BERTH_TOP_WORKERS] = {"workers", BERTH_COMMAND_show_stats, "workers", "PACKETS/S"},
	[BERTH_TOP_DROPS] = {"drops", BERTH_COMMAND_show_drops, "drops", "PACKETS/S"},
};

const char *berth_top_name(enum berth_top_view view)
{
	return views[view].name;
}

const struct berth_column *berth_top_columns(enum berth_top_view view, size_t *n)
{
	if (view == BERTH_TOP_WORKERS || view == BERTH_TOP_DROPS)
		*n = view == BERTH_TOP_WORKERS ? COUNT(workers) : COUNT(drops);
	if (view == BERTH_TOP_WORKERS)
		return workers;
	return view == BERTH_TOP_DROPS ? drops : berth_cli_columns(views[view].command, n);
}

size_t berth_top_first_order(enum berth_top_view view)
{
	size_t n, found = 0;
	const struct berth_column *columns = berth_top_columns(view, &n);
	for (size_t i = 0; i < n; i++)
		if (strcmp(columns[i].title, views[view].first_order) == 0)
			found = i;
	return found;
}

static double now_s(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* The increase of a counter; 0 if it began anew. */
static double grown(const json_t *now, const json_t *before, const char *key)
{
	const json_int_t from = berth_cli_number(before, key), to = berth_cli_number(now, key);
	return to > from ? (double)(to - from) : 0;
}

/* Adds what is the difference of two samples to a row. */
static void add_differences(enum berth_top_view view, json_t *row, const json_t *before, double seconds)
{
	const char *counter = view == BERTH_TOP_WORKERS ? "received_packets" : "count";
	const double packets = grown(row, before, counter), bursts = grown(row, before, "bursts");
	const double busy_cycles = grown(row, before, "busy_cycles");
	const double cycles = (double)berth_cli_number(row, "cycles_per_second") * seconds;
	json_object_set_new(row, "packets_per_s", json_real(packets / seconds));
	if (cycles > 0)
		json_object_set_new(row, "busy_share", json_real(busy_cycles < cycles ? busy_cycles / cycles : 1));
	if (bursts > 0)
		json_object_set_new(row, "burst_packets", json_real(packets / bursts));
	if (busy_cycles > 0 && packets > 0)
		json_object_set_new(row, "cycles_per_packet", json_real(busy_cycles / packets));
}

static void compare(enum berth_top_view view, const struct berth_top_sample *former,
		    const struct berth_top_sample *sample)
{
	size_t i;
	json_t *row;
	const bool has_former = former && json_array_size(former->rows) == json_array_size(sample->rows);
	json_array_foreach(sample->rows, i, row)
	{
		if (view == BERTH_TOP_WORKERS)
			json_object_set_new(row, "worker", json_integer((json_int_t)i));
		if (has_former && sample->at_s > former->at_s)
			add_differences(view, row, json_array_get(former->rows, i), sample->at_s - former->at_s);
	}
}

/* The result of a command, all pages of it; or `error`. */
static enum berth_cli_status ask(const struct berth_connection *connection, enum berth_command_index command,
				 json_t **result, char error[BERTH_CLI_ERROR_BYTES])
{
	const struct berth_call call = {.command = command, .arguments = json_object()};
	const char *key = berth_cli_rows_key(command);
	json_t *reply = NULL;
	enum berth_cli_status status = key ? berth_cli_request_rows(connection, &call, key, &reply, error)
					   : berth_cli_request(connection, berth_commands[command].words,
							       call.arguments, &reply, error);
	json_decref(call.arguments);
	if (!status && !json_is_true(json_object_get(reply, "ok"))) {
		snprintf(error, BERTH_CLI_ERROR_BYTES, "%s", berth_cli_text(reply, "error"));
		status = BERTH_CLI_FAILURE;
	}
	*result = status ? NULL : json_incref(json_object_get(reply, "result"));
	json_decref(reply);
	return status;
}

enum berth_cli_status berth_top_take(const struct berth_connection *connection, enum berth_top_view view,
				     const struct berth_top_sample *former, struct berth_top_sample *sample,
				     char error[BERTH_CLI_ERROR_BYTES])
{
	json_t *result = NULL;
	*sample = (struct berth_top_sample){0};
	enum berth_cli_status status = ask(connection, BERTH_COMMAND_show_engine, &sample->engine, error);
	if (!status)
		status = ask(connection, views[view].command, &result, error);
	if (status) {
		berth_top_clear(sample);
		return status;
	}
	sample->at_s = now_s();
	sample->rows = json_incref(json_object_get(result, views[view].key));
	json_decref(result);
	compare(view, former, sample);
	return BERTH_CLI_OK;
}

void berth_top_clear(struct berth_top_sample *sample)
{
	json_decref(sample->engine);
	json_decref(sample->rows);
	*sample = (struct berth_top_sample){0};
}
