/* SPDX-License-Identifier: BSD-3-Clause */
/* Where berth's programs find each other and their BPF objects. Any thread. */
#pragma once

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#ifndef BERTH_LIBDIR
#define BERTH_LIBDIR "/usr/lib/berth"
#endif

/* Finds a file by its name: relative to the running executable (build tree), else in BERTH_LIBDIR. 0 with its path;
 * -ENOENT with the path in BERTH_LIBDIR. */
static inline int berth_object_find(const char *name, char *path, size_t size)
{
	static const char *const folders[] = {".", "../bpf", "../dataplane", "../lib/berth"};
	char self[400];
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
	self[length < 0 ? 0 : length] = 0;
	char *slash = strrchr(self, '/');
	for (size_t i = 0; slash && i < sizeof(folders) / sizeof(folders[0]); i++) {
		snprintf(path, size, "%.*s/%s/%s", (int)(slash - self), self, folders[i], name);
		if (access(path, R_OK) == 0)
			return 0;
	}
	snprintf(path, size, BERTH_LIBDIR "/%s", name);
	return access(path, R_OK) == 0 ? 0 : -ENOENT;
}
