// SPDX-License-Identifier: BSD-3-Clause
/* What comes in pages: a million sessions are asked for, printed and forgotten a page at a time. */
#include <stdlib.h>
#include <string.h>

#include "controlplane/cli/cli.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* What becomes of the pages of one command. */
struct pages {
	FILE *out;
	bool json;
	bool has_limit;
	unsigned long left; /* of the limit */
	size_t shown;
	json_int_t cleared;
	struct berth_cli_table table;
};

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text ? text : "?";
}

/* A group has more to say than the first of its services. */
static void service_cell(const json_t *row, const char *key, char cell[BERTH_CELL_BYTES])
{
	const char *group = json_string_value(json_object_get(row, "group"));
	snprintf(cell, BERTH_CELL_BYTES, "%s%s", group ? "group " : "", group ? group : text_of(row, key));
}

static void client_cell(const json_t *row, const char *key, char cell[BERTH_CELL_BYTES])
{
	snprintf(cell, BERTH_CELL_BYTES, "%s", text_of(row, key));
}

/* selected, failed over from b1, pinned to b2 */
static void reason_cell(const json_t *row, const char *key, char cell[BERTH_CELL_BYTES])
{
	const char *reason = text_of(row, key);
	const char *previous = json_string_value(json_object_get(row, "previous_backend"));
	const char *pinned = json_string_value(json_object_get(row, "pinned_backend"));
	const char *link = pinned ? " to " : previous ? " from " : "";
	const char *other = pinned ? pinned : previous;
	snprintf(cell, BERTH_CELL_BYTES, "%s%s%s", reason, link, other ? other : "");
	for (char *at = strchr(cell, '_'); at && at < cell + strlen(reason); at = strchr(at, '_'))
		*at = ' ';
}

static const struct berth_column columns[] = {
	{"CLIENT", "client", client_cell, false},      {"SERVICE", "service", service_cell, false},
	{"BACKEND", "backend", client_cell, false},    {"AGE", "age_s", berth_cell_duration, true},
	{"IDLE", "idle_s", berth_cell_duration, true}, {"NEW FLOWS", "new_flows", berth_cell_plain, true},
	{"REASON", "reason", reason_cell, false},
};

bool berth_cli_has_pages(enum berth_command_index command)
{
	return command == BERTH_COMMAND_show_sessions || command == BERTH_COMMAND_session_clear;
}

/* One JSON document, a session a line. */
static void print_json(struct pages *pages, const json_t *rows)
{
	size_t i;
	json_t *row;
	json_array_foreach(rows, i, row)
	{
		fputs(pages->shown + i ? ",\n" : "\n", pages->out);
		json_dumpf(row, pages->out, JSON_COMPACT);
	}
}

static void take_page(struct pages *pages, const json_t *result)
{
	const json_t *rows = json_object_get(result, "sessions");
	pages->cleared += json_integer_value(json_object_get(result, "cleared_sessions"));
	if (!rows)
		return;
	size_t n = json_array_size(rows);
	if (pages->json)
		print_json(pages, rows);
	else if (n) /* not the titles yet: the first row says how wide they are */
		berth_cli_table_add(pages->out, &pages->table, rows);
	pages->shown += n;
	pages->left -= n < pages->left ? n : pages->left;
}

static enum berth_cli_exit begin(struct pages *pages, FILE *out, const struct berth_call *call,
				 char error[BERTH_CLI_ERROR_BYTES])
{
	const char *limit = json_string_value(json_object_get(call->arguments, "limit"));
	*pages = (struct pages){.out = out, .json = call->json, .has_limit = limit != NULL};
	berth_cli_table_init(&pages->table, columns, COUNT(columns));
	if (!limit)
		return BERTH_EXIT_DONE;
	char *end;
	errno = 0;
	pages->left = strtoul(limit, &end, 10);
	if (limit[0] >= '0' && limit[0] <= '9' && !*end && errno == 0 && pages->left > 0)
		return BERTH_EXIT_DONE;
	snprintf(error, BERTH_CLI_ERROR_BYTES, "--limit is a number of sessions, from 1 on");
	return BERTH_EXIT_USAGE;
}

/* Asks for the next page, no longer than what is left of the limit. */
static enum berth_cli_exit ask(const struct pages *pages, const struct berth_connection *connection,
			       const struct berth_call *call, json_t **answer, char error[BERTH_CLI_ERROR_BYTES])
{
	if (pages->has_limit)
		json_object_set_new(
			call->arguments, "limit",
			json_sprintf("%lu", pages->left < BERTH_WIRE_PAGE ? pages->left : BERTH_WIRE_PAGE));
	return berth_cli_ask(connection, berth_commands[call->command].words, call->arguments, answer, error);
}

/* What comes behind the last page. `next`: where the limit ended it, or NULL. */
static void print_end(struct pages *pages, const char *next)
{
	if (pages->json && next)
		fprintf(pages->out, "%s], \"next\": \"%s\"}\n", pages->shown ? "\n" : "", next);
	else if (pages->json)
		fprintf(pages->out, "%s], \"next\": null}\n", pages->shown ? "\n" : "");
	else if (!pages->shown)
		berth_cli_table_add(pages->out, &pages->table, NULL);
	if (!pages->json && next)
		fprintf(pages->out, "there may be more: --after %s\n", next);
}

enum berth_cli_exit berth_cli_ask_pages(FILE *out, const struct berth_connection *connection,
					const struct berth_call *call, json_t **answer,
					char error[BERTH_CLI_ERROR_BYTES])
{
	bool shows = call->command == BERTH_COMMAND_show_sessions;
	struct pages pages;
	enum berth_cli_exit status = begin(&pages, out, call, error);
	const char *next = "";
	for (bool first = true; !status && next && (!pages.has_limit || pages.left) && !ferror(out);
	     first = false) {
		status = ask(&pages, connection, call, answer, error);
		if (status || !json_is_true(json_object_get(*answer, "ok")))
			return status;
		if (first && shows && call->json)
			fputs("{\"sessions\": [", out);
		const json_t *result = json_object_get(*answer, "result");
		json_t *cursor = json_object_get(result, "next");
		take_page(&pages, result);
		next = json_string_value(cursor);
		if (next)
			json_object_set(call->arguments, "after", cursor);
		json_decref(*answer);
		*answer = NULL;
	}
	if (status)
		return status;
	if (shows)
		print_end(&pages, next);
	else
		*answer = json_pack("{s:b, s:{s:I}}", "ok", 1, "result", "cleared_sessions", pages.cleared);
	return BERTH_EXIT_DONE;
}

void berth_cli_show_session(FILE *out, const json_t *result)
{
	const json_t *session = json_object_get(result, "session");
	char reason[BERTH_CELL_BYTES], service[BERTH_CELL_BYTES];
	reason_cell(session, "reason", reason);
	service_cell(session, "service", service);
	fprintf(out, "%s is on %s of %s: %s; flows that it has stay where they are\n", text_of(session, "client"),
		text_of(session, "backend"), service, reason);
}

void berth_cli_show_cleared(FILE *out, const json_t *result)
{
	json_int_t n = json_integer_value(json_object_get(result, "cleared_sessions"));
	fprintf(out, "%" JSON_INTEGER_FORMAT " session%s cleared; flows stay where they are\n", n,
		n == 1 ? "" : "s");
}
