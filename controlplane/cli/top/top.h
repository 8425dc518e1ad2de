/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `top`: services, backends, workers or drops, live on a terminal. top.c has keys and the loop, views.c what a view
 * shows, screen.c the terminal.
 */
#pragma once

#include "controlplane/cli/cli.h"

enum berth_top_view {
	BERTH_TOP_SERVICES,
	BERTH_TOP_BACKENDS,
	BERTH_TOP_WORKERS,
	BERTH_TOP_DROPS,
	BERTH_TOP_VIEWS,
};

/* What a page is made of. */
struct berth_top_sample {
	json_t *engine; /* result of show engine */
	json_t *rows;	/* of the view */
	double at_s;	/* CLOCK_MONOTONIC */
};

/* views.c */
const char *berth_top_name(enum berth_top_view view);
const struct berth_column *berth_top_columns(enum berth_top_view view, size_t *n);
/* The column by which a view is sorted at first. */
size_t berth_top_first_order(enum berth_top_view view);
/* Asks berthd. `former`: of the same view, for what is the difference of two samples; without rows for the first
 * one. OK, and the caller clears the sample; else the exit status with one line in `error`. */
enum berth_cli_status berth_top_take(const struct berth_connection *connection, enum berth_top_view view,
				     const struct berth_top_sample *former, struct berth_top_sample *sample,
				     char error[BERTH_CLI_ERROR_BYTES]);
void berth_top_clear(struct berth_top_sample *sample);

/* screen.c: the terminal. Between open and close keys are read as they are pressed, and nothing is echoed; close is
 * also done when a signal ends the process. */
enum berth_top_key {
	BERTH_TOP_KEY_NONE, /* the time is over, or the size has changed */
	BERTH_TOP_KEY_QUIT, /* q, a signal, or the end of input */
	BERTH_TOP_KEY_LEFT,
	BERTH_TOP_KEY_RIGHT,
	BERTH_TOP_KEY_UP,
	BERTH_TOP_KEY_DOWN,
	BERTH_TOP_KEY_OTHER, /* `character` */
};

/* False: standard input or output is no terminal. */
bool berth_top_screen_open(void);
void berth_top_screen_close(void);
void berth_top_screen_size(int *lines, int *columns);
/* Replaces what is on the screen by the first lines of a text that fit. */
void berth_top_screen_show(const char *text);
enum berth_top_key berth_top_screen_key(int timeout_ms, char *character);

/* top.c: `top [--once] [VIEW]`. */
enum berth_cli_status berth_cli_top(const struct berth_cli_options *options, int argc, char *const *argv);
