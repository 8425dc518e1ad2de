// SPDX-License-Identifier: BSD-3-Clause
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

enum berth_cli_status berth_cli_request_rows(const struct berth_connection *connection,
					     const struct berth_call *call, const char *key, json_t **reply,
					     char error[BERTH_CLI_ERROR_BYTES])
{
	const char *words = berth_commands[call->command].words;
	enum berth_cli_status status = berth_cli_request(connection, words, call->arguments, reply, error);
	if (status || !json_is_true(json_object_get(*reply, "ok")))
		return status;
	json_t *all = json_object_get(*reply, "result");
	const char *next = add_page(all, *reply, key);
	while (next) {
		json_t *page = NULL;
		json_object_set_new(call->arguments, "after", json_string(next));
		status = berth_cli_request(connection, words, call->arguments, &page, error);
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
