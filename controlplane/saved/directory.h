/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The state directory of an instance, STATE-DIR/INSTANCE: files that survive a reboot. Root's alone. Files are
 * replaced by rename after fsync, so a reader finds the former content or the new one.
 */
#pragma once

#include <stddef.h>

#include "controlplane/util/error.h"

enum {
	BERTH_STATE_PATH_BYTES = 512,
};

struct berth_saved_directory {
	char path[BERTH_STATE_PATH_BYTES];
};

/* Writes STATE-DIR/INSTANCE. */
void berth_saved_directory_path(char path[BERTH_STATE_PATH_BYTES], const char *state_dir, const char *instance);
/* Creates STATE-DIR (not its parents) and STATE-DIR/INSTANCE where they are missing. Returns 0, or -errno with one
 * line in `error`; then `directory` is set nevertheless, and a later call can succeed. */
int berth_saved_directory_open(struct berth_saved_directory *directory, const char *state_dir, const char *instance,
			       char error[BERTH_ERROR_BYTES]);

/* The content of the file `name`; the caller frees it. NULL: there is none, with "" in `error`, or it cannot be
 * used, with the reason in `error`. */
char *berth_saved_read(const struct berth_saved_directory *directory, const char *name, size_t *length,
		       char error[BERTH_ERROR_BYTES]);
/* Returns 0, or -errno with one line in `error`. */
int berth_saved_write(const struct berth_saved_directory *directory, const char *name, const char *text,
		      char error[BERTH_ERROR_BYTES]);
/* Renames a file that cannot be used to NAME.damaged and logs it with the reason; one line in `error`. */
void berth_saved_set_aside(const struct berth_saved_directory *directory, const char *name, const char *reason,
			   char error[BERTH_ERROR_BYTES]);
