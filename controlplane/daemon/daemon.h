/* SPDX-License-Identifier: BSD-3-Clause */
/* berthd: opens all parts, runs one event loop, closes them. Called by main.c alone, from berthd's one thread. */
#pragma once

#include "controlplane/daemon/options.h"
#include "controlplane/util/error.h"
#include "dataplane/interface/process.h"

struct berth_daemon;

/* Opens all parts and publishes the configuration. BERTH_EXIT_OK with `daemon` set, or another exit code with NULL
 * and one line in `error`. */
enum berth_exit berth_daemon_open(const struct berth_daemon_options *options, struct berth_daemon **daemon,
				  char error[BERTH_ERROR_BYTES]);
/* Runs until a signal or a command ends it. */
enum berth_exit berth_daemon_run(struct berth_daemon *daemon);
/* Closes and frees it. Forwarding goes on unless a command asked to stop it. NULL is allowed. */
void berth_daemon_close(struct berth_daemon *daemon);
