/* SPDX-License-Identifier: BSD-3-Clause */
/* Capabilities and filters of system calls, on the real kernel. What is given up cannot be had back, so each case
 * runs in a child process. */
#include <errno.h>
#include <grp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dataplane/interface/capabilities.h"
#include "dataplane/interface/seccomp.h"
#include "tests/support/unit.h"

enum {
	TEXT_BYTES = 4096,
};

/* Runs `run` in a child; returns how it ended, and what it wrote to standard error. */
static int run_in_child(void (*run)(void), char text[TEXT_BYTES])
{
	int ends[2], status;
	ssize_t n;
	size_t used = 0;
	assert_int_equal(pipe(ends), 0);
	const pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		dup2(ends[1], STDERR_FILENO);
		close(ends[0]);
		close(ends[1]);
		run();
		_exit(0);
	}
	close(ends[1]);
	while ((n = read(ends[0], text + used, TEXT_BYTES - 1 - used)) > 0)
		used += (size_t)n;
	text[used] = 0;
	close(ends[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void expect(bool condition, int code)
{
	if (!condition)
		_exit(code);
}

static uint64_t set_of(const char *name)
{
	char line[256];
	unsigned long long value = ~0ULL;
	const size_t length = strlen(name);
	FILE *file = fopen("/proc/thread-self/status", "re");
	while (file && fgets(line, sizeof(line), file))
		if (strncmp(line, name, length) == 0 && line[length] == ':')
			sscanf(line + length + 1, "%llx", &value);
	fclose(file);
	return value;
}

static void keep_two(void)
{
	const uint64_t keep = BERTH_CAPABILITY(CAP_NET_RAW) | BERTH_CAPABILITY(CAP_BPF);
	static const char *const sets[] = {"CapPrm", "CapEff", "CapBnd"};
	expect(berth_capabilities_keep(keep) == 0, 1);
	for (int i = 0; i < 3; i++)
		expect(set_of(sets[i]) == keep, 2 + i);
	expect(set_of("CapInh") == 0 && set_of("CapAmb") == 0, 5);
	expect(set_of("NoNewPrivs") == 1, 6);
	expect(setgroups(0, NULL) == -1 && errno == EPERM, 7);
}

static void test_only_the_kept_capabilities_stay_in_every_set(void **state)
{
	(void)state;
	char text[TEXT_BYTES];
	assert_int_equal(run_in_child(keep_two, text), 0);
}

static void drop_without_setpcap(void)
{
	const uint64_t all = ~UINT64_C(0), without = all & ~BERTH_CAPABILITY(CAP_SETPCAP);
	expect(berth_capabilities_keep(without) == 0, 1);
	const uint64_t bounding = set_of("CapBnd");
	expect(berth_capabilities_keep(0) == 0, 2);
	expect(set_of("CapEff") == 0 && set_of("CapPrm") == 0, 3);
	expect(set_of("CapBnd") == bounding, 4);
}

static void test_without_the_right_to_change_it_the_bounding_set_stays(void **state)
{
	(void)state;
	char text[TEXT_BYTES];
	assert_int_equal(run_in_child(drop_without_setpcap, text), 0);
}

static const uint16_t no_ptrace[] = {SYS_ptrace, SYS_sethostname};

static void refuse_ptrace(void)
{
	const struct berth_seccomp seccomp = {.program = "prog", .calls = no_ptrace, .n = 2};
	expect(berth_capabilities_keep(0) == 0, 1);
	expect(berth_seccomp_install(&seccomp) == 0, 2);
	for (int i = 0; i < 3; i++)
		expect(ptrace(PTRACE_TRACEME, 0, 0, 0) == -1 && errno == ENOSYS, 3);
	expect(sethostname("", 0) == -1 && errno == ENOSYS, 4);
	expect(getpid() > 0 && set_of("Seccomp") == 2, 5);
}

static void test_a_refused_call_fails_and_is_logged_once_by_its_name(void **state)
{
	(void)state;
	char text[TEXT_BYTES], right[TEXT_BYTES];
	assert_int_equal(run_in_child(refuse_ptrace, text), 0);
	snprintf(right, sizeof(right),
		 "ALARM: prog: system call ptrace (%d) is refused by berth's filter; see docs/security.md\n"
		 "ALARM: prog: system call sethostname (%d) is refused by berth's filter; see docs/security.md\n",
		 SYS_ptrace, SYS_sethostname);
	assert_string_equal(text, right);
}

static const uint16_t few[] = {SYS_write, SYS_exit_group, SYS_exit,    SYS_rt_sigreturn,
			       SYS_futex, SYS_munmap,	  SYS_madvise, SYS_rt_sigprocmask};
static pthread_barrier_t installed;

static void *open_socket(void *arg)
{
	(void)arg;
	pthread_barrier_wait(&installed); /* the thread has started */
	pthread_barrier_wait(&installed);
	return socket(AF_INET, SOCK_DGRAM, 0) == -1 && errno == ENOSYS ? NULL : &installed;
}

static void allow_few(void)
{
	const struct berth_seccomp seccomp = {
		.program = "prog", .calls = few, .n = sizeof(few) / sizeof(few[0]), .is_allow_list = true};
	pthread_t thread;
	void *fault;
	pthread_barrier_init(&installed, NULL, 2);
	expect(berth_capabilities_keep(0) == 0, 1);
	expect(pthread_create(&thread, NULL, open_socket, NULL) == 0, 2);
	pthread_barrier_wait(&installed);
	expect(berth_seccomp_install(&seccomp) == 0, 3);
	pthread_barrier_wait(&installed);
	pthread_join(thread, &fault);
	expect(!fault, 4);
	expect(socket(AF_INET, SOCK_DGRAM, 0) == -1 && errno == ENOSYS, 5);
}

static void test_what_is_not_on_the_list_is_refused_in_every_thread(void **state)
{
	(void)state;
	char text[TEXT_BYTES];
	assert_int_equal(run_in_child(allow_few, text), 0);
	assert_non_null(strstr(text, "prog: system call socket ("));
}

static void call_foreign(void)
{
	const struct berth_seccomp seccomp = {.program = "prog", .calls = no_ptrace, .n = 2};
	expect(berth_capabilities_keep(0) == 0, 1);
	expect(berth_seccomp_install(&seccomp) == 0, 2);
	syscall(0x40000000 | 39 /* x32: getpid */);
}

static void test_a_call_of_another_interface_ends_the_process(void **state)
{
	(void)state;
	char text[TEXT_BYTES];
	int status = run_in_child(call_foreign, text);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSYS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_only_the_kept_capabilities_stay_in_every_set),
		cmocka_unit_test(test_without_the_right_to_change_it_the_bounding_set_stays),
		cmocka_unit_test(test_a_refused_call_fails_and_is_logged_once_by_its_name),
		cmocka_unit_test(test_what_is_not_on_the_list_is_refused_in_every_thread),
		cmocka_unit_test(test_a_call_of_another_interface_ends_the_process),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
