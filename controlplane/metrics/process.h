/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What this process takes of the host, read from the kernel. A figure that cannot be read is 0.
 */
#pragma once

#include <stdint.h>

struct berth_process_usage {
	uint64_t cpu_us;
	uint64_t memory_bytes;
	uint64_t open_fds;
	uint64_t max_fds;
};

void berth_process_usage(struct berth_process_usage *usage);
