/* SPDX-License-Identifier: BSD-3-Clause */
/* Names that berthd and berth-dpdk share: both check them by one rule, and find the status file by them. Pure. */
#pragma once

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "dataplane/interface/option_limits.h"

/* A valid name of a kernel interface: dev_valid_name in Linux 6.1, and printable ASCII only. */
static inline bool berth_is_ifname(const char *name)
{
	if (!*name || strlen(name) >= BERTH_IFNAME_BYTES || !strcmp(name, ".") || !strcmp(name, ".."))
		return false;
	for (const char *c = name; *c; c++)
		if (*c <= ' ' || *c > '~' || *c == '/' || *c == ':')
			return false;
	return true;
}

/* A valid instance name: it is a part of file names. */
static inline bool berth_is_instance_name(const char *name)
{
	static const char characters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
	size_t length = strlen(name);
	return length && length < BERTH_INSTANCE_BYTES && name[0] != '.' && strspn(name, characters) == length;
}

/* Path of the status file of berth-dpdk. */
static inline void berth_dpdk_status_path(char *path, size_t size, const char *run_dir, const char *instance)
{
	snprintf(path, size, "%s/%s-dpdk.json", run_dir, instance);
}

/* Path of what a process that was killed has left of it, for the next one. */
static inline void berth_dpdk_former_status_path(char *path, size_t size, const char *status_path)
{
	snprintf(path, size, "%s.former", status_path);
}

/* Path of the file with the last message of a berth-dpdk that ended with an error. */
static inline void berth_dpdk_fault_path(char *path, size_t size, const char *run_dir, const char *instance)
{
	snprintf(path, size, "%s/%s-dpdk.fault", run_dir, instance);
}
