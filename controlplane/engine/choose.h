/* SPDX-License-Identifier: BSD-3-Clause */
/* Chooses the engine of a configuration, and opens it. */
#pragma once

#include "controlplane/engine/engine.h"
#include "dataplane/interface/process.h"

/* Whether it is the DPDK engine that a configuration asks for. */
bool berth_engine_is_dpdk(const struct berth_config *config);
/* The bytes that the tables of the DPDK engine that it asks for take of huge pages: whole ones for each file. 0:
 * another engine. */
uint64_t berth_engine_huge_table_bytes(const struct berth_config *config);
/* The size of the tables that a configuration asks for. */
struct berth_geometry berth_engine_geometry(const struct berth_config *config);
/* Whether the configuration has an engine of the same kind. Tables change their size with such a one only. */
bool berth_engine_keeps_kind(const struct berth_engine *engine, const struct berth_config *config);
/* Whether a configuration can take the place of the one in force, `now`, with its tables; else the reason, and what
 * would be lost, in `error`. */
bool berth_engine_accepts(const struct berth_engine *engine, const struct berth_config *now,
			  const struct berth_config *config, char error[BERTH_ERROR_BYTES]);
/* Whether the engine and its tables are those that a configuration asks for. Its options and interfaces may differ
 * (ops->compare). */
bool berth_engine_fits(const struct berth_engine *engine, const struct berth_config *config);
/* How it would be put in force. `pause_ms`: about how long packets would stop. */
enum berth_engine_change berth_engine_compare(const struct berth_engine *engine, const struct berth_config *config,
					      uint32_t *pause_ms);
/*
 * Opens the engine that the configuration names; `engine: auto` takes dpdk where every interface names a device
 * that DPDK drives, else xdp. Its tables are as large as the configuration's limits, and hold the flows and
 * sessions of the tables that are found (kept.h). BERTH_EXIT_OK with `engine` set, or BERTH_EXIT_PERMISSION or
 * BERTH_EXIT_ENGINE with one line in `error`.
 */
enum berth_exit berth_engine_open(const struct berth_config *config, const struct berth_engine_paths *paths,
				  struct berth_engine **engine, char error[BERTH_ERROR_BYTES]);
/* Closes it (ops->close) and its record. */
void berth_engine_close(struct berth_engine *engine, const struct berth_engine_paths *paths, bool stop);

/* Starts forwarding (ops->start). If an earlier berthd of the instance left an engine of another kind: ends that
 * one first, takes over its flows and sessions, and removes it when this one has started. */
int berth_engine_start(struct berth_engine *engine, const struct berth_engine_paths *paths, struct event_base *base,
		       char error[BERTH_ERROR_BYTES]);

/* Opens a second engine, for another configuration, while `former` runs. When it starts it takes over the flows and
 * sessions of `former`, which does not change before. `paths`: those of `former`, with `is_turned_back` and
 * `is_former_empty` set. 0, or -errno with one line in `error`. */
int berth_engine_open_beside(struct berth_engine *former, const struct berth_config *config,
			     const struct berth_engine_paths *paths, struct berth_engine **engine,
			     char error[BERTH_ERROR_BYTES]);
/* Closes one that has not started, or failed to start, and removes what was made for it. */
void berth_engine_close_beside(struct berth_engine *engine, struct berth_engine *former,
			       const struct berth_engine_paths *paths);
/* Starts the engine again with its tables, after the start of another one in its place has failed. */
int berth_engine_resume(struct berth_engine *engine, const struct berth_engine_paths *paths,
			struct event_base *base, char error[BERTH_ERROR_BYTES]);
