// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/saved/directory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controlplane/util/file.h"
#include "controlplane/util/log.h"
#include "controlplane/util/private_dir.h"

enum {
	FILE_BYTES = BERTH_STATE_PATH_BYTES + 64,
};

void berth_saved_directory_path(char path[BERTH_STATE_PATH_BYTES], const char *state_dir, const char *instance)
{
	snprintf(path, BERTH_STATE_PATH_BYTES, "%s/%s", state_dir, instance);
}

int berth_saved_directory_open(struct berth_saved_directory *directory, const char *state_dir, const char *instance,
			       char error[BERTH_ERROR_BYTES])
{
	berth_saved_directory_path(directory->path, state_dir, instance);
	if (mkdir(state_dir, 0700) && errno != EEXIST) {
		int err = -errno;
		snprintf(error, BERTH_ERROR_BYTES, "%s cannot be created: %s; create it, or set `state-dir`",
			 state_dir, strerror(-err));
		return err;
	}
	return berth_private_dir_make(directory->path, error);
}

static void path_of(const struct berth_saved_directory *directory, const char *name, char path[FILE_BYTES])
{
	snprintf(path, FILE_BYTES, "%s/%s", directory->path, name);
}

char *berth_saved_read(const struct berth_saved_directory *directory, const char *name, size_t *length,
		       char error[BERTH_ERROR_BYTES])
{
	char path[FILE_BYTES];
	const char *fault;
	path_of(directory, name, path);
	char *text = berth_file_read_private(path, length, &fault);
	error[0] = '\0';
	if (!text && errno != ENOENT)
		snprintf(error, BERTH_ERROR_BYTES, "%s", fault ? fault : strerror(errno));
	return text;
}

/* A rename is on the disk when its directory is. */
static int sync_directory(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int err = fsync(fd) ? -errno : 0;
	close(fd);
	return err;
}

int berth_saved_write(const struct berth_saved_directory *directory, const char *name, const char *text,
		      char error[BERTH_ERROR_BYTES])
{
	char path[FILE_BYTES];
	path_of(directory, name, path);
	int err = berth_file_write(path, text, strlen(text), 0600) ? -errno : sync_directory(directory->path);
	if (!err)
		return 0;
	snprintf(error, BERTH_ERROR_BYTES, "%s cannot be written: %s", path, strerror(-err));
	return err;
}

void berth_saved_set_aside(const struct berth_saved_directory *directory, const char *name, const char *reason,
			   char error[BERTH_ERROR_BYTES])
{
	char path[FILE_BYTES], aside[FILE_BYTES + 16];
	path_of(directory, name, path);
	snprintf(aside, sizeof(aside), "%s.damaged", path);
	int err = rename(path, aside) ? errno : 0;
	snprintf(error, BERTH_ERROR_BYTES, "%s is not used: %s; %s %s", path, reason,
		 err ? "it cannot be renamed:" : "it is kept as", err ? strerror(err) : aside);
	berth_log("ALARM: %s", error);
}
