// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/util/private_dir.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "controlplane/util/log.h"
#include "dataplane/interface/private_file.h"

enum {
	TRIES = 3, /* another process may create the entry again */
	PATH_BYTES = 512,
};

/* Whether other users cannot rename or remove entries of `path`'s parent directory. */
static bool is_parent_safe(const char *path)
{
	char parent[PATH_BYTES];
	struct stat status;
	snprintf(parent, sizeof(parent), "%s", path);
	char *slash = strrchr(parent, '/');
	if (!slash)
		return false;
	*slash = '\0';
	if (stat(slash == parent ? "/" : parent, &status))
		return false;
	return (status.st_mode & S_ISVTX && (status.st_uid == 0 || status.st_uid == geteuid())) ||
	       !berth_private_fault(&status, BERTH_MODE_OTHERS_WRITE);
}

/* The owner may set the mode of the directory that it opened: a symbolic link is not followed. */
static int set_mode(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int err = fd < 0 || fchmod(fd, 0700) ? -errno : 0;
	if (fd >= 0)
		close(fd);
	return err;
}

static int move_aside(const char *path, const char *fault)
{
	char aside[PATH_BYTES];
	uint32_t number;
	if (getrandom(&number, sizeof(number), 0) != sizeof(number))
		return -EIO;
	snprintf(aside, sizeof(aside), "%s.not-private-%08x", path, number);
	if (rename(path, aside))
		return errno == ENOENT ? 0 : -errno;
	berth_log("%s is not used: %s; it is renamed to %s", path, fault, aside);
	return 0;
}

int berth_private_dir_make(const char *path, char error[BERTH_ERROR_BYTES])
{
	const char *fault = "other users can replace it: its parent directory is writable and not sticky";
	int err = -EPERM;
	for (int i = 0; i < TRIES && is_parent_safe(path); i++) {
		err = mkdir(path, 0700) && errno != EEXIST ? -errno : 0;
		fault = err ? strerror(-err) : berth_private_directory_fault(path, BERTH_MODE_OTHERS);
		if (!fault)
			return 0;
		/* A mode can be set for this user's own directory only. */
		if (!err && !berth_private_directory_fault(path, 0))
			err = set_mode(path);
		else if (!err)
			err = move_aside(path, fault);
		if (err)
			break;
		err = -EPERM;
	}
	snprintf(error, BERTH_ERROR_BYTES, "%s cannot be used: %s", path, fault);
	return err;
}
