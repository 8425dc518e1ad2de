/* SPDX-License-Identifier: BSD-3-Clause */
/* The NUMA node of the NICs, and memory on that node. No effect on a host with one node. */
#pragma once

#include <stddef.h>

#include "controlplane/config/config.h"

/*
 * The common NUMA node of all interfaces, from sysfs by PCI address or interface name. BERTH_NO_NODE: sysfs has
 * none, or the interfaces are on different nodes, which is logged.
 */
enum {
	BERTH_NO_NODE = -1
};
int berth_numa_node(const struct berth_interface_config *interfaces, size_t n);

/*
 * Makes this process and its children prefer memory of `node` for pages that they touch first. (mbind(2) on the
 * image alone would not apply to the pages that fallocate(2) takes from hugetlbfs, on Linux 6.1.) 0 or -errno;
 * -EPERM in containers without the permission.
 */
int berth_numa_prefer(int node);
