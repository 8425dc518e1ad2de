/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * berthctl: words on a command line -> one request to berthd -> a table, or the result as JSON. What commands
 * there are stands in api/commands.h and nowhere here. Links nothing of the daemon.
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

enum berth_cli_exit {
	BERTH_EXIT_DONE,
	BERTH_EXIT_REFUSED,
	BERTH_EXIT_USAGE,
	BERTH_EXIT_CONFIG,
	BERTH_EXIT_UNREACHABLE,
};

/* parse.c: what a command line asks for. */
struct berth_call {
	enum berth_command_index command;
	json_t *arguments; /* an object */
	bool help;	   /* asks how the command is used; arguments are not looked at */
	bool json;
};

/* DONE with `call` filled, its arguments the caller's; else why not, with one line in `error`. Reads the files
 * that are named. */
enum berth_cli_exit berth_cli_parse(int argc, char *const *argv, struct berth_call *call,
				    char error[BERTH_CLI_ERROR_BYTES]);

/* help.c */
void berth_cli_usage(FILE *out);
void berth_cli_help(FILE *out, const struct berth_command *command);
/* One line about words that are no command: what they could have been. */
void berth_cli_suggest(int argc, char *const *argv, char error[BERTH_CLI_ERROR_BYTES]);

/* connect.c: all return DONE or UNREACHABLE with one line in `error` that says what to do. */
struct berth_connection {
	int fd;
	unsigned int timeout_s; /* that berthd may be silent */
	const char *path;
};

enum berth_cli_exit berth_cli_connect(struct berth_connection *connection, const char *path, unsigned int timeout_s,
				      char error[BERTH_CLI_ERROR_BYTES]);
enum berth_cli_exit berth_cli_ask(const struct berth_connection *connection, const char *command, json_t *arguments,
				  json_t **answer, char error[BERTH_CLI_ERROR_BYTES]);
/* Waits until berthd ends the connection. */
void berth_cli_wait_end(const struct berth_connection *connection);
void berth_cli_disconnect(struct berth_connection *connection);

/* sessions.c: what comes in pages. */
bool berth_cli_has_pages(enum berth_command_index command);
/* Asks for all pages, or as many as hold `limit`. DONE where berthd answered: with `answer` NULL all of it is
 * printed, else that is what there is to say at the end, or a refusal. */
enum berth_cli_exit berth_cli_ask_pages(FILE *out, const struct berth_connection *connection,
					const struct berth_call *call, json_t **answer,
					char error[BERTH_CLI_ERROR_BYTES]);

void berth_cli_show_session(FILE *out, const json_t *result);
void berth_cli_show_cleared(FILE *out, const json_t *result);

/* leaving.c: asks again and again, until it is so or its time is up. */
enum berth_cli_exit berth_cli_ask_until(const struct berth_connection *connection, const struct berth_call *call,
					json_t **answer, char error[BERTH_CLI_ERROR_BYTES]);
void berth_cli_show_wait(FILE *out, const json_t *result);
void berth_cli_show_plan(FILE *out, const json_t *result);

/* table.c: an array of objects as lines of text. */
typedef void berth_cell_fn(const json_t *row, const char *key, char cell[BERTH_CELL_BYTES]);

struct berth_column {
	const char *title;
	const char *key;
	berth_cell_fn *cell;
	bool right; /* numbers stand under each other's ends */
};

/* A table that comes in parts: its columns grow, but what was printed stays as it is. */
struct berth_cli_table {
	const struct berth_column *columns;
	size_t n;
	int width[BERTH_TABLE_COLUMNS];
	bool begun; /* its titles are printed */
};

void berth_cli_table_init(struct berth_cli_table *table, const struct berth_column *columns, size_t n);
void berth_cli_table_add(FILE *out, struct berth_cli_table *table, const json_t *rows);
void berth_cli_table_print(FILE *out, const struct berth_column *columns, size_t n, const json_t *rows);

berth_cell_fn berth_cell_plain;	   /* a string, number or boolean as it is; - where there is none */
berth_cell_fn berth_cell_bytes;	   /* 1.5 GiB */
berth_cell_fn berth_cell_duration; /* of seconds: 2d 3h */
berth_cell_fn berth_cell_list;	   /* strings, with commas between */

/* show.c, and any.c for what has no view of its own */
void berth_cli_show(FILE *out, enum berth_command_index command, const json_t *result);
/* Whether a result that came as asked says that something is wrong: berthctl ends with 1 then. */
bool berth_cli_has_fault(enum berth_command_index command, const json_t *result);
/* Anything at all, in the manner of YAML. */
void berth_cli_show_any(FILE *out, const json_t *value);
