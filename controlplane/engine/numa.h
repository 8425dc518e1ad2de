/* SPDX-License-Identifier: BSD-3-Clause */
/* The NUMA node of the NICs, and memory on that node. No effect on a host with one node. */
#pragma once

#include <stddef.h>

#include "controlplane/config/config.h"

enum {
	BERTH_NO_NODE = -1
};

/* The NUMA node of an interface, from sysfs by PCI address or interface name. BERTH_NO_NODE: sysfs has none. */
int berth_numa_node_of(const struct berth_interface_config *interface);
/* The common node of all interfaces. BERTH_NO_NODE: none is known, or they are on different nodes, which is logged.
 */
int berth_numa_node(const struct berth_interface_config *interfaces, size_t n);
/* The node of the memory at an address. BERTH_NO_NODE: not known. */
int berth_numa_node_of_memory(const void *at);

/*
 * Makes this process and its children prefer memory of `node` for pages that they touch first. (mbind(2) on the
 * image alone would not apply to the pages that fallocate(2) takes from hugetlbfs, on Linux 6.1.) 0 or -errno;
 * -EPERM in containers without the permission.
 */
int berth_numa_prefer(int node);
