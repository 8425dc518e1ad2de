/* SPDX-License-Identifier: BSD-3-Clause */
/* Chooses the engine of a configuration, and opens it. */
#pragma once

#include "controlplane/engine/engine.h"
#include "dataplane/interface/process.h"

/* Whether the running engine can take a configuration with its tables kept; else the reason, and what would be
 * lost, in `error`. */
bool berth_engine_accepts(const struct berth_engine *engine, const struct berth_config *now,
			  const struct berth_config *config, char error[BERTH_ERROR_BYTES]);
/* Before the engine starts: ends engines of other kinds that an earlier berthd of the instance left, and takes over
 * their flows and sessions. */
void berth_engine_take_over(struct berth_engine *engine, const struct berth_engine_paths *paths);
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
