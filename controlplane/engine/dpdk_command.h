/* SPDX-License-Identifier: BSD-3-Clause */
/* The command line of berth-dpdk. */
#pragma once

#include "controlplane/config/config.h"

enum {
	BERTH_DPDK_MAX_ARGS = 64,
	BERTH_DPDK_ARG_BYTES = 256,
};

struct berth_dpdk_command {
	char text[BERTH_DPDK_MAX_ARGS][BERTH_DPDK_ARG_BYTES];
	char *argv[BERTH_DPDK_MAX_ARGS + 1]; /* into `text`; NULL after the last */
	int argc;
};

struct berth_dpdk_command_paths {
	const char *program;
	const char *instance;
	const char *image;
	const char *run_dir;
};

/* Fills `command`, which stays where it is. `node`: the interfaces' NUMA node, or BERTH_NO_NODE. */
void berth_dpdk_command_make(struct berth_dpdk_command *command, const struct berth_dpdk_command_paths *paths,
			     const struct berth_config *config, int node);
