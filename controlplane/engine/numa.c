// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/engine/numa.h"

#include <errno.h>
#include <linux/mempolicy.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "controlplane/util/log.h"

enum {
	WORD_BITS = 8 * sizeof(unsigned long),
};

static int read_node(const char *path)
{
	int node = BERTH_NO_NODE;
	FILE *file = fopen(path, "re");
	if (!file)
		return BERTH_NO_NODE;
	if (fscanf(file, "%d", &node) != 1 || node >= BERTH_MAX_NODES)
		node = BERTH_NO_NODE;
	fclose(file);
	return node;
}

int berth_numa_node_of(const struct berth_interface_config *interface)
{
	/* DPDK also accepts a PCI address without its domain. The second path of an interface is that of virtio. */
	static const char *const pci[] = {"/sys/bus/pci/devices/%.*s/numa_node",
					  "/sys/bus/pci/devices/0000:%.*s/numa_node"};
	static const char *const net[] = {"/sys/class/net/%.*s/device/numa_node",
					  "/sys/class/net/%.*s/device/../numa_node"};
	bool is_device = interface->device[0];
	const char *name = is_device ? interface->device : interface->name;
	int node = BERTH_NO_NODE;
	for (int i = 0; i < 2 && node < 0; i++) {
		char path[256];
		snprintf(path, sizeof(path), is_device ? pci[i] : net[i], (int)strcspn(name, ","), name);
		node = read_node(path);
	}
	return node < 0 ? BERTH_NO_NODE : node;
}

int berth_numa_node(const struct berth_interface_config *interfaces, size_t n)
{
	int common = BERTH_NO_NODE;
	for (size_t i = 0; i < n; i++) {
		int node = berth_numa_node_of(&interfaces[i]);
		if (node == BERTH_NO_NODE || node == common)
			continue;
		if (common != BERTH_NO_NODE) {
			berth_log(
				"the interfaces are on NUMA nodes %d and %d; one instance per node would be faster",
				common, node);
			return BERTH_NO_NODE;
		}
		common = node;
	}
	return common;
}

int berth_numa_prefer(int node)
{
	unsigned long mask[BERTH_MAX_NODES / WORD_BITS] = {0};
	if (node < 0 || node >= BERTH_MAX_NODES)
		return -EINVAL;
	mask[(size_t)node / WORD_BITS] = 1UL << ((size_t)node % WORD_BITS);
	return syscall(SYS_set_mempolicy, MPOL_PREFERRED, mask, BERTH_MAX_NODES + 1UL) ? -errno : 0;
}

int berth_numa_node_of_memory(const void *at)
{
	int node;
	if (!at || syscall(SYS_get_mempolicy, &node, NULL, 0, at, MPOL_F_NODE | MPOL_F_ADDR))
		return BERTH_NO_NODE;
	return node;
}
