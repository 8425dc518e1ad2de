// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/engine/object.h"

#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#ifndef BERTH_LIBDIR
#define BERTH_LIBDIR "/usr/lib/berth"
#endif

int berth_object_path(const char *name, char *path, size_t size, char error[BERTH_ERROR_BYTES])
{
	/* Relative to controlplane/berthd in a build tree. */
	static const char *const relative[] = {"../bpf", "../dataplane", "../lib/berth"};
	char self[400] = "";
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	const char *dir = n > 0 ? dirname(self) : ".";
	for (size_t i = 0; i < sizeof(relative) / sizeof(relative[0]); i++) {
		snprintf(path, size, "%s/%s/%s", dir, relative[i], name);
		if (access(path, R_OK) == 0)
			return 0;
	}
	snprintf(path, size, BERTH_LIBDIR "/%s", name);
	if (access(path, R_OK) == 0)
		return 0;
	snprintf(error, BERTH_ERROR_BYTES,
		 "%s not found, neither next to berthd nor in " BERTH_LIBDIR "; reinstall berth", name);
	return -ENOENT;
}
