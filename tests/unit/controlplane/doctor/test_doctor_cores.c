// SPDX-License-Identifier: BSD-3-Clause
/* Which CPUs workers get, and findings about those that they have, on a tree of files like sysfs: two nodes of two
 * cores with two threads each. */
#include <stdio.h>
#include <stdlib.h>

#include "controlplane/doctor/system.h"
#include "dataplane/interface/cores.h"
#include "tests/support/unit.h"

enum {
	CPUS = 8,
};

static char root[] = "/tmp/berth-sysfs-XXXXXX";

/* CPUs 0, 1, 4 and 5 are on node 0. The list has both forms of the kernel. */
static int set_up(void **state)
{
	(void)state;
	static const char *const siblings[CPUS] = {"0,4", "1,5", "2-3", "2-3", "0,4", "1,5", "6-7", "6-7"};
	char command[64];
	assert_non_null(mkdtemp(root));
	snprintf(command, sizeof(command), "mkdir -p %s/devices/system", root);
	assert_int_equal(system(command), 0);
	for (int cpu = 0; cpu < CPUS; cpu++) {
		char add[512];
		snprintf(add, sizeof(add),
			 "cd %s/devices/system && mkdir -p cpu/cpu%d/topology node/node%d && "
			 "echo %s >cpu/cpu%d/topology/thread_siblings_list && touch node/node%d/cpu%d",
			 root, cpu, cpu % 4 / 2, siblings[cpu], cpu, cpu % 4 / 2, cpu);
		assert_int_equal(system(add), 0);
	}
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	char command[64];
	snprintf(command, sizeof(command), "rm -r %s", root);
	return system(command);
}

static void workers_get_cores_of_their_own_on_the_node(void **state)
{
	(void)state;
	static const struct {
		int node;
		const char *cpus, *order;
	} cases[] = {
		{-1, "01234567", "34570126"},
		{0, "01234567", "37264501"},
		{1, "01234567", "45013726"},
		{0, "4567", "7645"},
		{-1, "3", "3"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cpu_set_t set;
		uint32_t order[CPU_SETSIZE];
		char text[CPUS + 1] = "";
		CPU_ZERO(&set);
		for (const char *cpu = cases[i].cpus; *cpu; cpu++)
			CPU_SET(*cpu - '0', &set);
		const uint32_t n = berth_cores_order(root, &set, cases[i].node, order);
		for (uint32_t k = 0; k < n && k < CPUS; k++)
			text[k] = (char)('0' + order[k]);
		assert_string_equal(text, cases[i].order);
	}
}

static void expect_findings(const char *cpus, int tables_node, const char *first, const char *second)
{
	json_t *status = json_pack("{s:o}", "cpus", json_loads(cpus, 0, NULL));
	json_t *checks = json_array();
	const char *const expected[] = {first, second};
	berth_doctor_cpus(root, status, tables_node, checks);
	for (size_t i = 0; i < 2; i++) {
		const json_t *finding = json_object_get(json_array_get(checks, i), "finding");
		assert_string_equal(finding ? json_string_value(finding) : "", expected[i]);
	}
	assert_true(json_array_size(checks) <= 2);
	json_decref(checks);
	json_decref(status);
}

static void workers_that_share_a_core_or_are_far_from_the_tables_are_found(void **state)
{
	(void)state;
	expect_findings("[0, 1]", 0, "", "");
	expect_findings("[0, 1]", -1, "", "");
	expect_findings(
		"[1, 0, 4]", 0,
		"workers 1 and 2 are on CPUs 0 and 4, two threads of one core: each is slower than with a core "
		"of its own",
		"");
	expect_findings(
		"[0, 6]", 0,
		"worker 1 is on CPU 6 of NUMA node 1, and the tables are in memory of node 0: lookups are slower",
		"");
	expect_findings(
		"[2, 3]", 1,
		"workers 0 and 1 are on CPUs 2 and 3, two threads of one core: each is slower than with a core "
		"of its own",
		"");
	/* No CPU of its own, one that is not there, and no list. */
	expect_findings("[null, null]", 1, "", "");
	expect_findings("[99, 100000]", 1, "", "");
	expect_findings("null", 1, "", "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(workers_get_cores_of_their_own_on_the_node),
		cmocka_unit_test(workers_that_share_a_core_or_are_far_from_the_tables_are_found),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
