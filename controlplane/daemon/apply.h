/* SPDX-License-Identifier: BSD-3-Clause */
/* Apply is a transaction: parse once, validate, stage what can fail, commit what cannot. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "controlplane/util/error.h"

struct berth_config;
struct berth_daemon;

/* Whether the running engine can take a configuration; else the reason is in `error`. */
bool berth_daemon_accepts(const struct berth_daemon *daemon, const struct berth_config *config,
			  char error[BERTH_ERROR_BYTES]);
/*
 * Makes `config`, which it takes over, the configuration: stages all that can fail, then commits. On an error all
 * is as it was: ids, numbers, counters, flows, sessions, health states and the metrics listener. 0: it is
 * committed, and publication.h publishes it. Else -errno with one line in `error`.
 */
int berth_daemon_install(struct berth_daemon *daemon, struct berth_config *config, char error[BERTH_ERROR_BYTES]);
/*
 * Prepares the installation of a configuration with many backends, some milliseconds of it a call, in turns of the
 * loop before the one that installs it. `arg`: the daemon. It changes nothing that is in force. `config` is the
 * caller's, and stays until berth_daemon_end_prepare or an installation. False: no more is to be prepared, or
 * nothing can be. If another configuration comes into force in between it begins again, once.
 */
bool berth_daemon_prepare(void *arg, struct berth_config *config);
/* The parser has these two called. */
void berth_daemon_open_prepare(struct berth_daemon *daemon);
/* What was prepared and not installed is dropped: before another configuration is prepared or installed. */
void berth_daemon_end_prepare(void *arg);
/* What was in force before a configuration with many backends is freed in a later turn of the loop, or now. */
void berth_daemon_free_former(struct berth_daemon *daemon);
/* Parses and installs `text`; `name` is its file in messages. `save`: it also becomes the configuration file, and
 * the former one is kept as FILE.old. -EIO: it is committed but not saved. */
int berth_daemon_apply(struct berth_daemon *daemon, const char *name, const char *text, size_t length, bool save,
		       char error[BERTH_ERROR_BYTES]);
/* The same with what `text` was parsed to, which it takes; NULL: it parses it. */
int berth_daemon_apply_parsed(struct berth_daemon *daemon, const char *name, const char *text, size_t length,
			      struct berth_config *config, bool save, char error[BERTH_ERROR_BYTES]);
/* Counts a configuration that is not installed because its text is invalid. */
void berth_daemon_refuse(struct berth_daemon *daemon);
/* Installs the configuration in force again, with the present answers of DNS. */
int berth_daemon_renew(struct berth_daemon *daemon, char error[BERTH_ERROR_BYTES]);
/* Writes the configuration in force to its file, as an apply does. */
int berth_daemon_save(struct berth_daemon *daemon, char error[BERTH_ERROR_BYTES]);
