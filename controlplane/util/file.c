// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/util/file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
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

#define DRAFT ".berthd-draft"
enum {
	DRAFT_BYTES = sizeof(DRAFT),
};

/* `like`: its owner and mode are kept; NULL: `mode`. An existing file, also a link to another, is removed first. */
static int write_file(const char *path, const char *text, size_t length, mode_t mode, const struct stat *like)
{
	unlink(path);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, like ? 0600 : mode);
	if (fd < 0)
		return -1;
	/* The owner first: a change of it clears bits of the mode. */
	int err = like && (fchown(fd, like->st_uid, like->st_gid) || fchmod(fd, like->st_mode & 07777)) ? -1 : 0;
	ssize_t n = err ? 0 : write(fd, text, length);
	if (!err && n >= 0 && n != (ssize_t)length)
		errno = ENOSPC;
	if (!err)
		err = n == (ssize_t)length && fsync(fd) == 0 ? 0 : -1;
	close(fd);
	return err;
}

bool berth_file_is_link(const char *path, char target[PATH_MAX])
{
	struct stat status;
	return lstat(path, &status) == 0 && S_ISLNK(status.st_mode) && realpath(path, target);
}

int berth_file_write(const char *path, const char *text, size_t length, unsigned int mode)
{
	char next[4096];
	snprintf(next, sizeof(next), "%s.new", path);
	int err = write_file(next, text, length, mode, NULL);
	return err ? err : rename(next, path);
}

/* The directory that has the file, so that its new entry is on disk. */
static int sync_directory_of(const char *path)
{
	char copy[PATH_MAX];
	snprintf(copy, sizeof(copy), "%s", path);
	int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int err = fd < 0 ? -1 : fsync(fd);
	if (fd >= 0)
		close(fd);
	return err;
}

/* The file to be replaced, and its draft. False: it is not there yet, or a link to nothing. */
static bool find_draft(const char *path, char target[PATH_MAX], char draft[PATH_MAX + DRAFT_BYTES])
{
	if (!realpath(path, target))
		return false;
	snprintf(draft, PATH_MAX + DRAFT_BYTES, "%s" DRAFT, target);
	return true;
}

void berth_file_draft(const char *path, const char *text, size_t length)
{
	char target[PATH_MAX], draft[PATH_MAX + DRAFT_BYTES];
	char next[PATH_MAX + DRAFT_BYTES + 8];
	struct stat before;
	if (!find_draft(path, target, draft) || stat(target, &before))
		return;
	/* It has its name when it is on the disk. */
	snprintf(next, sizeof(next), "%s.new", draft);
	if (write_file(next, text, length, 0640, &before) || rename(next, draft))
		unlink(next);
}

void berth_file_drop_draft(const char *path)
{
	char target[PATH_MAX], draft[PATH_MAX + DRAFT_BYTES], next[PATH_MAX + DRAFT_BYTES + 8];
	if (!find_draft(path, target, draft))
		return;
	snprintf(next, sizeof(next), "%s.new", draft);
	unlink(next);
	unlink(draft);
}

/* Whether there is a draft with this text, of the owner and the mode of the file before, which then is `next`. */
static bool take_draft(const char *path, const char *next, const struct stat *before, const char *text,
		       size_t length)
{
	char target[PATH_MAX], draft[PATH_MAX + DRAFT_BYTES];
	struct stat status;
	size_t n = 0;
	if (!find_draft(path, target, draft) || lstat(draft, &status) || !S_ISREG(status.st_mode) ||
	    (size_t)status.st_size != length || status.st_uid != before->st_uid ||
	    status.st_gid != before->st_gid || status.st_mode != before->st_mode)
		return false;
	char *drafted = berth_file_read(draft, &n);
	const bool is_same = drafted && n == length && memcmp(drafted, text, n) == 0;
	free(drafted);
	return is_same && rename(draft, next) == 0;
}

int berth_file_replace(const char *path, const char *text, size_t length)
{
	char target[PATH_MAX], next[PATH_MAX + 8], old[PATH_MAX + 8];
	struct stat before;
	size_t n = 0;
	char *now = berth_file_read(path, &n);
	/* A new file has no target yet; a link to nothing is an error. */
	if (!realpath(path, target)) {
		if (errno != ENOENT || lstat(path, &before) == 0)
			goto fail;
		snprintf(target, sizeof(target), "%s", path);
	}
	snprintf(next, sizeof(next), "%s.new", target);
	snprintf(old, sizeof(old), "%s.old", target);
	if (now && n == length && memcmp(now, text, n) == 0)
		goto out;
	if (now && stat(target, &before))
		goto fail;
	const bool has_draft = now && take_draft(path, next, &before, text, length);
	/* One of another text takes room. */
	if (!has_draft)
		berth_file_drop_draft(path);
	if (!has_draft && write_file(next, text, length, 0640, now ? &before : NULL))
		goto fail_next;
	if (now) {
		unlink(old);
		if (link(target, old))
			goto fail_next;
	}
	if (rename(next, target))
		goto fail_next;
	if (sync_directory_of(target))
		goto fail;
out:
	free(now);
	return 0;
fail_next:
	n = (size_t)errno;
	unlink(next);
	errno = (int)n;
fail:
	free(now);
	return -1;
}
