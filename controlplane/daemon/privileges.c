// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/daemon/privileges.h"

#include <string.h>
#include <sys/syscall.h>

#include "controlplane/util/log.h"
#include "dataplane/interface/capabilities.h"
#include "dataplane/interface/seccomp.h"

/* Includes what berth-dpdk may keep (dataplane/privileges.c): berthd starts it at any time, and with no_new_privs a
 * program gets no capability that the one that starts it lacks. */
static const uint8_t kept[] = {
	CAP_BPF,	      /* programs and maps of the engines */
	CAP_CHOWN,	      /* `config apply` keeps the owner of the file */
	CAP_DAC_OVERRIDE,     /* configuration and certificates that other users own */
	CAP_FOWNER,	      /* the same */
	CAP_IPC_LOCK,	      /* berth-dpdk: buffers of AF_XDP and of NICs */
	CAP_NET_ADMIN,	      /* XDP, routes, neighbours, tunnels */
	CAP_NET_BIND_SERVICE, /* `metrics` at a port below 1024 */
	CAP_NET_RAW,	      /* pings, probes via tunnel, the doctor */
	CAP_PERFMON,	      /* programs that the kernel's verifier traces (XDP) */
	CAP_SETGID,	      /* `user` of exec checks */
	CAP_SETPCAP,	      /* exec checks have no capability */
	CAP_SETUID,
	CAP_SYS_CHROOT,	  /* berth-helper: its empty root */
	CAP_SYS_ADMIN,	  /* network namespace of checks via tunnel, mount of bpffs, BPF objects by id */
	CAP_SYS_RAWIO,	  /* berth-dpdk: devices */
	CAP_SYS_RESOURCE, /* berth-dpdk: memory limit of AF_XDP */
};

/* Nothing that berthd, an engine or a check program does. A list of refused calls, not of allowed ones, because
 * check programs are anything and inherit it. */
static const uint16_t refused[] = {
	SYS_acct,
	SYS_adjtimex,
	SYS_clock_adjtime,
	SYS_clock_settime,
	SYS_delete_module,
	SYS_fanotify_init,
	SYS_finit_module,
	SYS_fsconfig,
	SYS_fsmount,
	SYS_fsopen,
	SYS_fspick,
	SYS_init_module,
	SYS_kcmp,
	SYS_kexec_file_load,
	SYS_kexec_load,
	SYS_mount_setattr,
	SYS_move_mount,
	SYS_open_by_handle_at,
	SYS_open_tree,
	SYS_perf_event_open,
	SYS_pivot_root,
	SYS_process_vm_readv,
	SYS_process_vm_writev,
	SYS_ptrace,
	SYS_quotactl,
	SYS_reboot,
	SYS_setdomainname,
	SYS_sethostname,
	SYS_settimeofday,
	SYS_swapoff,
	SYS_swapon,
	SYS_syslog,
	SYS_umount2,
	SYS_userfaultfd,
	SYS_vhangup,
};

void berth_privileges_drop(void)
{
	const struct berth_seccomp seccomp = {
		.program = "berthd", .calls = refused, .n = sizeof(refused) / sizeof(refused[0])};
	uint64_t keep = 0;
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		keep |= BERTH_CAPABILITY(kept[i]);
	int err = berth_capabilities_keep(keep);
	if (err)
		berth_log("warning: capabilities that berthd does not need cannot be given up: %s", strerror(-err));
	err = berth_seccomp_install(&seccomp);
	if (err)
		berth_log("warning: the filter of system calls cannot be installed: %s", strerror(-err));
}
