/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The tables that an earlier berthd of the instance left, and what a new engine takes of them: by their record,
 * whatever engine, version and limits they were made with.
 */
#pragma once

#include "controlplane/engine/engine.h"

struct berth_kept {
	struct berth_record_file former;  /* what was found; its record NULL: none */
	struct berth_record_file current; /* what the new engine uses: the same file, or one of another size */
};

/*
 * Finds the tables of the instance, raises `geometry` as far as their numbers need it, decides on the sizes of the
 * tables, and makes their record, `kept->current`. -ENOTSUP: the tables have a format that is not known, and
 * nothing is changed; or another -errno. Both with one line in `error`.
 */
int berth_kept_open(struct berth_kept *kept, const struct berth_engine_paths *paths, enum berth_record_engine kind,
		    struct berth_geometry *geometry, char error[BERTH_ERROR_BYTES]);
/* Whether tables of the wanted sizes can take the place of the recorded ones, which are in use; else -ENOSPC with
 * the reason in `error`. */
int berth_kept_check(const struct berth_record *record, enum berth_record_engine kind,
		     const struct berth_geometry *wanted, char error[BERTH_ERROR_BYTES]);
/* Frees what the engine does not take over. */
void berth_kept_close(struct berth_kept *kept);
/* Copies the words and clients of stores of the same sizes. */
void berth_kept_copy(const struct berth_image *to, const struct berth_image *from,
		     const struct berth_store_sizes *sizes);
