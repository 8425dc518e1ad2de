/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads and writes whole files. */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

/* The contents and a final 0, which `length` does not count; the caller frees them. At most 8 MiB + 1 byte. NULL
 * with errno set. */
char *berth_file_read(const char *path, size_t *length);
/* The same for a file of any size that only this user and root can write, and not through a link. NULL with errno
 * set; `fault`: why the file is refused, or NULL for another error. */
char *berth_file_read_private(const char *path, size_t *length, const char **fault);
/* Whether the path is a link; then with the file that it leads to. */
bool berth_file_is_link(const char *path, char target[PATH_MAX]);
/* Replaces the file atomically: a reader sees the old or the new contents, whole. 0, or -1 with errno set. */
int berth_file_write(const char *path, const char *text, size_t length, unsigned int mode);
/* The same, with the owner and the mode of the old file, which is kept as PATH.old. Of a link the target is
 * replaced, beside it on its file system. No effect if the contents are equal. 0, or -1 with errno set. */
int berth_file_replace(const char *path, const char *text, size_t length);
/* Writes what berth_file_replace with this text will write, to PATH.berthd-draft on the disk, so that it only
 * renames that. From any thread. Without effect if it cannot be written. */
void berth_file_draft(const char *path, const char *text, size_t length);
/* Removes a draft that was not used. */
void berth_file_drop_draft(const char *path);
