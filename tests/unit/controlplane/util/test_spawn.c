// SPDX-License-Identifier: BSD-3-Clause
/* Programs as other users: how berthd ends them without the right to signal any process. */
#include "tests/support/unit.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "controlplane/util/spawn.h"
#include "dataplane/interface/capabilities.h"

enum {
	USER = 61181, /* nobody's, and not that of helpers */
	OTHER_USER = 61182,
};

/* As berthd's unit grants them. */
static int set_up(void **state)
{
	(void)state;
	return berth_capabilities_keep(BERTH_CAPABILITY(CAP_SETUID) | BERTH_CAPABILITY(CAP_SETGID) |
				       BERTH_CAPABILITY(CAP_SETPCAP));
}

static int tear_down(void **state)
{
	(void)state;
	return 0;
}

/* A shell and its child, which have become the user when this returns. The pipe ends with both. */
static pid_t start(int *pipe_end)
{
	char *const argv[] = {"/bin/sh", "-c", "sleep 1000 & echo >&3; wait", NULL};
	char *const environment[] = {"PATH=/bin:/usr/bin", NULL};
	const struct berth_account account = {.uid = USER, .gid = USER};
	int ends[2];
	char byte;
	bool is_refused;
	assert_int_equal(pipe(ends), 0);
	const struct berth_spawn spawn = {
		.argv = argv, .environment = environment, .account = &account, .fd = ends[1]};
	const pid_t pid = berth_spawn(&spawn, &is_refused);
	assert_true(pid > 0);
	close(ends[1]);
	assert_int_equal(read(ends[0], &byte, 1), 1);
	*pipe_end = ends[0];
	return pid;
}

static void a_group_of_another_user_is_killed_without_the_right_to_signal_any_process(void **state)
{
	(void)state;
	int pipe_end, status;
	char byte;
	const pid_t pid = start(&pipe_end);
	assert_int_equal(kill(-pid, SIGKILL), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(berth_spawn_kill(-pid, USER), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	assert_int_equal(read(pipe_end, &byte, 1), 0);
	close(pipe_end);
	assert_int_equal(berth_spawn_kill(pid, USER), -ESRCH);
	assert_int_equal(geteuid(), 0);
	/* No zombie of the killer. */
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void a_process_of_a_third_user_is_not_killed(void **state)
{
	(void)state;
	int pipe_end;
	const pid_t pid = start(&pipe_end);
	assert_int_equal(berth_spawn_kill(-pid, OTHER_USER), -EPERM);
	assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
	assert_int_equal(berth_spawn_kill(-pid, USER), 0);
	waitpid(pid, NULL, 0);
	close(pipe_end);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_group_of_another_user_is_killed_without_the_right_to_signal_any_process),
		TEST(a_process_of_a_third_user_is_not_killed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
