/* SPDX-License-Identifier: BSD-3-Clause */
/* Makes a configuration the one in force. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "controlplane/util/error.h"

struct berth_config;
struct berth_daemon;

/* Whether a configuration can be applied to the running engine; else the reason is in `error`. */
bool berth_daemon_accepts(const struct berth_daemon *daemon, const struct berth_config *config,
			  char error[BERTH_ERROR_BYTES]);
/* Installs berthd's first configuration; takes it over. */
int berth_daemon_install(struct berth_daemon *daemon, struct berth_config *config, char error[BERTH_ERROR_BYTES]);
/*
 * Makes `text` the configuration, all of it or nothing; with `save` it also becomes the configuration file, the old
 * one kept beside it as FILE.old. 0 or -errno with one line in `error`.
 */
int berth_daemon_apply(struct berth_daemon *daemon, const char *name, const char *text, size_t length, bool save,
		       char error[BERTH_ERROR_BYTES]);
/* Applies the configuration in force again, with what DNS says now. 0; -ENOSPC: nothing has changed; or -errno like
 * berth_daemon_apply; one line in `error`. */
int berth_daemon_renew(struct berth_daemon *daemon, char error[BERTH_ERROR_BYTES]);
