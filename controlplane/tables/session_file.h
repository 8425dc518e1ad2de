/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The session table as a file. Entries are keyed by client address and by the ids of service and backend, so a file
 * is valid for tables of any size, for another engine, and after a reboot. Pinned sessions are not in it:
 * saved/pins.h.
 */
#pragma once

#include "controlplane/model/model.h"

struct berth_session_file_result {
	uint64_t sessions; /* written, or restored */
	uint64_t expired;  /* not restored: too old by now */
	uint64_t unknown;  /* not restored: their backend or its affinity is not configured */
	uint64_t no_room;  /* not restored: the table is full */
	uint64_t saved_s;  /* age of the file that was restored */
};

/*
 * Writes all sessions to `path`, with mode 0600, by rename after fsync; existing content is replaced. `unix_s`: the
 * time. Any thread, while workers run: sessions that change meanwhile are written as they were before or after. The
 * image must stay mapped. Returns 0, or -errno with one line in `error`.
 */
int berth_session_file_write(const struct berth_image *image, const char *path, int64_t unix_s,
			     struct berth_session_file_result *result, char error[BERTH_ERROR_BYTES]);

/*
 * Inserts the sessions of `path` into the table, with the ages that they have at `unix_s`, and leaves sessions that
 * are in the table already. The model's generation is current. Returns 0; -ENOENT: there is no file; -EINVAL: it is
 * damaged, of another version, or other users could write it, with the reason in `error`; nothing is restored then.
 */
int berth_session_file_restore(const struct berth_image *image, const struct berth_model *model, const char *path,
			       int64_t unix_s, struct berth_session_file_result *result,
			       char error[BERTH_ERROR_BYTES]);
