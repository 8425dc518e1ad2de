/* SPDX-License-Identifier: BSD-3-Clause */
/* The command line of berth-dpdk. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "controlplane/config/config.h"
#include "controlplane/util/error.h"

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

/* Whether two commands have the same options; the path of the program may differ. */
bool berth_dpdk_command_equals(const struct berth_dpdk_command *a, const struct berth_dpdk_command *b);
void berth_dpdk_command_copy(struct berth_dpdk_command *to, const struct berth_dpdk_command *from);
/* Whether two commands have ports of the same names in the same order. */
bool berth_dpdk_command_has_same_ports(const struct berth_dpdk_command *a, const struct berth_dpdk_command *b);
/* The words of a process; none if it cannot be read. */
void berth_dpdk_command_read(struct berth_dpdk_command *command, pid_t pid);
/* Whether this word is in the command line of a running process. */
bool berth_dpdk_command_has_word(pid_t pid, const char *word);
/* Whether a running process was started with these options (/proc/PID/cmdline), and runs the same build of the
 * program (/proc/PID/exe). False with the first difference in `difference`. */
bool berth_dpdk_command_is_running(const struct berth_dpdk_command *command, pid_t pid,
				   char difference[BERTH_ERROR_BYTES]);
