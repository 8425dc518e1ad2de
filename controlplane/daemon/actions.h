/* SPDX-License-Identifier: BSD-3-Clause */
/* What commands and signals can change. */
#pragma once

#include "controlplane/cmd/cmd.h"

extern const struct berth_cmd_actions berth_daemon_actions;
