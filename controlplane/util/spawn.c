// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/util/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	STACK_BYTES = 64 << 10,
	MAX_CAPABILITY = 63, /* the kernel's sets have 64 bits */
	KEPT_FD = 3,
	SIGNALS = 64,
};

/* The child runs in this process's memory until execve, while the caller waits. */
struct child {
	const struct berth_spawn *spawn;
	int null_fd;
	int error;
	bool is_refused;
};

static uint8_t stack[STACK_BYTES] __attribute__((aligned(16)));

/* The functions of the C library would change the ids of all threads of this process. */
static bool switch_user(const struct berth_spawn *spawn)
{
	const struct berth_account *account = spawn->account;
	if (geteuid() == account->uid && geteuid() != 0)
		return true;
	for (int i = 0; i <= MAX_CAPABILITY; i++)
		if (!(spawn->capabilities & UINT64_C(1) << i) && prctl(PR_CAPBSET_DROP, i, 0, 0, 0) &&
		    errno != EINVAL)
			return false;
	return !syscall(SYS_setgroups, account->n_groups, account->groups) &&
	       !syscall(SYS_setresgid, account->gid, account->gid, account->gid) &&
	       !syscall(SYS_setresuid, account->uid, account->uid, account->uid);
}

/* The child has the parent's memory, where the thread sanitizer's sigaction() would record these actions, too. */
static void reset_signals(void)
{
	static const unsigned long standard[4]; /* the kernel's struct sigaction with SIG_DFL, x86-64 */
	static const sigset_t none;

	for (int i = 1; i <= SIGNALS; i++)
		syscall(SYS_rt_sigaction, i, standard, NULL, SIGNALS / 8);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* The descriptors at their final places are written last, because the given ones may be among them. */
static bool set_descriptors(const struct child *child)
{
	const struct berth_spawn *spawn = child->spawn;
	int null = fcntl(child->null_fd, F_DUPFD, KEPT_FD + 1);
	int kept = spawn->fd < 0 ? -1 : fcntl(spawn->fd, F_DUPFD, KEPT_FD + 1);

	if (null < 0 || (spawn->fd >= 0 && kept < 0))
		return false;
	return dup2(null, STDIN_FILENO) >= 0 && dup2(spawn->may_log ? STDERR_FILENO : null, STDOUT_FILENO) >= 0 &&
	       (spawn->may_log || dup2(null, STDERR_FILENO) >= 0) && (kept < 0 || dup2(kept, KEPT_FD) >= 0) &&
	       close_range(kept < 0 ? KEPT_FD : KEPT_FD + 1, ~0U, 0) == 0;
}

static int run_child(void *arg)
{
	struct child *child = arg;
	const struct berth_spawn *spawn = child->spawn;

	child->is_refused = !switch_user(spawn);
	if (!child->is_refused && set_descriptors(child) && !setpgid(0, 0) && !chdir("/") &&
	    !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) {
		reset_signals();
		execve(spawn->argv[0], spawn->argv, spawn->environment);
	}
	child->error = errno;
	_exit(127);
}

/* Returns when the child has ended, or runs another program. -1 with errno set. No handler of this process runs in
 * it. */
static pid_t run_in_child(int (*run)(void *arg), void *arg)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pid_t pid = clone(run, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD, arg);
	const int error = errno;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	errno = error;
	return pid;
}

pid_t berth_spawn(const struct berth_spawn *spawn, bool *is_refused)
{
	struct child child = {.spawn = spawn, .null_fd = open("/dev/null", O_RDWR | O_CLOEXEC)};

	*is_refused = false;
	if (child.null_fd < 0)
		return -errno;
	pid_t pid = run_in_child(run_child, &child);
	int error = pid < 0 ? errno : child.error;
	close(child.null_fd);
	*is_refused = child.is_refused;
	if (!error)
		return pid;
	if (pid > 0)
		waitpid(pid, NULL, 0);
	return -error;
}

struct killer {
	uint32_t uid;
	pid_t pid;
	int error;
};

static int run_killer(void *arg)
{
	struct killer *killer = arg;

	if (syscall(SYS_setresuid, killer->uid, killer->uid, killer->uid) || kill(killer->pid, SIGKILL))
		killer->error = errno;
	_exit(0);
}

int berth_spawn_kill(pid_t pid, uint32_t uid)
{
	struct killer killer = {.uid = uid, .pid = pid};

	if (kill(pid, SIGKILL) == 0)
		return 0;
	if (errno != EPERM)
		return -errno;
	pid_t child = run_in_child(run_killer, &killer);
	if (child < 0)
		return -errno;
	waitpid(child, NULL, 0);
	return -killer.error;
}
