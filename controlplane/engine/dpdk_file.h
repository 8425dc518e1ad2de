/* SPDX-License-Identifier: BSD-3-Clause */
/* The files that berthd and berth-dpdk share: in hugetlbfs (/dev/hugepages/berth), else in /dev/shm/berth. Only
 * root can enter the directories. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "controlplane/util/error.h"

enum {
	BERTH_DPDK_DIRS = 2,
	BERTH_DPDK_PATH_BYTES = 320,
};

struct berth_dpdk_file {
	char path[BERTH_DPDK_PATH_BYTES];
	uint64_t bytes;
	void *memory;
	int fd; /* -1: not open */
};

/* Directory number `i`; the first one is hugetlbfs. */
const char *berth_dpdk_directory(int i);
/* Whether files can be there. False with one line in `error`, which is also logged, or with neither if hugetlbfs is
 * not mounted. */
bool berth_dpdk_directory_make(int i, char error[BERTH_ERROR_BYTES]);

/* Bytes of a file that holds so many: whole hugepages. */
uint64_t berth_dpdk_file_bytes(uint64_t bytes);
/* Maps a file of at least `bytes`, rounded up to whole hugepages. -1: the file does not exist, is not private, has
 * another size, or cannot be mapped; `reason` may say which. */
int berth_dpdk_file_map(struct berth_dpdk_file *file, const char *path, uint64_t bytes,
			char reason[BERTH_ERROR_BYTES]);
/* Creates and maps a file of zeros. Until it has its name no other process opens it. -errno. */
int berth_dpdk_file_create(struct berth_dpdk_file *file, const char *path, uint64_t bytes);
void berth_dpdk_file_close(struct berth_dpdk_file *file);
/* Removes the file, and frees its memory also where a process has it mapped. */
void berth_dpdk_file_remove(const char *path);
