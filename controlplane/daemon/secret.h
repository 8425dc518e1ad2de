/* SPDX-License-Identifier: BSD-3-Clause */
/* The instance's secret: from the file that the configuration names, else from the state directory, else made once.
 */
#pragma once

#include "controlplane/util/error.h"

struct berth_config;
struct berth_daemon;

/* Before the engine opens its tables, after the state directory is open: reads the secret, if there is one, into
 * the paths of the engine. -EINVAL with one line in `error`: the file that the configuration names cannot be used.
 * A damaged file of the state directory is kept aside and reported. */
int berth_daemon_secret_read(struct berth_daemon *daemon, const struct berth_config *config,
			     char error[BERTH_ERROR_BYTES]);
/* Writes a secret that the tables have and no file has yet. Returns 0, or -errno with one line in `error`; then a
 * later call tries again. */
int berth_daemon_secret_keep(struct berth_daemon *daemon, char error[BERTH_ERROR_BYTES]);
