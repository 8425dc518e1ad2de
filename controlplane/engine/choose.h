/* SPDX-License-Identifier: BSD-3-Clause */
/* The engine that a configuration asks for. */
#pragma once

#include "controlplane/daemon/daemon.h"

/* Chooses, and opens it with tables as large as the configuration says; fills daemon->engine and engine_why. An
 * enum berth_exit, with one line in `error`. */
int berth_engine_open(struct berth_daemon *daemon, const struct berth_config *config,
		      char error[BERTH_ERROR_BYTES]);
