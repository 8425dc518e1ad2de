/* SPDX-License-Identifier: BSD-3-Clause */
/* Which CPUs are threads of one core, and to which NUMA node a CPU belongs, by sysfs. berth-dpdk and berthd. */
#pragma once

#include <sched.h>
#include <stdint.h>

enum {
	BERTH_CORES_MAX_NODES = 64,
};

/* Fills `siblings` with all threads of the core of `cpu`, itself too; with `cpu` alone if sysfs does not say it.
 * `sysfs`: "/sys". */
void berth_cores_siblings(const char *sysfs, unsigned int cpu, cpu_set_t *siblings);

/* The NUMA node of a CPU; -1: not known. */
int berth_cores_node(const char *sysfs, unsigned int cpu);

/* Lists the CPUs of `set`, those last that are best for workers: on `node` (-1: any), and of each core one thread.
 * Returns their number. */
uint32_t berth_cores_order(const char *sysfs, const cpu_set_t *set, int node, uint32_t order[CPU_SETSIZE]);
