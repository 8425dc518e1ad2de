// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/engine/dpdk_image.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "controlplane/engine/dpdk_process.h"
#include "controlplane/util/log.h"
#include "controlplane/util/private_dir.h"
#include "dataplane/interface/private_file.h"

enum {
	HUGEPAGE_BYTES = 2 << 20,
	N_DIRS = 2,
};

/* The directories are root's alone: in /dev/shm any user can create a file, and an adopted image decides where
 * packets go. */
static const char *const mounts[N_DIRS] = {"/dev/hugepages", "/dev/shm"};
#define DIRECTORY "/berth"

static bool is_hugetlbfs(const char *dir)
{
	struct statfs fs;
	return statfs(dir, &fs) == 0 && fs.f_type == HUGETLBFS_MAGIC;
}

/* Whole hugepages, in either directory. */
static uint64_t file_bytes(const struct berth_geometry *geometry)
{
	return (berth_image_bytes(geometry) + HUGEPAGE_BYTES - 1) & ~(uint64_t)(HUGEPAGE_BYTES - 1);
}

/* -1: the file does not exist, is not private, has another size, or cannot be mapped; `reason` may say which. */
static int map_file(struct berth_dpdk_image *file, const char *path, const struct berth_geometry *geometry,
		    char reason[BERTH_ERROR_BYTES])
{
	struct stat stat;
	const char *fault;
	file->bytes = file_bytes(geometry);
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

void berth_dpdk_image_close(struct berth_dpdk_image *file)
{
	if (file->memory)
		munmap(file->memory, file->bytes);
	if (file->fd >= 0)
		close(file->fd);
	file->memory = NULL;
	file->fd = -1;
}

/* The header of a file that may be an image; zeroed: it cannot be read, or is of another version. */
static struct berth_ctl read_header(const char *path)
{
	struct berth_ctl ctl = {0};
	const char *fault;
	int fd = berth_private_open(path, O_RDONLY, BERTH_MODE_OTHERS, &fault);
	if (fd < 0)
		return ctl;
	if (pread(fd, &ctl, sizeof(ctl), 0) != sizeof(ctl) || ctl.magic != BERTH_MAGIC ||
	    ctl.abi != BERTH_ABI_VERSION)
		ctl = (struct berth_ctl){0};
	close(fd);
	return ctl;
}

/* The wanted geometry, with the number of workers of an existing image if that is larger. */
static struct berth_geometry geometry_of(const char *path, const struct berth_geometry *wanted)
{
	struct berth_geometry geometry = *wanted;
	const uint32_t workers = read_header(path).geometry.workers;
	if (workers > geometry.workers && workers <= BERTH_MAX_WORKERS)
		geometry.workers = workers;
	return geometry;
}

/* Stops the process that holds the file, and removes it. */
static void remove_file(struct berth_dpdk_image *file, const char *path, const char *status_path)
{
	const pid_t pid = (pid_t)read_header(path).engine_pid;
	const char *fault;
	if (file->fd < 0)
		file->fd = berth_private_open(path, O_RDWR, BERTH_MODE_OTHERS, &fault);
	if (file->fd >= 0 && berth_dpdk_process_is_running(file->fd))
		berth_dpdk_process_stop(file->fd, status_path, berth_dpdk_command_has_word(pid, path) ? pid : 0);
	berth_dpdk_image_close(file);
	unlink(path);
}

/* False: no image, or one that was not compatible and is removed now. */
static bool adopt(struct berth_dpdk_image *file, const char *path, struct berth_image *image,
		  const struct berth_geometry *wanted, const uint8_t *secret, const char *status_path)
{
	char reason[BERTH_ERROR_BYTES] = "the limits were changed";
	if (faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW))
		return false;
	const struct berth_geometry geometry = geometry_of(path, wanted);
	if (map_file(file, path, &geometry, reason) == 0) {
		berth_image_place(image, &geometry, file->memory);
		if (berth_image_is_compatible(image, secret, reason))
			return true;
	}
	berth_log("the tables in %s cannot be adopted (%s): flows and sessions are lost", path, reason);
	remove_file(file, path, status_path);
	return false;
}

/* Creates the file under a temporary name, so that no other process opens an unfinished image. */
static int create(struct berth_dpdk_image *file, const char *path, struct berth_image *image,
		  const struct berth_geometry *geometry, const uint8_t *secret)
{
	char temporary[300], reason[BERTH_ERROR_BYTES];
	snprintf(temporary, sizeof(temporary), "%s.new", path);
	unlink(temporary);
	int fd = open(temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	file->bytes = file_bytes(geometry);
	int err = ftruncate(fd, (off_t)file->bytes) ? -errno : 0;
	/* Reserves the pages: on tmpfs and hugetlbfs a page that is missing later is a SIGBUS. */
	if (!err)
		err = -posix_fallocate(fd, 0, (off_t)file->bytes);
	close(fd);
	if (!err && map_file(file, temporary, geometry, reason))
		err = -ENOMEM;
	if (!err) {
		berth_image_place(image, geometry, file->memory);
		err = berth_image_create(image, geometry, secret);
	}
	if (!err && rename(temporary, path))
		err = -errno;
	if (err) {
		berth_dpdk_image_close(file);
		unlink(temporary);
		return err;
	}
	snprintf(file->path, sizeof(file->path), "%s", path);
	return 0;
}

/* Whether images can be in the directory of mounts[i]. False with one line in `error`, which is also logged, or
 * with neither if hugetlbfs is not mounted. */
static bool make_directory(int i, char error[BERTH_ERROR_BYTES])
{
	char path[64];
	if (i == 0 && !is_hugetlbfs(mounts[i]))
		return false;
	snprintf(path, sizeof(path), "%s" DIRECTORY, mounts[i]);
	if (berth_private_dir_make(path, error) == 0)
		return true;
	berth_log("%s", error);
	return false;
}

static void make_path(int i, const char *instance, char path[256])
{
	snprintf(path, 256, "%s" DIRECTORY "/%s.image", mounts[i], instance);
}

void berth_dpdk_image_remove(const char *instance, const char *status_path)
{
	for (int i = 0; i < N_DIRS; i++) {
		struct berth_dpdk_image file = {.fd = -1};
		char path[256];
		make_path(i, instance, path);
		if (faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW))
			continue;
		berth_log("stopping the dpdk engine of this instance: its flows and sessions are lost");
		remove_file(&file, path, status_path);
		unlink(status_path);
	}
}

int berth_dpdk_image_open(struct berth_dpdk_image *file, struct berth_engine *engine,
			  const struct berth_engine_paths *paths, const struct berth_geometry *geometry,
			  const char *status_path, char error[BERTH_ERROR_BYTES])
{
	char path[N_DIRS][256];
	bool usable[N_DIRS];
	int err = -ENOMEM;
	for (int i = 0; i < N_DIRS; i++) {
		usable[i] = make_directory(i, error);
		make_path(i, paths->instance, path[i]);
		if (usable[i] && adopt(file, path[i], &engine->image, geometry, paths->secret, status_path)) {
			engine->adopted = true;
			return 0;
		}
	}
	for (int i = 0; i < N_DIRS; i++) {
		if (!usable[i])
			continue;
		err = create(file, path[i], &engine->image, geometry, paths->secret);
		if (!err) {
			berth_log("tables: %.1f MiB in %s%s", (double)file->bytes / (1 << 20), path[i],
				  i == 0 ? "" : " (no hugepages: 10 to 15% slower; see hugepages.md)");
			return 0;
		}
	}
	if (!usable[1])
		return err; /* make_directory has set `error` */
	snprintf(error, BERTH_ERROR_BYTES, "cannot create tables of %.1f MiB in %s: %s; lower limits.flows",
		 (double)file->bytes / (1 << 20), path[1], strerror(-err));
	return err;
}
