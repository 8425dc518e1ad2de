/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Changes of the configuration by operators: each is in the history, one may wait for a confirmation, and none
 * overwrites what others have written to the configuration file meanwhile. apply.h does the change itself.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "controlplane/util/error.h"

struct berth_cmd_apply;
struct berth_config;
struct berth_daemon;

/* The state directory is open. -ENOMEM. */
int berth_config_history_open(struct berth_daemon *daemon);
void berth_config_history_close(struct berth_daemon *daemon);

/* The configuration to start with: of one that waits for its confirmation, else `config`, which was read from its
 * file. Takes over `config`. */
struct berth_config *berth_config_history_resume(struct berth_daemon *daemon, struct berth_config *config);
/* berthd forwards with it: adds it to the history, unless it is the newest entry. */
void berth_config_history_start(struct berth_daemon *daemon);
/* The content of the configuration file, as berthd has just read it. */
void berth_config_history_read_file(struct berth_daemon *daemon, const char *text, size_t length);

/* The actions of commands: cmd.h. */
int berth_config_history_apply(struct berth_daemon *daemon, const struct berth_cmd_apply *apply,
			       char error[BERTH_ERROR_BYTES]);
int berth_config_history_undo(struct berth_daemon *daemon, size_t steps, struct berth_cmd_apply *apply,
			      char error[BERTH_ERROR_BYTES]);
int berth_config_history_confirm(struct berth_daemon *daemon, bool *is_saved, char error[BERTH_ERROR_BYTES]);
int berth_config_history_save(struct berth_daemon *daemon, bool force, char error[BERTH_ERROR_BYTES]);
/* Applies the configuration file again, as a signal asks for; a configuration that waits for a confirmation ends.
 * `config`: what `text` was parsed to, which this takes; NULL in it: it is invalid, as the line in `error` says. */
int berth_config_history_reload(struct berth_daemon *daemon, const char *text, size_t length,
				struct berth_config **config, char error[BERTH_ERROR_BYTES]);
