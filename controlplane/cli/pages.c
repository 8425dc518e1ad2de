// SPDX-License-Identifier: BSD-3-Clause
/* Paged commands: each page is requested, printed and freed before the next one, so memory use is constant. */
#include <stdlib.h>
#include <string.h>

#include "controlplane/api/plural.h"
#include "controlplane/cli/cli.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* A command with rows in pages. */
struct listing {
	enum berth_command_index command;
	const char *key; /* of the array; NULL: pages without rows */
	const struct berth_column *columns;
	size_t n_columns;
};

/* Progress over the pages of one command. */
struct pages {
	FILE *out;
	const struct listing *listing;
	bool json;
	bool has_limit;
	unsigned long left; /* of the limit */
	size_t printed;
	json_int_t cleared;
	json_t *applies_to; /* of the last page of a clear */
	struct berth_cli_table table;
};

/* The group, where a service is in one: its services share their sessions. */
static void service_cell(const json_t *row, const char *key, char cell[BERTH_CELL_BYTES])
{
	const char *group = json_string_value(json_object_get(row, "group"));
	snprintf(cell, BERTH_CELL_BYTES, "%s%s", group ? "group " : "", group ? group : berth_cli_text(row, key));
}

/* selected, failed over from b1, pinned to b2; "unconfirmed" before it */
static void reason_cell(const json_t *row, const char *key, char cell[BERTH_CELL_BYTES])
{
	const char *reason = berth_cli_text(row, key);
	const char *previous = json_string_value(json_object_get(row, "previous_backend"));
	const char *pinned = json_string_value(json_object_get(row, "pinned_backend"));
	const char *link = pinned ? " to " : previous ? " from " : "";
	const char *other = pinned ? pinned : previous;
	const bool is_unconfirmed = strcmp(berth_cli_text(row, "state"), "unconfirmed") == 0;
	const char *before = is_unconfirmed ? "unconfirmed, " : "";
	snprintf(cell, BERTH_CELL_BYTES, "%s%s%s%s", before, reason, link, other ? other : "");
	for (char *at = strchr(cell, '_'); at && at < cell + strlen(before) + strlen(reason); at = strchr(at, '_'))
		*at = ' ';
}

static const struct berth_column session_columns[] = {
	{"CLIENT", "client", berth_cell_plain, false},
	{"SERVICE", "service", service_cell, false},
	{"BACKEND", "backend", berth_cell_plain, false},
	{"AGE", "age_s", berth_cell_duration, true},
	{"IDLE", "idle_s", berth_cell_duration, true},
	{"NEW FLOWS", "new_flows", berth_cell_plain, true},
	{"REASON", "reason", reason_cell, BERTH_COLUMN_LEAST(12)},
};

static const struct berth_column flow_columns[] = {
	{"SERVICE", "service", berth_cell_plain, false},
	{"BACKEND", "backend", berth_cell_plain, false},
	{"PROTOCOL", "protocol", berth_cell_plain, false},
	{"STATE", "state", berth_cell_plain, false},
	{"IDLE", "idle_s", berth_cell_duration, true},
	{"EXCEPTION", "exception", berth_cell_plain, false},
	{"FORMER TABLE", "former_table", berth_cell_plain, false},
};

static const struct listing listings[] = {
	{BERTH_COMMAND_show_sessions, "sessions", session_columns, COUNT(session_columns)},
	{BERTH_COMMAND_show_flows, "flows", flow_columns, COUNT(flow_columns)},
	{BERTH_COMMAND_session_clear, NULL, session_columns, COUNT(session_columns)},
};

static const struct listing *find_listing(enum berth_command_index command)
{
	for (size_t i = 0; i < COUNT(listings); i++)
		if (listings[i].command == command)
			return &listings[i];
	return NULL;
}

bool berth_cli_is_paged(enum berth_command_index command)
{
	return find_listing(command) != NULL;
}

/* One JSON document, one row per line. */
static void print_json(struct pages *pages, const json_t *rows)
{
	size_t i;
	json_t *row;
	json_array_foreach(rows, i, row)
	{
		fputs(pages->printed + i ? ",\n" : "\n", pages->out);
		json_dumpf(row, pages->out, JSON_COMPACT);
	}
}

static void print_page(struct pages *pages, const json_t *result)
{
	const char *key = pages->listing->key;
	const json_t *rows = key ? json_object_get(result, key) : NULL;
	pages->cleared += json_integer_value(json_object_get(result, "cleared_sessions"));
	json_t *applies_to = json_object_get(result, "applies_to");
	if (applies_to && !pages->applies_to)
		pages->applies_to = json_incref(applies_to);
	if (!rows)
		return;
	size_t n = json_array_size(rows);
	if (pages->json)
		print_json(pages, rows);
	else if (n) /* the first rows set the widths of the columns, so the titles wait for them */
		berth_cli_table_add(pages->out, &pages->table, rows);
	pages->printed += n;
	pages->left -= n < pages->left ? n : pages->left;
}

static enum berth_cli_status start_pages(struct pages *pages, FILE *out, const struct berth_call *call,
					 char error[BERTH_CLI_ERROR_BYTES])
{
	const char *limit = json_string_value(json_object_get(call->arguments, "limit"));
	const struct listing *listing = find_listing(call->command);
	*pages = (struct pages){.out = out, .listing = listing, .json = call->json, .has_limit = limit != NULL};
	berth_cli_table_init(&pages->table, listing->columns, listing->n_columns);
	if (!limit)
		return BERTH_CLI_OK;
	char *end;
	errno = 0;
	pages->left = strtoul(limit, &end, 10);
	if (limit[0] >= '0' && limit[0] <= '9' && !*end && errno == 0 && pages->left > 0)
		return BERTH_CLI_OK;
	snprintf(error, BERTH_CLI_ERROR_BYTES, "--limit needs a whole number, 1 or more");
	return BERTH_CLI_USAGE;
}

/* Requests the next page, with at most as many rows as are left of the limit. */
static enum berth_cli_status request_page(const struct pages *pages, const struct berth_connection *connection,
					  const struct berth_call *call, json_t **reply,
					  char error[BERTH_CLI_ERROR_BYTES])
{
	if (pages->has_limit)
		json_object_set_new(
			call->arguments, "limit",
			json_sprintf("%lu", pages->left < BERTH_WIRE_PAGE ? pages->left : BERTH_WIRE_PAGE));
	const char *words = berth_commands[call->command].words, *key = pages->listing->key;
	return key ? berth_cli_request_list(connection, words, call->arguments, key, reply, error)
		   : berth_cli_request(connection, words, call->arguments, reply, error);
}

/* Prints the end of the output. `next`: the cursor at which the limit stopped, or NULL. */
static void print_end(struct pages *pages, const char *next)
{
	if (pages->json && next)
		fprintf(pages->out, "%s], \"next\": \"%s\"}\n", pages->printed ? "\n" : "", next);
	else if (pages->json)
		fprintf(pages->out, "%s], \"next\": null}\n", pages->printed ? "\n" : "");
	else if (!pages->printed)
		berth_cli_table_add(pages->out, &pages->table, NULL);
	if (!pages->json && next)
		fprintf(pages->out, "limit reached; continue with --after %s\n", next);
}

enum berth_cli_status berth_cli_request_pages(FILE *out, const struct berth_connection *connection,
					      const struct berth_call *call, json_t **reply,
					      char error[BERTH_CLI_ERROR_BYTES])
{
	struct pages pages;
	enum berth_cli_status status = start_pages(&pages, out, call, error);
	const char *key = pages.listing->key;
	const char *next = "";
	for (bool first = true; !status && next && (!pages.has_limit || pages.left) && !ferror(out);
	     first = false) {
		status = request_page(&pages, connection, call, reply, error);
		if (status || !json_is_true(json_object_get(*reply, "ok")))
			return status;
		if (first && key && call->json)
			fprintf(out, "{\"%s\": [", key);
		const json_t *result = json_object_get(*reply, "result");
		json_t *cursor = json_object_get(result, "next");
		print_page(&pages, result);
		next = json_string_value(cursor);
		if (next)
			json_object_set(call->arguments, "after", cursor);
		json_decref(*reply);
		*reply = NULL;
	}
	if (status)
		return status;
	if (key)
		print_end(&pages, next);
	else
		*reply = json_pack("{s:b, s:{s:I, s:o?}}", "ok", 1, "result", "cleared_sessions", pages.cleared,
				   "applies_to", pages.applies_to);
	return BERTH_CLI_OK;
}

void berth_cli_print_session(FILE *out, const json_t *result)
{
	const json_t *session = json_object_get(result, "session");
	char reason[BERTH_CELL_BYTES], service[BERTH_CELL_BYTES];
	reason_cell(session, "reason", reason);
	service_cell(session, "service", service);
	fprintf(out, "%s is on %s of %s: %s; its existing flows do not move\n", berth_cli_text(session, "client"),
		berth_cli_text(session, "backend"), service, reason);
}

void berth_cli_print_cleared(FILE *out, const json_t *result)
{
	json_int_t n = json_integer_value(json_object_get(result, "cleared_sessions"));
	fprintf(out, "%" JSON_INTEGER_FORMAT " session%s cleared; existing flows do not move\n", n,
		BERTH_PLURAL(n));
}
