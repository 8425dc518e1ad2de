/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Another engine in place of the running one, for a configuration that asks for other tables or another kind of
 * engine. The next one is opened and published beside the running one, takes over its flows and sessions, and
 * starts; if it does not start, the former one goes on. All else of berthd stays. Used by apply.c alone.
 */
#pragma once

#include <stdbool.h>

#include "controlplane/util/error.h"

struct berth_config;
struct berth_daemon;
struct berth_engine;
struct berth_generation;
struct berth_load;
struct berth_model;
struct berth_publisher;
struct berth_scan;

struct berth_engine_exchange {
	struct berth_engine *engine; /* NULL: the running one stays */
	struct berth_publisher *publisher;
	struct berth_scan *scan;
	struct berth_load *load;
};

enum berth_exchange_way {
	BERTH_EXCHANGE_PLAIN,
	/* With the flow table of the former size, which takes the place of the larger one: the same once more
	 * undoes it. */
	BERTH_EXCHANGE_TURNED,
	/* As a plain one would be after a turn. It is not started. */
	BERTH_EXCHANGE_TRIAL,
};

/* Whether flows are in a former table that is smaller than the table, and another size is asked for: the table must
 * be turned back to the former size before, where a scan can put all of them. */
bool berth_engine_exchange_needs_turn(const struct berth_daemon *daemon, const struct berth_config *config);
/* Opens the next engine. 0, or -errno with one line in `error` and nothing open. */
int berth_engine_exchange_open(struct berth_daemon *daemon, struct berth_engine_exchange *exchange,
			       const struct berth_config *config, enum berth_exchange_way way,
			       char error[BERTH_ERROR_BYTES]);
/* Publishes the first generation of the next engine, for the staged model, and starts the engine. 0, or -errno with
 * one line in `error`, and the former engine runs; if that fails too, berthd ends. */
int berth_engine_exchange_start(struct berth_daemon *daemon, struct berth_engine_exchange *exchange,
				const struct berth_model *model, const struct berth_generation *generation,
				char error[BERTH_ERROR_BYTES]);
/* After the start: the next engine is berthd's. Cannot fail. */
void berth_engine_exchange_commit(struct berth_daemon *daemon, struct berth_engine_exchange *exchange);
void berth_engine_exchange_drop(struct berth_daemon *daemon, struct berth_engine_exchange *exchange);
