/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The packet buffers of berth-dpdk on hugepages: files of DPDK, one a page, which only root can open. Those of a
 * process that was killed are there for the next one, which so need not wait until the kernel has cleared others.
 * berth-dpdk removes them when it ends, berthd when it removes an image.
 */
#pragma once

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	BERTH_BUFFER_PREFIX_BYTES = 96,
	BERTH_STAT_BLOCK_BYTES = 512, /* of st_blocks, stat(2) */
};

/* What `--file-prefix` of DPDK gets. */
static inline void berth_buffer_prefix(char prefix[BERTH_BUFFER_PREFIX_BYTES], const char *instance)
{
	snprintf(prefix, BERTH_BUFFER_PREFIX_BYTES, "%s.dpdk", instance);
}

/* DPDK names them PREFIXmap_NUMBER. */
static inline bool berth_is_buffer_file(const char *name, const char *prefix)
{
	const size_t length = strlen(prefix);
	if (strncmp(name, prefix, length) != 0 || strncmp(name + length, "map_", 4) != 0)
		return false;
	const char *number = name + length + 4;
	return isdigit((unsigned char)*number) && number[strspn(number, "0123456789")] == '\0';
}

/* Bytes of the files of an instance in `directory`, which are removed if `removes`. */
static inline uint64_t berth_buffer_files_visit(const char *directory, const char *instance, bool removes)
{
	char prefix[BERTH_BUFFER_PREFIX_BYTES];
	uint64_t bytes = 0;
	berth_buffer_prefix(prefix, instance);
	DIR *dir = opendir(directory);
	if (!dir)
		return 0;
	for (const struct dirent *entry; (entry = readdir(dir));) {
		struct stat status;
		if (!berth_is_buffer_file(entry->d_name, prefix) ||
		    fstatat(dirfd(dir), entry->d_name, &status, AT_SYMLINK_NOFOLLOW))
			continue;
		bytes += (uint64_t)status.st_blocks * BERTH_STAT_BLOCK_BYTES;
		if (removes)
			unlinkat(dirfd(dir), entry->d_name, 0);
	}
	closedir(dir);
	return bytes;
}

static inline uint64_t berth_buffer_files_bytes(const char *directory, const char *instance)
{
	return berth_buffer_files_visit(directory, instance, false);
}

static inline void berth_buffer_files_remove(const char *directory, const char *instance)
{
	berth_buffer_files_visit(directory, instance, true);
}
