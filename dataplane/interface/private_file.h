/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Files and directories that other users must not be able to plant, replace or change: images, status, state and
 * lock files. "This user" is the effective user of the process; root's files are valid for every user. Any thread.
 */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	BERTH_MODE_OTHERS = 077,       /* permission bits of other users */
	BERTH_MODE_OTHERS_WRITE = 022, /* those to write */
};

/* Why a file or directory with this status is not private: it has a permission bit of `forbidden`, another owner or
 * more than one name. NULL: it is. */
static inline const char *berth_private_fault(const struct stat *status, mode_t forbidden)
{
	if (status->st_uid != 0 && status->st_uid != geteuid())
		return "it belongs to another user";
	if (status->st_mode & forbidden & BERTH_MODE_OTHERS_WRITE)
		return "other users can write it";
	if (status->st_mode & forbidden)
		return "other users can read it";
	if (!S_ISDIR(status->st_mode) && status->st_nlink > 1)
		return "it has several names (hard links)";
	return NULL;
}

/* The same for the directory at `path`, which must not be a symbolic link. */
static inline const char *berth_private_directory_fault(const char *path, mode_t forbidden)
{
	struct stat status;
	if (lstat(path, &status))
		return "it cannot be read";
	return S_ISDIR(status.st_mode) ? berth_private_fault(&status, forbidden) : "it is not a directory";
}

/* The same for an open file, which must be a regular one. */
static inline const char *berth_private_file_fault(int fd, mode_t forbidden)
{
	struct stat status;
	if (fstat(fd, &status))
		return "it cannot be read";
	return S_ISREG(status.st_mode) ? berth_private_fault(&status, forbidden) : "it is not a file";
}

/*
 * open(2) of a regular file without following a link, new ones with mode 0600. The descriptor, or -errno with
 * `fault` set: why the file is refused, or NULL for another error.
 */
static inline int berth_private_open(const char *path, int flags, mode_t forbidden, const char **fault)
{
	/* O_NONBLOCK: open(2) does not wait for the other end of a pipe. */
	const int fd = open(path, flags | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);
	if (fd < 0) {
		const int error = errno;
		*fault = error == ELOOP ? "it is a symbolic link" : NULL;
		return -error;
	}
	*fault = berth_private_file_fault(fd, forbidden);
	if (!*fault)
		return fd;
	close(fd);
	return -EPERM;
}
