/* SPDX-License-Identifier: BSD-3-Clause */
/* What commands and signals can change. */
#pragma once

#include "controlplane/cmd/cmd.h"

extern const struct berth_cmd_actions berth_daemon_actions;

/* Ends the loop; with `stop` the engine ends with it, else forwarding goes on. */
void berth_daemon_exit(struct berth_daemon *daemon, bool stop);
