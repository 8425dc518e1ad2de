// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/helper_program/confine.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "controlplane/helper/user.h"
#include "dataplane/interface/capabilities.h"
#include "dataplane/interface/seccomp.h"

enum {
	PATH_BYTES = 512,
};

static const uint16_t allowed[] = {
	/* memory */
	SYS_brk,
	SYS_madvise,
	SYS_mmap,
	SYS_mprotect,
	SYS_mremap,
	SYS_munmap,
	/* descriptors; there are no files in an empty root, but libraries look for some */
	SYS_close,
	SYS_faccessat,
	SYS_fcntl,
	SYS_fstat,
	SYS_ioctl,
	SYS_lseek,
	SYS_newfstatat,
	SYS_openat,
	SYS_pread64,
	SYS_read,
	SYS_readlinkat,
	SYS_readv,
	SYS_write,
	SYS_writev,
	/* sockets and events */
	SYS_bind,
	SYS_connect,
	SYS_epoll_ctl,
	SYS_epoll_pwait,
	SYS_getpeername,
	SYS_getsockname,
	SYS_getsockopt,
	SYS_ppoll,
	SYS_recvfrom,
	SYS_recvmmsg,
	SYS_recvmsg,
	SYS_sendmmsg,
	SYS_sendmsg,
	SYS_sendto,
	SYS_setsockopt,
	SYS_shutdown,
	SYS_socket,
	SYS_socketpair,
	SYS_timerfd_settime,
	/* the rest */
	SYS_clock_getres,
	SYS_clock_gettime,
	SYS_clock_nanosleep,
	SYS_exit,
	SYS_exit_group,
	SYS_futex,
	SYS_getegid,
	SYS_geteuid,
	SYS_getgid,
	SYS_getpid,
	SYS_getrandom,
	SYS_gettid,
	SYS_gettimeofday,
	SYS_getuid,
	SYS_restart_syscall,
	SYS_rt_sigaction,
	SYS_rt_sigprocmask,
	SYS_rt_sigreturn,
	SYS_sysinfo,
	SYS_tgkill,
	SYS_uname,
#ifdef __x86_64__
	/* older forms of the above */
	SYS_access,
	SYS_epoll_wait,
	SYS_lstat,
	SYS_open,
	SYS_poll,
	SYS_readlink,
	SYS_select,
	SYS_stat,
	SYS_time,
#endif
#ifdef __SANITIZE_ADDRESS__
	SYS_sigaltstack,
#endif
};

/* The directory is removed as soon as it is the root: no process can put a file into it. */
static int make_empty_root(const char *run_dir)
{
	char path[PATH_BYTES];
	snprintf(path, sizeof(path), "%s/helper-XXXXXX", run_dir);
	if (!mkdtemp(path))
		return -errno;
	int err = chmod(path, 0555) || chdir(path) ? -errno : 0;
	rmdir(path);
	return err ? err : chroot(".") || chdir("/") ? -errno : 0;
}

static int switch_user(const struct berth_account *account)
{
	return setgroups(0, NULL) || setresgid(account->gid, account->gid, account->gid) ||
			       setresuid(account->uid, account->uid, account->uid)
		       ? -errno
		       : 0;
}

static int leave_root(const char *run_dir, const char **step)
{
	const struct berth_account account = berth_helper_user();
	*step = "make an empty root directory";
	int err = make_empty_root(run_dir);
	if (err)
		return err;
	/* Afterwards it may not. */
	*step = "bound its capabilities";
	err = berth_capabilities_bound(0);
	if (err)
		return err;
	*step = "switch to another user";
	return switch_user(&account);
}

int berth_confine(const char *run_dir, const char **step)
{
	const struct berth_seccomp seccomp = {
		.program = "berth-helper",
		.calls = allowed,
		.n = sizeof(allowed) / sizeof(allowed[0]),
		.is_allow_list = true,
	};
	int err = geteuid() == 0 ? leave_root(run_dir, step) : 0;
	if (err)
		return err;
	*step = "give up capabilities";
	err = berth_capabilities_keep(0);
	if (!err && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
		err = -errno;
	if (err)
		return err;
	*step = "filter system calls";
	return berth_seccomp_install(&seccomp);
}
