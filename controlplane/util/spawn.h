/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Starts a program as another user and without privileges: no capability but the given ones, also not as root, and
 * none to gain by execve (no_new_privs). It inherits nothing else: its environment is the given one, descriptor 0
 * is /dev/null, no signal is blocked or ignored, the directory is /. It leads a process group.
 *
 * posix_spawn(3) cannot set ids. Any thread; one call at a time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "controlplane/util/account.h"

struct berth_spawn {
	char *const *argv; /* argv[0]: the program's path; ends with NULL */
	char *const *environment;
	const struct berth_account *account;
	uint64_t capabilities; /* kept if the user is root: to give up by itself; else 0 */
	int fd;		       /* becomes descriptor 3; -1: none */
	bool may_log;	       /* descriptors 1 and 2 are standard error, else /dev/null */
};

/* Returns the process id, or -errno; *is_refused: this process may not switch to the user. */
pid_t berth_spawn(const struct berth_spawn *spawn, bool *is_refused);
/* SIGKILL to a process of this user, or to the process group -pid. Without CAP_KILL, which is the right to signal
 * any process, a child becomes the user before. 0 or -errno (-ESRCH: there is none). */
int berth_spawn_kill(pid_t pid, uint32_t uid);
