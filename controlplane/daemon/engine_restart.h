/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Follows a restart of the engine that a configuration asked for: if the engine does not start with it, the former
 * configuration is applied again, and the command that waits says why. Also keeps how long packets stopped at the
 * last restart in the file engine.json of the state directory.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "controlplane/util/error.h"

struct berth_config;
struct berth_daemon;

/* Puts a configuration in force: berth_daemon_install. */
typedef int berth_engine_restart_install_fn(struct berth_daemon *daemon, struct berth_config *config,
					    char error[BERTH_ERROR_BYTES]);

/* Reads the file. The engine and the state directory are open. -ENOMEM. */
int berth_engine_restart_open(struct berth_daemon *daemon);
void berth_engine_restart_close(struct berth_daemon *daemon);

/* The engine restarts with another configuration, applied just now. Takes over `former`, the one before, which
 * `install` applies again; of changes that follow each other the first one's is kept. */
void berth_engine_restart_await(struct berth_daemon *daemon, struct berth_config *former,
				berth_engine_restart_install_fn *install);
/* `returned` is called whenever the former configuration is in force again, and its file restored. */
void berth_engine_restart_set_returned(struct berth_daemon *daemon, void (*returned)(struct berth_daemon *daemon));
/* Whether such a restart is under way. */
bool berth_engine_restart_is_awaited(const struct berth_daemon *daemon);
/* Another engine runs in place of the one that is awaited. */
void berth_engine_restart_forget(struct berth_daemon *daemon);
/* The configuration file is about to be replaced by the one that is awaited: keeps its content. */
void berth_engine_restart_keep_file(struct berth_daemon *daemon);
/* Writes the file if packets have stopped since. */
void berth_engine_restart_save(struct berth_daemon *daemon);
