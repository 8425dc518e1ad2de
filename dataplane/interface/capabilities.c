// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/interface/capabilities.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
	CAPABILITIES = 64, /* bits of a set */
	WAIT_US = 1000,
	WAITS = 1000,
};

/* The kernel knows fewer capabilities than a set has bits: EINVAL. */
int berth_capabilities_bound(uint64_t keep)
{
	for (unsigned int i = 0; i < CAPABILITIES; i++)
		if (!(keep & BERTH_CAPABILITY(i)) && prctl(PR_CAPBSET_DROP, i, 0, 0, 0) && errno != EINVAL)
			return -errno;
	return 0;
}

int berth_capabilities_keep(uint64_t keep)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	int err = berth_capabilities_bound(keep);
	if (err && err != -EPERM)
		return err;
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) || syscall(SYS_capget, &header, data))
		return -errno;
	for (unsigned int i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
		data[i].permitted &= (uint32_t)(keep >> 32 * i);
		data[i].effective = data[i].permitted;
		data[i].inheritable = 0;
	}
	if (syscall(SYS_capset, &header, data) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -errno;
	return 0;
}

static uint64_t kept_by_all;
static unsigned int n_done;
static int error_of_any;

static void on_keep(int signal)
{
	(void)signal;
	const int before = errno;
	int err = berth_capabilities_keep(kept_by_all);
	if (err)
		__atomic_store_n(&error_of_any, err, __ATOMIC_RELAXED);
	__atomic_add_fetch(&n_done, 1, __ATOMIC_RELEASE);
	errno = before;
}

/* Signals all other threads. Returns their number or -errno. */
static int signal_threads(void)
{
	const pid_t own = (pid_t)syscall(SYS_gettid);
	DIR *tasks = opendir("/proc/self/task");
	int n = 0;
	if (!tasks)
		return -errno;
	for (const struct dirent *task; (task = readdir(tasks));) {
		const pid_t tid = atoi(task->d_name);
		n += tid > 0 && tid != own && syscall(SYS_tgkill, getpid(), tid, SIGRTMIN) == 0;
	}
	closedir(tasks);
	return n;
}

int berth_capabilities_keep_in_all_threads(uint64_t keep)
{
	const struct sigaction action = {.sa_handler = on_keep, .sa_flags = SA_RESTART};
	struct sigaction before;
	kept_by_all = keep;
	n_done = 0;
	error_of_any = 0;
	if (sigaction(SIGRTMIN, &action, &before))
		return -errno;
	int n = signal_threads();
	for (int i = 0; i < WAITS && (int)__atomic_load_n(&n_done, __ATOMIC_ACQUIRE) < n; i++)
		usleep(WAIT_US);
	if (n >= 0 && (int)__atomic_load_n(&n_done, __ATOMIC_ACQUIRE) < n)
		return -ETIMEDOUT; /* the handler stays, for the signal that is pending */
	sigaction(SIGRTMIN, &before, NULL);
	int err = berth_capabilities_keep(keep);
	return n < 0 ? n : err ? err : error_of_any;
}
