/* SPDX-License-Identifier: BSD-3-Clause */
/* What memory the host has left, by /proc/meminfo. */
#pragma once

#include <stdint.h>

#define BERTH_MEMINFO "/proc/meminfo"

struct berth_memory {
	uint64_t available_mb;	    /* without swapping; 0: not known */
	uint64_t free_hugepages_mb; /* neither in use nor reserved */
	uint64_t hugepages_mb;	    /* all that the host has */
};

/* `path`: BERTH_MEMINFO. Zeros if it cannot be read. */
struct berth_memory berth_memory_read(const char *path);
/*
 * The same, when so many MiB of hugepages are free, or `timeout_ms` is over. The kernel frees the buffers of AF_XDP
 * sockets some time after the end of their process. Returns at once if the host has less in all.
 */
struct berth_memory berth_memory_await_hugepages(const char *path, uint64_t needed_mb, uint32_t timeout_ms);
