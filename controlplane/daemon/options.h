/* SPDX-License-Identifier: BSD-3-Clause */
/* What berthd's command line decides. The strings must outlive the daemon. */
#pragma once

#include "controlplane/engine/engine.h"

struct berth_daemon_options {
	const char *config_path;
	struct berth_engine_paths paths;
	const char *socket_path;
	const char *state_dir; /* NULL: that of the configuration */
	const char *helper;    /* path of berth-helper; NULL: berthd itself talks to the network (unit tests) */
};
