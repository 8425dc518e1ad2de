// SPDX-License-Identifier: BSD-3-Clause
/* Findings about the CPUs of the workers of the DPDK engine, and about memory and NICs that are far from them. */
#include "dataplane/interface/cores.h"
#include "controlplane/doctor/system.h"
#include "controlplane/engine/numa.h"

/* The CPU of a worker; -1: it has none for itself. */
static int cpu_of(const json_t *cpus, size_t worker)
{
	const json_t *cpu = json_array_get(cpus, worker);
	const json_int_t number = json_is_integer(cpu) ? json_integer_value(cpu) : -1;
	return number < CPU_SETSIZE ? (int)number : -1;
}

/* The first worker after `worker` that runs on another thread of its core; `n`: there is none. */
static size_t sibling_of(const char *sysfs, const json_t *cpus, size_t worker, size_t n)
{
	cpu_set_t siblings;
	size_t other = worker + 1;
	berth_cores_siblings(sysfs, (unsigned int)cpu_of(cpus, worker), &siblings);
	while (other < n && (cpu_of(cpus, other) < 0 || !CPU_ISSET(cpu_of(cpus, other), &siblings)))
		other++;
	return other;
}

void berth_doctor_cpus(const char *sysfs, const json_t *status, int tables_node, json_t *checks)
{
	const json_t *cpus = json_object_get(status, "cpus");
	const size_t n = json_array_size(cpus);
	for (size_t i = 0; i < n; i++) {
		const int cpu = cpu_of(cpus, i);
		if (cpu < 0)
			continue;
		const size_t other = sibling_of(sysfs, cpus, i, n);
		if (other < n)
			berth_doctor_addf(
				checks, "engine", BERTH_DOCTOR_NOTE,
				"set fewer `dpdk: {workers: ...}`, or let berthd use more cores "
				"(CPUAffinity= of its unit); then: berthctl shutdown; systemctl start berthd",
				"workers %zu and %zu are on CPUs %d and %d, two threads of one core: each is "
				"slower than with a core of its own",
				i, other, cpu, cpu_of(cpus, other));
		const int node = berth_cores_node(sysfs, (unsigned int)cpu);
		if (node >= 0 && tables_node >= 0 && node != tables_node)
			berth_doctor_addf(
				checks, "engine", BERTH_DOCTOR_NOTE,
				"let berthd use CPUs of the tables' node (CPUAffinity= of its unit); then: "
				"berthctl shutdown; systemctl start berthd",
				"worker %zu is on CPU %d of NUMA node %d, and the tables are in memory of node "
				"%d: lookups are slower",
				i, cpu, node, tables_node);
	}
}

void berth_doctor_nodes(const struct berth_daemon_state *state, const json_t *status, json_t *checks)
{
	const struct berth_config *config = state->model->config;
	const int tables_node = berth_numa_node_of_memory(state->engine->image.flows);
	if (!json_object_get(status, "cpus"))
		return;
	berth_doctor_cpus("/sys", status, tables_node, checks);
	for (size_t i = 0; i < config->n_interfaces; i++) {
		const int node = berth_numa_node_of(&config->interfaces[i]);
		if (node != BERTH_NO_NODE && tables_node != BERTH_NO_NODE && node != tables_node)
			berth_doctor_addf(
				checks, config->interfaces[i].name, BERTH_DOCTOR_NOTE,
				"use NICs of one node, and an instance of berth for each node",
				"is on NUMA node %d, and the tables are in memory of node %d: its packets "
				"take longer",
				node, tables_node);
	}
}
