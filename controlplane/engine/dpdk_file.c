// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/engine/dpdk_file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "controlplane/util/log.h"
#include "controlplane/util/private_dir.h"
#include "dataplane/interface/private_file.h"
#include "dataplane/interface/store.h"

enum {
	HUGEPAGE_BYTES = 2 << 20,
};

/* Root's alone: in /dev/shm any user can create a file, and an adopted image decides where packets go. */
static const char *const directories[BERTH_DPDK_DIRS] = {BERTH_HUGE_DIRECTORY, BERTH_SHM_DIRECTORY};
#define HUGE_MOUNT "/dev/hugepages"

static bool is_hugetlbfs(const char *dir)
{
	struct statfs fs;
	return statfs(dir, &fs) == 0 && fs.f_type == HUGETLBFS_MAGIC;
}

const char *berth_dpdk_directory(int i)
{
	return directories[i];
}

bool berth_dpdk_directory_make(int i, char error[BERTH_ERROR_BYTES])
{
	if (i == 0 && !is_hugetlbfs(HUGE_MOUNT))
		return false;
	if (berth_private_dir_make(directories[i], error) == 0)
		return true;
	berth_log("%s", error);
	return false;
}

uint64_t berth_dpdk_file_bytes(uint64_t bytes)
{
	return (bytes + HUGEPAGE_BYTES - 1) & ~(uint64_t)(HUGEPAGE_BYTES - 1);
}

int berth_dpdk_file_map(struct berth_dpdk_file *file, const char *path, uint64_t bytes,
			char reason[BERTH_ERROR_BYTES])
{
	struct stat stat;
	const char *fault;
	file->bytes = berth_dpdk_file_bytes(bytes);
	int fd = berth_private_open(path, O_RDWR, BERTH_MODE_OTHERS, &fault);
	if (fault)
		snprintf(reason, BERTH_ERROR_BYTES, "%s", fault);
	if (fd < 0)
		return -1;
	if (fstat(fd, &stat) || (uint64_t)stat.st_size != file->bytes)
		goto fail;
	void *memory = mmap(NULL, file->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		goto fail;
	file->fd = fd;
	file->memory = memory;
	snprintf(file->path, sizeof(file->path), "%s", path);
	return 0;
fail:
	close(fd);
	return -1;
}

/* Reserves the pages: on tmpfs and hugetlbfs a page that is missing later is a SIGBUS. */
static int reserve(const char *path, uint64_t bytes)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	int err = ftruncate(fd, (off_t)bytes) ? -errno : -posix_fallocate(fd, 0, (off_t)bytes);
	close(fd);
	return err;
}

int berth_dpdk_file_create(struct berth_dpdk_file *file, const char *path, uint64_t bytes)
{
	char temporary[BERTH_DPDK_PATH_BYTES], reason[BERTH_ERROR_BYTES];
	snprintf(temporary, sizeof(temporary), "%s.new", path);
	unlink(temporary);
	file->bytes = berth_dpdk_file_bytes(bytes);
	int err = reserve(temporary, file->bytes);
	if (!err && berth_dpdk_file_map(file, temporary, bytes, reason))
		err = -ENOMEM;
	if (!err && rename(temporary, path))
		err = -errno;
	if (!err) {
		snprintf(file->path, sizeof(file->path), "%s", path);
		return 0;
	}
	berth_dpdk_file_close(file);
	unlink(temporary);
	return err;
}

void berth_dpdk_file_close(struct berth_dpdk_file *file)
{
	if (file->memory)
		munmap(file->memory, file->bytes);
	if (file->fd >= 0)
		close(file->fd);
	file->memory = NULL;
	file->fd = -1;
}

void berth_dpdk_file_remove(const char *path)
{
	const char *fault;
	int fd = berth_private_open(path, O_RDWR, BERTH_MODE_OTHERS, &fault);
	unlink(path);
	if (fd < 0)
		return;
	if (ftruncate(fd, 0))
		berth_log("%s: its memory is not free before berth-dpdk ends: %s", path, strerror(errno));
	close(fd);
}
