/* SPDX-License-Identifier: BSD-3-Clause */
/* Whole files. */
#pragma once

#include <stddef.h>

/* The contents, with a final 0 that `length` does not count; NULL with errno. Freed by the caller. */
char *berth_file_read(const char *path, size_t *length);
/* Writes the file anew: whenever it is looked at, the old one or this one is there whole. 0 or -1 with errno. */
int berth_file_write(const char *path, const char *text, size_t length, unsigned int mode);
/* Writes the file anew, keeping the old one as PATH.old: whenever it is looked at, one or the other is there
 * whole. Nothing is done where the contents are the same. 0 or -1 with errno. */
int berth_file_replace(const char *path, const char *text, size_t length);
