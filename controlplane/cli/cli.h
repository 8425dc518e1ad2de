/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * berthctl: parses a command line, sends one request to berthd (sessions: one per page), prints a table or the
 * result as JSON. api/commands.h lists the commands. Links nothing of the daemon. One thread.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "controlplane/api/commands.h"
#include "controlplane/api/wire.h"

enum {
	BERTH_CLI_ERROR_BYTES = 512,
	BERTH_CELL_BYTES = 160,
	BERTH_TABLE_COLUMNS = 16, /* at most */
};

/* The exit status of berthctl. X(symbol, status, help) */
#define BERTH_CLI_STATUSES(X)                                                                                      \
	X(OK, 0, "success")                                                                                        \
	X(FAILURE, 1, "refused, not in force yet, problems found, or wait timed out")                              \
	X(USAGE, 2, "invalid command line")                                                                        \
	X(CONFIG, 3, "invalid configuration, or file not readable")                                                \
	X(UNREACHABLE, 4, "berthd not reached, or no answer")

enum berth_cli_status {
#define X(symbol, status, help) BERTH_CLI_##symbol = (status),
	BERTH_CLI_STATUSES(X)
#undef X
};

/* A field of a JSON object; "-" or 0 where it is absent. */
const char *berth_cli_text(const json_t *object, const char *key);
json_int_t berth_cli_number(const json_t *object, const char *key);

/* command_line.c */
struct berth_call {
	enum berth_command_index command;
	json_t *arguments; /* an object */
	bool help;	   /* --help is present; the other arguments are not checked */
	bool json;
};

/* Parses a command with its arguments and reads the files that it names. OK: `call` is filled and the caller owns
 * its arguments. Else the exit status, with one line in `error`. */
enum berth_cli_status berth_cli_parse(int argc, char *const *argv, struct berth_call *call,
				      char error[BERTH_CLI_ERROR_BYTES]);

/* help.c */
void berth_cli_usage(FILE *out);
void berth_cli_help(FILE *out, const struct berth_command *command);

/* suggest.c: writes one line about an unknown command, with the most similar command. */
void berth_cli_suggest(int argc, char *const *argv, char error[BERTH_CLI_ERROR_BYTES]);

/* connection.c: functions return OK, or UNREACHABLE with one line in `error` that names the fix. */
struct berth_connection {
	int fd;
	unsigned int timeout_s; /* for each read and write */
	const char *path;
};

enum berth_cli_status berth_cli_connect(struct berth_connection *connection, const char *path,
					unsigned int timeout_s, char error[BERTH_CLI_ERROR_BYTES]);
/* Sends a request and reads the reply, an object that the caller owns. */
enum berth_cli_status berth_cli_request(const struct berth_connection *connection, const char *command,
					json_t *arguments, json_t **reply, char error[BERTH_CLI_ERROR_BYTES]);
/* Blocks until berthd closes the connection. */
void berth_cli_wait_closed(const struct berth_connection *connection);
void berth_cli_disconnect(struct berth_connection *connection);

/* sessions.c: commands with paged results. */
bool berth_cli_is_paged(enum berth_command_index command);
/* Requests all pages, or as many as `--limit` needs. OK with `reply` NULL: the pages are printed. OK with `reply`:
 * the combined result, or berthd's error. */
enum berth_cli_status berth_cli_request_pages(FILE *out, const struct berth_connection *connection,
					      const struct berth_call *call, json_t **reply,
					      char error[BERTH_CLI_ERROR_BYTES]);
void berth_cli_print_session(FILE *out, const json_t *result);
void berth_cli_print_cleared(FILE *out, const json_t *result);

/* rows.c: a result with an array `key` that comes in pages. Requests all pages; `reply` has all rows, or berthd's
 * error.
 */
enum berth_cli_status berth_cli_request_rows(const struct berth_connection *connection,
					     const struct berth_call *call, const char *key, json_t **reply,
					     char error[BERTH_CLI_ERROR_BYTES]);

/* wait.c: repeats `wait drained` until the backend is drained or the timeout has expired. */
enum berth_cli_status berth_cli_request_drained(const struct berth_connection *connection,
						const struct berth_call *call, json_t **reply,
						char error[BERTH_CLI_ERROR_BYTES]);

/* table.c: prints an array of objects as aligned columns. */
typedef void berth_cell_fn(const json_t *row, const char *key, char cell[BERTH_CELL_BYTES]);

struct berth_column {
	const char *title;
	const char *key;
	berth_cell_fn *cell;
	bool right; /* right-aligned, for numbers */
};

/* A table printed in parts: a later part may widen a column; printed lines stay as they are. */
struct berth_cli_table {
	const struct berth_column *columns;
	size_t n;
	int width[BERTH_TABLE_COLUMNS];
	bool has_titles; /* they are printed */
};

void berth_cli_table_init(struct berth_cli_table *table, const struct berth_column *columns, size_t n);
void berth_cli_table_add(FILE *out, struct berth_cli_table *table, const json_t *rows);
void berth_cli_table_print(FILE *out, const struct berth_column *columns, size_t n, const json_t *rows);

berth_cell_fn berth_cell_plain;	   /* a string, number or boolean; - where it is absent */
berth_cell_fn berth_cell_bytes;	   /* 1.5 GiB */
berth_cell_fn berth_cell_duration; /* seconds as 2d 3h */
berth_cell_fn berth_cell_list;	   /* strings with commas between */

/* views.c: prints the result of a command; show_tables.c has the tables, generic.c prints all other results. */
void berth_cli_print(FILE *out, enum berth_command_index command, const json_t *result);
/* True if berthctl ends with FAILURE after this result: not in force, problems found, or not drained. */
bool berth_cli_is_failure(enum berth_command_index command, const json_t *result);

/* A line for each warning of the result. */
void berth_cli_print_warnings(FILE *out, const json_t *result);

/* show_tables.c: NULL for a command without a table. */
typedef void berth_cli_view_fn(FILE *out, const json_t *result);
berth_cli_view_fn *berth_cli_table_view(enum berth_command_index command);

/* generic.c: any JSON value, in the style of YAML. */
void berth_cli_print_generic(FILE *out, const json_t *value);
