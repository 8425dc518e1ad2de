// SPDX-License-Identifier: BSD-3-Clause
#include <stdlib.h>

#include "controlplane/cli/cli.h"

/* Appends the rows of a page to those of the first one. The cursor of the page, or NULL after the last. */
static const char *add_page(json_t *all, json_t *page, const char *key)
{
	json_t *result = json_object_get(page, "result"), *cursor = json_object_get(result, "next");
	if (all != result)
		json_array_extend(json_object_get(all, key), json_object_get(result, key));
	json_object_set(all, "next", cursor ? cursor : json_null());
	return json_string_value(json_object_get(all, "next"));
}

const char *berth_cli_rows_key(enum berth_command_index command)
{
	switch (command) {
	case BERTH_COMMAND_show_services:
	case BERTH_COMMAND_show_node:
		return "services";
	case BERTH_COMMAND_show_backends:
		return "backends";
	case BERTH_COMMAND_show_dns:
		return "names";
	default:
		return NULL;
	}
}

enum berth_cli_status berth_cli_request_rows(const struct berth_connection *connection,
					     const struct berth_call *call, const char *key, json_t **reply,
					     char error[BERTH_CLI_ERROR_BYTES])
{
	const char *words = berth_commands[call->command].words;
	enum berth_cli_status status = berth_cli_request_list(connection, words, call->arguments, key, reply,
							      error);
	if (status || !json_is_true(json_object_get(*reply, "ok")))
		return status;
	json_t *all = json_object_get(*reply, "result");
	const char *next = add_page(all, *reply, key);
	while (next) {
		json_t *page = NULL;
		json_object_set_new(call->arguments, "after", json_string(next));
		status = berth_cli_request_list(connection, words, call->arguments, key, &page, error);
		if (status)
			return status;
		if (!json_is_true(json_object_get(page, "ok"))) {
			json_decref(*reply);
			*reply = page;
			return BERTH_CLI_OK;
		}
		next = add_page(all, page, key);
		json_decref(page);
	}
	return BERTH_CLI_OK;
}

bool berth_cli_prints_rows(const struct berth_call *call)
{
	size_t n;
	return !call->json && berth_cli_columns(call->command, &n) && !json_object_get(call->display, "sort");
}

enum berth_cli_status berth_cli_print_rows(FILE *out, const struct berth_connection *connection,
					   const struct berth_call *call, const char *key, json_t **reply,
					   char error[BERTH_CLI_ERROR_BYTES])
{
	const char *words = berth_commands[call->command].words;
	struct berth_cli_table table;
	size_t n;
	const struct berth_column *columns = berth_cli_columns(call->command, &n);
	enum berth_cli_status status = BERTH_CLI_OK;
	berth_cli_table_init(&table, columns, n);
	for (bool is_last = false; !is_last && !table.has_failed;) {
		json_decref(*reply);
		*reply = NULL;
		status = berth_cli_request_list(connection, words, call->arguments, key, reply, error);
		if (status || !json_is_true(json_object_get(*reply, "ok")))
			goto out;
		const json_t *result = json_object_get(*reply, "result");
		json_t *next = json_object_get(result, "next");
		berth_cli_table_keep(&table, json_object_get(result, key));
		is_last = !json_is_string(next);
		if (!is_last)
			json_object_set(call->arguments, "after", next);
	}
	json_decref(*reply);
	*reply = NULL;
	if (!table.has_failed) {
		berth_cli_table_print_kept(out, &table);
		return BERTH_CLI_OK;
	}
	snprintf(error, BERTH_CLI_ERROR_BYTES, "out of memory");
	status = BERTH_CLI_FAILURE;
out:
	free(table.kept);
	return status;
}
