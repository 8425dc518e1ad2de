// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/util/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dataplane/interface/private_file.h"

enum {
	MAX_FILE_BYTES = 8 << 20
};

/* Reads up to `max` bytes and closes the file. */
static char *read_file(FILE *file, size_t max, size_t *length)
{
	char *text = malloc(max + 1);
	size_t n = text ? fread(text, 1, max, file) : 0;
	if (text && ferror(file)) {
		free(text);
		text = NULL;
	} else if (text) {
		text[n] = 0;
		*length = n;
		char *shrunk = realloc(text, n + 1);
		text = shrunk ? shrunk : text;
	}
	int err = errno;
	fclose(file);
	errno = err;
	return text;
}

char *berth_file_read(const char *path, size_t *length)
{
	FILE *file = fopen(path, "re");
	return file ? read_file(file, MAX_FILE_BYTES + 1, length) : NULL;
}

char *berth_file_read_private(const char *path, size_t *length, const char **fault)
{
	int fd = berth_private_open(path, O_RDONLY, BERTH_MODE_OTHERS_WRITE, fault);
	struct stat status;
	FILE *file = fd < 0 || fstat(fd, &status) ? NULL : fdopen(fd, "r");
	if (file)
		return read_file(file, (size_t)status.st_size, length);
	int err = fd < 0 ? -fd : errno;
	if (fd >= 0)
		close(fd);
	errno = err;
	return NULL;
}

/* Writes a new file: an existing one, also a link to another, is removed first. */
static int write_file(const char *path, const char *text, size_t length, mode_t mode)
{
	unlink(path);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (fd < 0)
		return -1;
	ssize_t n = write(fd, text, length);
	int err = n == (ssize_t)length && fsync(fd) == 0 ? 0 : -1;
	if (n >= 0 && n != (ssize_t)length)
		errno = ENOSPC;
	close(fd);
	return err;
}

int berth_file_write(const char *path, const char *text, size_t length, unsigned int mode)
{
	char next[4096];
	snprintf(next, sizeof(next), "%s.new", path);
	int err = write_file(next, text, length, mode);
	return err ? err : rename(next, path);
}

int berth_file_replace(const char *path, const char *text, size_t length)
{
	char next[4096], old[4096];
	struct stat stat_now = {.st_mode = 0640};
	size_t n = 0;
	char *now = berth_file_read(path, &n);
	int err = 0;
	snprintf(next, sizeof(next), "%s.new", path);
	snprintf(old, sizeof(old), "%s.old", path);
	if (now && n == length && memcmp(now, text, n) == 0)
		goto out;
	if (now)
		stat(path, &stat_now);
	err = write_file(next, text, length, stat_now.st_mode & 0777);
	if (!err && now) {
		unlink(old);
		err = link(path, old);
	}
	if (!err)
		err = rename(next, path);
out:
	free(now);
	return err;
}
