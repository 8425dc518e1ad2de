// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/privileges.h"

#include <string.h>
#include <sys/syscall.h>

#include "dataplane/interface/capabilities.h"
#include "dataplane/interface/seccomp.h"
#include "dataplane/log.h"

static const uint64_t kept = BERTH_CAPABILITY(CAP_NET_ADMIN) | /* interfaces, TAP devices, XDP programs */
			     BERTH_CAPABILITY(CAP_NET_RAW) |   /* AF_PACKET, AF_XDP */
			     BERTH_CAPABILITY(CAP_IPC_LOCK) |  /* buffers of AF_XDP and of NICs */
			     BERTH_CAPABILITY(CAP_BPF);	       /* programs and maps of AF_XDP and the slow path */

/* DPDK reads physical addresses of memory, and maps registers. */
static const uint64_t kept_for_devices = BERTH_CAPABILITY(CAP_SYS_ADMIN) | BERTH_CAPABILITY(CAP_SYS_RAWIO);

/* Until the ports are open: libxdp opens the interface's program by its id; and the set can be reduced once more.
 */
static const uint64_t kept_at_start = BERTH_CAPABILITY(CAP_SYS_ADMIN) | BERTH_CAPABILITY(CAP_SETPCAP);

/* Drivers may map, register and free memory, and control their device, at any time; none starts programs, switches
 * users or namespaces, or traces. */
static const uint16_t allowed[] = {
	/* memory */
	SYS_brk,
	SYS_madvise,
	SYS_mlock,
	SYS_mmap,
	SYS_mprotect,
	SYS_mremap,
	SYS_msync,
	SYS_munlock,
	SYS_munmap,
	SYS_mbind,
	SYS_get_mempolicy,
	SYS_set_mempolicy,
	/* files and descriptors */
	SYS_close,
	SYS_dup,
	SYS_dup3,
	SYS_faccessat,
	SYS_fallocate,
	SYS_fcntl,
	SYS_flock,
	SYS_fstat,
	SYS_fstatfs,
	SYS_fsync,
	SYS_ftruncate,
	SYS_getdents64,
	SYS_getcwd,
	SYS_ioctl,
	SYS_lseek,
	SYS_mkdirat,
	SYS_newfstatat,
	SYS_openat,
	SYS_pipe2,
	SYS_pread64,
	SYS_pwrite64,
	SYS_read,
	SYS_readlinkat,
	SYS_readv,
	SYS_renameat,
	SYS_renameat2,
	SYS_fchmod,
	SYS_statfs,
	SYS_statx,
	SYS_unlinkat,
	SYS_write,
	SYS_writev,
	/* events */
	SYS_epoll_create1,
	SYS_epoll_ctl,
	SYS_epoll_pwait,
	SYS_eventfd2,
	SYS_ppoll,
	SYS_pselect6,
	SYS_timerfd_create,
	SYS_timerfd_gettime,
	SYS_timerfd_settime,
	/* sockets: netlink, AF_PACKET, AF_XDP */
	SYS_bind,
	SYS_bpf,
	SYS_connect,
	SYS_getpeername,
	SYS_getsockname,
	SYS_getsockopt,
	SYS_recvfrom,
	SYS_recvmmsg,
	SYS_recvmsg,
	SYS_sendmmsg,
	SYS_sendmsg,
	SYS_sendto,
	SYS_setsockopt,
	SYS_shutdown,
	SYS_socket,
	/* threads, signals, time */
	SYS_clock_getres,
	SYS_clock_gettime,
	SYS_clock_nanosleep,
	SYS_clone,
	SYS_exit,
	SYS_exit_group,
	SYS_futex,
	SYS_getcpu,
	SYS_getpid,
	SYS_getrandom,
	SYS_getrusage,
	SYS_gettid,
	SYS_gettimeofday,
	SYS_geteuid,
	SYS_getuid,
	SYS_getegid,
	SYS_getgid,
	SYS_membarrier,
	SYS_nanosleep,
	SYS_prctl,
	SYS_prlimit64,
	SYS_restart_syscall,
	SYS_rseq,
	SYS_rt_sigaction,
	SYS_rt_sigprocmask,
	SYS_rt_sigreturn,
	SYS_rt_sigtimedwait,
	SYS_sched_getaffinity,
	SYS_sched_getparam,
	SYS_sched_getscheduler,
	SYS_sched_setaffinity,
	SYS_sched_yield,
	SYS_set_robust_list,
	SYS_sigaltstack,
	SYS_sysinfo,
	SYS_tgkill,
	SYS_times,
	SYS_uname,
	SYS_capget,
#ifdef SYS_clone3
	SYS_clone3,
#endif
#ifdef __x86_64__
	/* Older forms of the above. */
	SYS_access,
	SYS_dup2,
	SYS_epoll_create,
	SYS_epoll_wait,
	SYS_lstat,
	SYS_mkdir,
	SYS_open,
	SYS_pipe,
	SYS_poll,
	SYS_readlink,
	SYS_rename,
	SYS_rmdir,
	SYS_select,
	SYS_stat,
	SYS_time,
	SYS_unlink,
	SYS_arch_prctl,
#endif
};

static void warn(int err, const char *what)
{
	if (err)
		berth_log("warning: %s: %s", what, strerror(-err));
}

void berth_privileges_start(bool has_devices)
{
	warn(berth_capabilities_keep(kept | kept_at_start | (has_devices ? kept_for_devices : 0)),
	     "capabilities that are not needed cannot be given up");
}

void berth_privileges_run(bool has_devices)
{
	const struct berth_seccomp seccomp = {
		.program = "berth-dpdk",
		.calls = allowed,
		.n = sizeof(allowed) / sizeof(allowed[0]),
		.is_allow_list = true,
	};
	warn(berth_capabilities_keep_in_all_threads(kept | (has_devices ? kept_for_devices : 0)),
	     "capabilities of the start cannot be given up");
	warn(berth_seccomp_install(&seccomp), "the filter of system calls cannot be installed");
}
