/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Limits and defaults of what berthd passes to berth-dpdk on its command line. berthd checks the configuration
 * against them, berth-dpdk its options.
 */
#pragma once

#include "dataplane/core/limits.h"

enum {
	BERTH_IFNAME_BYTES = 16,   /* an interface name and its NUL, as the kernel's IFNAMSIZ */
	BERTH_DEVICE_BYTES = 128,  /* a PCI address or a DPDK vdev with its arguments, and its NUL */
	BERTH_INSTANCE_BYTES = 48, /* an instance name and its NUL */
	BERTH_DEFAULT_QUEUES = 1,
	BERTH_MAX_QUEUES = 255, /* receive queues of a port, and DPDK workers: each polls one queue of a port */
	BERTH_MIN_MTU = 576,
	BERTH_MAX_MTU = 65535,
	BERTH_DEFAULT_MEMORY_MB = 128, /* packet buffers, MiB */
	BERTH_MIN_MEMORY_MB = 16,
	BERTH_MAX_MEMORY_MB = 1 << 20,
	BERTH_DPDK_OVERHEAD_MB = 32, /* memory of DPDK besides: rings, tables of ports, caches of the pool */
	BERTH_DEFAULT_RING = 2048,   /* descriptors of a queue; docs/configuration.md has the measurement */
	BERTH_MIN_RING = 64,
	BERTH_MAX_RING = 32768,
	BERTH_MAX_NODES = 1024, /* NUMA nodes, as in Linux */
};
