// SPDX-License-Identifier: BSD-3-Clause
/* The command line of berth-dpdk follows from the configuration. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "controlplane/config/parse.h"
#include "controlplane/engine/dpdk_command.h"
#include "controlplane/engine/numa.h"
#include "controlplane/engine/object.h"

static const struct berth_dpdk_command_paths paths = {.program = "/lib/berth/berth-dpdk",
						      .instance = "one",
						      .image = "/dev/shm/one.image",
						      .run_dir = "/run/berth"};

/* The words of the command, joined by spaces. */
static void expect(const char *yaml, int node, const char *expected)
{
	static struct berth_dpdk_command command;
	char text[2048] = "", error[BERTH_ERROR_BYTES] = "";
	struct berth_config *config = berth_config_parse("test.yaml", yaml, strlen(yaml), error);
	assert_string_equal(error, "");
	berth_dpdk_command_make(&command, &paths, config, node);
	berth_config_free(config);
	size_t used = 0;
	for (int i = 0; command.argv[i]; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s", i ? " " : "", command.argv[i]);
	assert_string_equal(text, expected);
}

#define PATHS "/lib/berth/berth-dpdk --instance one --image /dev/shm/one.image --run-dir /run/berth"

static void every_interface_is_a_port(void **state)
{
	(void)state;
	expect("engine: dpdk\n"
	       "interfaces: [{name: eth0, queues: 2}, {name: eth1, device: '0000:01:00.0', mtu: 9000}]\n"
	       "dpdk: {memory-mb: 64, rx-ring: 256, tx-ring: 512}\n",
	       BERTH_NO_NODE,
	       PATHS " --memory 64 --rx-ring 256 --tx-ring 512 --port eth0,queues=2"
		     " --port eth1,queues=1,mtu=9000,device=0000:01:00.0");
}

static void options_without_a_default_are_given_only_when_configured(void **state)
{
	(void)state;
	expect("engine: dpdk\n"
	       "interfaces: [{name: eth0}]\n"
	       "dpdk: {memory-mb: 64, rx-ring: 256, tx-ring: 512, workers: 3, idle: adaptive}\n",
	       1,
	       PATHS " --workers 3 --idle adaptive --memory 64 --node 1 --rx-ring 256 --tx-ring 512"
		     " --port eth0,queues=1");
}

static void make(struct berth_dpdk_command *command, const char *yaml)
{
	char error[BERTH_ERROR_BYTES] = "";
	struct berth_config *config = berth_config_parse("test.yaml", yaml, strlen(yaml), error);
	assert_string_equal(error, "");
	berth_dpdk_command_make(command, &paths, config, BERTH_NO_NODE);
	berth_config_free(config);
}

/* A generation has port numbers: another order is other ports. */
static void ports_are_the_same_by_their_names_and_order(void **state)
{
	static const struct {
		const char *interfaces;
		bool is_same;
	} others[] = {
		{"[{name: a, queues: 2}, {name: bc}]", true},
		{"[{name: bc}, {name: a}]", false},
		{"[{name: a}, {name: bd}]", false},
		{"[{name: a}]", false},
		{"[{name: a}, {name: b}]", false},
		{"[{name: a}, {name: bc}, {name: d}]", false},
	};
	static struct berth_dpdk_command one, other, copy;
	char yaml[200];
	(void)state;
	make(&one, "engine: dpdk\ninterfaces: [{name: a}, {name: bc}]\nservices: []\n");
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		snprintf(yaml, sizeof(yaml), "engine: dpdk\ninterfaces: %s\nservices: []\n", others[i].interfaces);
		make(&other, yaml);
		assert_int_equal(berth_dpdk_command_has_same_ports(&one, &other), others[i].is_same);
		assert_int_equal(berth_dpdk_command_has_same_ports(&other, &one), others[i].is_same);
	}
	berth_dpdk_command_copy(&copy, &one);
	assert_true(berth_dpdk_command_equals(&copy, &one));
	assert_ptr_equal(copy.argv[0], copy.text[0]);
	assert_null(copy.argv[copy.argc]);
}

/* A process that was killed holds its files for a while; /proc has no command line for it. */
static void a_process_that_is_ending_has_no_other_options(void **state)
{
	(void)state;
	struct berth_dpdk_command command = {.argc = 1, .text = {"/lib/berth/berth-dpdk"}};
	char difference[BERTH_ERROR_BYTES];
	pid_t child = fork();
	if (child == 0)
		_exit(0);
	siginfo_t info;
	assert_return_code(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), errno);
	assert_true(berth_dpdk_command_is_running(&command, child, difference));
	assert_int_equal(waitpid(child, NULL, 0), child);
	command.argc = 2;
	snprintf(command.text[1], sizeof(command.text[1]), "--instance");
	assert_false(berth_dpdk_command_is_running(&command, getpid(), difference));
	assert_string_equal(difference, "nothing, now --instance");
}

static void a_program_is_found_beside_this_one(void **state)
{
	(void)state;
	char self[400] = "", path[512], error[BERTH_ERROR_BYTES] = "";
	assert_true(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
	const char *name = strrchr(self, '/') + 1;
	assert_int_equal(berth_object_path(name, path, sizeof(path), error), 0);
	assert_string_equal(strrchr(path, '/') + 1, name);
	assert_int_equal(berth_object_path("berth-nothing", path, sizeof(path), error), -ENOENT);
	assert_memory_equal(error, "berth-nothing not found", 23);
}

static void copy_file(const char *from, const char *to, const char *more)
{
	char command[256];
	snprintf(command, sizeof(command), "cp %s %s && printf '%s' >>%s", from, to, more, to);
	assert_int_equal(system(command), 0);
}

/* An upgrade replaces the file of the program: the running one has the former file. */
static void another_build_of_the_program_is_a_difference(void **state)
{
	(void)state;
	static const char *const ends[] = {"", "x"};
	char folder[] = "/tmp/berth-command-XXXXXX", difference[BERTH_ERROR_BYTES];
	struct berth_dpdk_command command = {.argc = 2, .text = {"", "60"}};
	assert_non_null(mkdtemp(folder));
	snprintf(command.text[0], sizeof(command.text[0]), "%s/sleep", folder);
	copy_file("/bin/sleep", command.text[0], "");
	const pid_t child = fork();
	if (child == 0) {
		execl(command.text[0], command.text[0], "60", NULL);
		_exit(127);
	}
	while (!berth_dpdk_command_has_word(child, command.text[0]))
		usleep(1000);
	assert_true(berth_dpdk_command_is_running(&command, child, difference));
	for (size_t i = 0; i < 2; i++) {
		unlink(command.text[0]);
		copy_file("/bin/sleep", command.text[0], ends[i]);
		assert_int_equal(berth_dpdk_command_is_running(&command, child, difference), i == 0);
	}
	assert_memory_equal(difference, "another build of /tmp/", 22);
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
	unlink(command.text[0]);
	rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_interface_is_a_port),
		cmocka_unit_test(a_process_that_is_ending_has_no_other_options),
		cmocka_unit_test(ports_are_the_same_by_their_names_and_order),
		cmocka_unit_test(a_program_is_found_beside_this_one),
		cmocka_unit_test(another_build_of_the_program_is_a_difference),
		cmocka_unit_test(options_without_a_default_are_given_only_when_configured),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
