// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/interface/cores.h"

#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

/* A list as "0,8" or "0-1". */
static void read_list(FILE *file, cpu_set_t *set)
{
	unsigned int first, last;
	while (fscanf(file, "%u", &first) == 1) {
		last = first;
		int next = fgetc(file);
		if (next == '-') {
			if (fscanf(file, "%u", &last) != 1)
				return;
			next = fgetc(file);
		}
		for (unsigned int cpu = first; cpu <= last && cpu < CPU_SETSIZE; cpu++)
			CPU_SET(cpu, set);
		if (next != ',')
			return;
	}
}

void berth_cores_siblings(const char *sysfs, unsigned int cpu, cpu_set_t *siblings)
{
	char path[256];
	CPU_ZERO(siblings);
	CPU_SET(cpu, siblings);
	snprintf(path, sizeof(path), "%s/devices/system/cpu/cpu%u/topology/thread_siblings_list", sysfs, cpu);
	FILE *file = fopen(path, "re");
	if (!file)
		return;
	read_list(file, siblings);
	fclose(file);
}

int berth_cores_node(const char *sysfs, unsigned int cpu)
{
	char path[256];
	for (int node = 0; node < BERTH_CORES_MAX_NODES; node++) {
		snprintf(path, sizeof(path), "%s/devices/system/node/node%d/cpu%u", sysfs, node, cpu);
		if (access(path, F_OK) == 0)
			return node;
	}
	return -1;
}

/* Whether no CPU before it in `set` is a thread of the same core. */
static bool is_first_thread(const char *sysfs, unsigned int cpu, const cpu_set_t *set)
{
	cpu_set_t siblings;
	berth_cores_siblings(sysfs, cpu, &siblings);
	for (unsigned int before = 0; before < cpu; before++)
		if (CPU_ISSET(before, &siblings) && CPU_ISSET(before, set))
			return false;
	return true;
}

uint32_t berth_cores_order(const char *sysfs, const cpu_set_t *set, int node, uint32_t order[CPU_SETSIZE])
{
	uint8_t rank[CPU_SETSIZE];
	uint32_t n = 0;
	for (unsigned int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, set))
			continue;
		rank[cpu] = is_first_thread(sysfs, cpu, set);
		if (node < 0 || berth_cores_node(sysfs, cpu) == node)
			rank[cpu] += 2;
	}
	for (uint8_t wanted = 0; wanted <= 3; wanted++)
		for (unsigned int cpu = 0; cpu < CPU_SETSIZE; cpu++)
			if (CPU_ISSET(cpu, set) && rank[cpu] == wanted)
				order[n++] = cpu;
	return n;
}
