/* SPDX-License-Identifier: BSD-3-Clause */
/* Which NUMA node the NICs are on, and memory of it. On a machine of one node all of it is without effect. */
#pragma once

#include <stddef.h>

#include "controlplane/config/config.h"

/*
 * The node that all interfaces' devices are on, by PCI address or by the kernel's interface, as sysfs has it.
 * BERTH_NO_NODE: none has one that is known, or not all have the same (which is logged).
 */
enum {
	BERTH_NO_NODE = -1
};
int berth_numa_node(const struct berth_interface_config *interfaces, size_t n);

/*
 * Memory that this process and the programs that it starts touch first comes from `node` from now on, while there
 * is any. (mbind(2) on the mapping would say it of the image alone, but does not hold for the pages that
 * fallocate(2) takes from hugetlbfs, seen on Linux 6.1.) 0 or -errno: -EPERM in containers that forbid it.
 */
int berth_numa_prefer(int node);
