/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * berthctl: parses a command line, sends one request to berthd (sessions: one per page), prints a table or the
 * result as JSON. Without a command on a terminal it reads command lines there. api/commands.h lists the commands.
 * Links nothing of the daemon. One thread.
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
	BERTH_TABLE_COLUMNS = 24, /* at most */
};

/* The exit status of berthctl (api/commands.h). */
enum berth_cli_status {
#define X(symbol, status, help) BERTH_CLI_##symbol = (status),
	BERTH_CLI_STATUSES(X)
#undef X
};

/* A field of a JSON object; "-" or 0 where it is absent. */
const char *berth_cli_text(const json_t *object, const char *key);
json_int_t berth_cli_number(const json_t *object, const char *key);
/* A field of a field: "rates.10s.bits_per_s". NULL: absent. */
const json_t *berth_cli_find(const json_t *object, const char *path);

/* The options before the command. */
struct berth_cli_options {
	const char *socket;
	const char *instance;
	const char *run_dir;
	const char *script;
	unsigned int timeout_s;
	bool json;
	bool wide;
	bool help;
	bool version;
};

/* run.c: runs a command and prints its result or its error. argc is at least 1. */
enum berth_cli_status berth_cli_run(const struct berth_cli_options *options, int argc, char *const *argv);

/* own.c: runs what is no command of berthd (help, top, report, ...). False: it is another command. */
bool berth_cli_run_own(const struct berth_cli_options *options, int argc, char *const *argv,
		       enum berth_cli_status *status);

/* errors.c: prints an error, as one JSON object with `json`; returns the status. An error in a configuration starts
 * with file:line:column, without a prefix, so that editors can open the place. `code`: NULL if berthctl found it.
 * `errors`: all of a configuration, the first one too; NULL: there is one. */
enum berth_cli_status berth_cli_print_errors(bool json, enum berth_cli_status status, const char *code,
					     const char *error, const json_t *errors);
/* The same with the status USAGE, which it returns. */
enum berth_cli_status berth_cli_usage_error(bool json, const char *error);
/* Prints a result to standard output. 0, or -1: it cannot be written. */
int berth_cli_print_json(const json_t *value);
/* `status`, or FAILURE where standard output could not be written. */
enum berth_cli_status berth_cli_finish_output(enum berth_cli_status status);

/* terminal/interactive.c: reads command lines from the terminal until `quit` or the end of input. */
enum berth_cli_status berth_cli_interactive(const struct berth_cli_options *options);

/* import/import.c: `config import KIND FILE`. */
enum berth_cli_status berth_cli_import(bool json, int argc, char *const *argv);

/* terminal/script.c: runs the command lines of a file (-: standard input) up to the first that fails. Its status,
 * after a line with its place. */
enum berth_cli_status berth_cli_script(const struct berth_cli_options *options, const char *path);

/* terminal/completion.c: the words that may stand at a place of a command line. */
enum {
	BERTH_CLI_COMPLETIONS = 200, /* at most; more are not shown */
};

struct berth_completions {
	size_t n;
	char *words[BERTH_CLI_COMPLETIONS]; /* sorted, without doubles */
};

/* `argv`: the words before that place; `typed`: what is there already. Names are those that berthd has now, none if
 * it does not answer within a second. The caller clears the completions. */
void berth_cli_complete(const struct berth_cli_options *options, int argc, char *const *argv, const char *typed,
			struct berth_completions *completions);
void berth_cli_clear_completions(struct berth_completions *completions);

/* command_line.c */
struct berth_call {
	enum berth_command_index command;
	json_t *arguments; /* an object: those that berthd gets */
	json_t *display;   /* an object: those that are for berthctl itself */
	bool help;	   /* --help is present; the other arguments are not checked */
	bool json;
	bool wide;
};

/* Whether a word of a command is -j or --json. */
bool berth_cli_is_json(const char *word);
/* Whether the command may be meant by these words: each is the beginning of the command's word at its place.
 * Commands for administrators are written in full. */
bool berth_cli_may_mean(const struct berth_command *command, int argc, char *const *argv);
/* The number of leading words that name `*command`: in full, or by the beginnings of words where no other command
 * has these. 0: none does. */
int berth_cli_find_command(int argc, char *const *argv, enum berth_command_index *command);

/* Parses a command with its arguments and reads the files that it names. OK: `call` is filled and the caller frees
 * it. Else the exit status, with one line in `error`. */
enum berth_cli_status berth_cli_parse(int argc, char *const *argv, struct berth_call *call,
				      char error[BERTH_CLI_ERROR_BYTES]);
void berth_cli_call_free(struct berth_call *call);

/* The JSON schema of the configuration, generated (reference/); the line after the last is NULL. */
extern const char *const berth_cli_schema_lines[];

/* help.c */
void berth_cli_usage(FILE *out);
void berth_cli_help(FILE *out, const struct berth_command *command);
/* Lists the commands that begin with these words. False: there is none. */
bool berth_cli_help_list(FILE *out, int argc, char *const *argv);
/* The arguments of a command that berthctl runs itself; false: the words begin with none. */
bool berth_cli_help_own(FILE *out, int argc, char *const *argv);

/* suggest.c: writes one line about an unknown command, with the most similar command. */
void berth_cli_suggest(int argc, char *const *argv, char error[BERTH_CLI_ERROR_BYTES]);

/* connection.c: functions return OK, or UNREACHABLE with one line in `error` that names the fix. */
struct berth_connection {
	int fd;
	unsigned int timeout_s; /* for each read and write */
	char path[BERTH_WIRE_PATH_BYTES];
};

enum berth_cli_status berth_cli_connect(struct berth_connection *connection, const char *path,
					unsigned int timeout_s, char error[BERTH_CLI_ERROR_BYTES]);
/* Connects to the socket that the options name. USAGE: its path is too long. */
enum berth_cli_status berth_cli_open(const struct berth_cli_options *options, struct berth_connection *connection,
				     char error[BERTH_CLI_ERROR_BYTES]);
/* Sends a request and reads the reply, an object that the caller owns. */
enum berth_cli_status berth_cli_request(const struct berth_connection *connection, const char *command,
					json_t *arguments, json_t **reply, char error[BERTH_CLI_ERROR_BYTES]);
/* What berthd of another version may send. */
#define BERTH_CLI_MALFORMED "malformed reply from berthd; compare its version with that of berthctl (--version)"
/* The same for a page of a list: a result without the array `key` is an error. */
enum berth_cli_status berth_cli_request_list(const struct berth_connection *connection, const char *command,
					     json_t *arguments, const char *key, json_t **reply,
					     char error[BERTH_CLI_ERROR_BYTES]);
/* Blocks until berthd closes the connection. */
void berth_cli_wait_closed(const struct berth_connection *connection);
void berth_cli_disconnect(struct berth_connection *connection);

/* pages.c: commands with paged results. */
bool berth_cli_is_paged(enum berth_command_index command);
/* Requests all pages, or as many as `--limit` needs. OK with `reply` NULL: the pages are printed. OK with `reply`:
 * the combined result, or berthd's error. */
enum berth_cli_status berth_cli_request_pages(FILE *out, const struct berth_connection *connection,
					      const struct berth_call *call, json_t **reply,
					      char error[BERTH_CLI_ERROR_BYTES]);
void berth_cli_print_session(FILE *out, const json_t *result);
void berth_cli_print_cleared(FILE *out, const json_t *result);

/* events.c: prints all events, and with --follow those that come, until berthd ends. OK with `reply` NULL, or with
 * berthd's error. */
enum berth_cli_status berth_cli_print_events(FILE *out, const struct berth_connection *connection,
					     const struct berth_call *call, json_t **reply,
					     char error[BERTH_CLI_ERROR_BYTES]);

/* rows.c: a result with an array `key` that comes in pages. Requests all pages; `reply` has all rows, or berthd's
 * error.
 */
enum berth_cli_status berth_cli_request_rows(const struct berth_connection *connection,
					     const struct berth_call *call, const char *key, json_t **reply,
					     char error[BERTH_CLI_ERROR_BYTES]);

/* Likewise, and prints them as a table. OK with `reply` NULL, or with berthd's error. */
enum berth_cli_status berth_cli_print_rows(FILE *out, const struct berth_connection *connection,
					   const struct berth_call *call, const char *key, json_t **reply,
					   char error[BERTH_CLI_ERROR_BYTES]);
/* Whether that is possible: a table in berthd's order. */
bool berth_cli_prints_rows(const struct berth_call *call);

/* The key in a command's result under which its rows come in pages. NULL: the result comes whole. */
const char *berth_cli_rows_key(enum berth_command_index command);

/* views/arrange.c: sorts the rows of a result as --sort says, and removes those that a table does not show. OK, or
 * USAGE with one line in `error`. */
struct berth_column;
void berth_cli_sort(json_t *rows, const struct berth_column *column, bool is_reversed);
enum berth_cli_status berth_cli_arrange(const struct berth_call *call, json_t *result,
					char error[BERTH_CLI_ERROR_BYTES]);

/* explain_file.c: asks for an explanation of each packet of a file. OK: `reply` has them, or berthd's error. */
enum berth_cli_status berth_cli_explain_file(const struct berth_connection *connection,
					     const struct berth_call *call, json_t **reply,
					     char error[BERTH_CLI_ERROR_BYTES]);

/* capture/capture.c: OK with `reply` NULL: all is printed. OK with `reply`: the result, or berthd's error. */
enum berth_cli_status berth_cli_capture(FILE *out, const struct berth_connection *connection,
					const struct berth_call *call, json_t **reply,
					char error[BERTH_CLI_ERROR_BYTES]);

/* wait.c: repeats a `wait` until `key` of its result is true or the timeout has expired. */
enum berth_cli_status berth_cli_request_until(const struct berth_connection *connection,
					      const struct berth_call *call, const char *key, json_t **reply,
					      char error[BERTH_CLI_ERROR_BYTES]);

/* views/table.c: prints an array of objects as aligned columns. */
typedef void berth_cell_fn(const json_t *row, const char *key, char cell[BERTH_CELL_BYTES]);

/* Right-aligned, for numbers; also written as `true`. */
#define BERTH_COLUMN_RIGHT 1U
/* If a line is too long: columns with LEAST are narrowed to that width, and their cells are cut with "..."; if that
 * does not suffice, the column with the largest DROP is left out, and so on. Those with KEEP, which are names, are
 * narrowed only when no column with a DROP is left. */
#define BERTH_COLUMN_KEEP 2U
#define BERTH_COLUMN_LEAST(width) ((unsigned int)(width) << 8)
#define BERTH_COLUMN_DROP(order) ((unsigned int)(order) << 16)

struct berth_column {
	const char *title;
	const char *key;
	berth_cell_fn *cell;
	unsigned int layout; /* 0, or BERTH_COLUMN_... */
};

/* The longest line of a table, in characters; 0, as at first: no limit. */
void berth_cli_table_set_width(int width);
/* Characters of a line: as COLUMNS in the environment says, else the terminal; 80 without either. */
int berth_cli_line_width(FILE *out);

/* A table printed in parts: a later part may widen a column; printed lines stay as they are. */
struct berth_cli_table {
	const struct berth_column *columns;
	size_t n;
	int width[BERTH_TABLE_COLUMNS];
	bool is_hidden[BERTH_TABLE_COLUMNS];
	bool has_titles; /* they are printed */
	char *kept;	 /* cells of rows that wait for the widths of all, each with its final 0 */
	size_t kept_bytes, kept_room, n_kept;
	bool has_failed; /* out of memory */
};

void berth_cli_table_init(struct berth_cli_table *table, const struct berth_column *columns, size_t n);
void berth_cli_table_add(FILE *out, struct berth_cli_table *table, const json_t *rows);
/* Rows of many pages in one table: `keep` takes those of a page as text, `print_kept` prints all and frees them. A
 * row takes 0.1 KiB so; as JSON it takes 5. */
void berth_cli_table_keep(struct berth_cli_table *table, const json_t *rows);
void berth_cli_table_print_kept(FILE *out, struct berth_cli_table *table);
void berth_cli_table_print(FILE *out, const struct berth_column *columns, size_t n, const json_t *rows);

berth_cell_fn berth_cell_plain;	   /* a string, number or boolean; - where it is absent */
berth_cell_fn berth_cell_bytes;	   /* 1.5 GiB */
berth_cell_fn berth_cell_duration; /* seconds as 2d 3h */
berth_cell_fn berth_cell_rate;	   /* 12.3M; the key may be a path */
berth_cell_fn berth_cell_list;	   /* strings with commas between */

/* views/views.c: prints the result of a command; views/show_tables.c has the tables, views/generic.c prints all
 * other results. */
void berth_cli_print(FILE *out, enum berth_command_index command, const json_t *result);
/* True if berthctl ends with FAILURE after this result: not in force, not ready, problems found, or not drained. */
bool berth_cli_is_failure(enum berth_command_index command, const json_t *result);

/* config.c: configurations, and what differs between two. */
void berth_cli_print_change(FILE *out, const json_t *change);
void berth_cli_print_check(FILE *out, const json_t *result);
void berth_cli_print_apply(FILE *out, const json_t *result);
void berth_cli_print_edit(FILE *out, const json_t *result);
void berth_cli_print_undo(FILE *out, const json_t *result);
void berth_cli_print_confirm(FILE *out, const json_t *result);
void berth_cli_print_save(FILE *out, const json_t *result);
void berth_cli_print_configuration(FILE *out, const json_t *result);
void berth_cli_print_diff(FILE *out, const json_t *result);
void berth_cli_print_history(FILE *out, const json_t *result);
/* For a change that is not in force yet. */
void berth_cli_print_pending(FILE *out, const json_t *result);

/* A line for each warning of the result. */
void berth_cli_print_warnings(FILE *out, const json_t *result);

typedef void berth_cli_view_fn(FILE *out, const json_t *result);

/* views/show_services.c */
berth_cli_view_fn berth_cli_print_services;
berth_cli_view_fn berth_cli_print_backends;
/* The columns of a table that --sort can name; NULL: another command. */
const struct berth_column *berth_cli_columns(enum berth_command_index command, size_t *n);

/* views/show_tables.c: NULL for a command without a table. */
berth_cli_view_fn *berth_cli_table_view(enum berth_command_index command);

/* Whether the node is ready, and why not; for views/views.c and views/show_tables.c. */
void berth_cli_print_node(FILE *out, const json_t *result);
void berth_cli_print_explain(FILE *out, const json_t *result);
/* views/explain.c: "tcp 198.51.100.7:4242 -> 203.0.113.10:80, syn, 54 bytes" */
void berth_cli_print_packet(FILE *out, const json_t *packet);
/* The time of day, in microseconds. `time_ns`: since 1970. */
void berth_cli_print_time(FILE *out, json_int_t time_ns);

/* views/generic.c: any JSON value, in the style of YAML. */
void berth_cli_print_generic(FILE *out, const json_t *value);
