/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How berthd tells a berth-dpdk that systemd has started its options: one message with its words, each ending with
 * a zero byte, from the program's path on. The answer is the process's id (a pid_t). The connection ends with the
 * process.
 */
#pragma once

#define BERTH_ACTIVATION_OPTION "--activated"

enum {
	BERTH_ACTIVATION_FD = 3, /* sd_listen_fds(3) */
	BERTH_ACTIVATION_BYTES = 16384,
	BERTH_ACTIVATION_WORDS = 64,
};
