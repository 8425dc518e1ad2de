/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A filter of system calls (seccomp(2)) of a program of berth. A refused call fails with ENOSYS, as on a kernel
 * that does not have it, and the first one of each kind is logged with its name. A program that this one starts
 * inherits the filter but not the log: there SIGSYS ends it, unless it installs a filter of its own.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	BERTH_SECCOMP_CALLS = 512, /* in one list, at most */
};

struct berth_seccomp {
	const char *program; /* name for the log */
	const uint16_t *calls;
	size_t n;
	bool is_allow_list; /* else the listed calls are refused, and all others allowed */
};

/* Applies to all threads of the process. Needs no_new_privs (capabilities.h). Returns 0 or -errno. */
int berth_seccomp_install(const struct berth_seccomp *seccomp);
