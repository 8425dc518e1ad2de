/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The configurations that were in force, newest last: texts and an index in the state directory, a bounded number.
 * Also which of them waits for a confirmation, and until when. One thread; berthd's daemon/config_history.c adds
 * and restores, commands show.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controlplane/saved/directory.h"

enum {
	BERTH_HISTORY_ENTRIES = 20,
	BERTH_HISTORY_TEXT_BYTES = 240,
};

struct berth_history_entry {
	uint32_t number;		       /* counts up from 1 */
	int64_t unix_s;			       /* when it came into force */
	int64_t uid;			       /* who asked for it; -1: berthd itself */
	uint64_t digest;		       /* of its text */
	char what[BERTH_HISTORY_TEXT_BYTES];   /* the command, or another cause */
	char change[BERTH_HISTORY_TEXT_BYTES]; /* what it changed */
};

/* The newest entry is in force until `until_s`. */
struct berth_history_confirmation {
	uint32_t former;  /* number of the entry that is in force afterwards; 0: none is awaited */
	int64_t until_s;  /* Unix time */
	uint32_t seconds; /* that it had at first: no clock makes more of them */
	bool is_saved;	  /* a confirmation writes the configuration file */
};

struct berth_history {
	struct berth_history_entry entries[BERTH_HISTORY_ENTRIES];
	size_t n;
	struct berth_history_confirmation confirmation;
};

/* Reads the index. A damaged one is set aside, with one line in `error`; the history is empty then. */
void berth_history_read(struct berth_history *history, const struct berth_saved_directory *directory,
			char error[BERTH_ERROR_BYTES]);
/* Writes the index. Returns 0, or -errno with one line in `error`. */
int berth_history_write(const struct berth_history *history, const struct berth_saved_directory *directory,
			char error[BERTH_ERROR_BYTES]);
/* Adds an entry with its text, whose number it sets; the oldest one goes if there are too many. On an error the
 * history has the entry, and its text cannot be read. As berth_history_write. */
int berth_history_add(struct berth_history *history, const struct berth_saved_directory *directory,
		      const struct berth_history_entry *entry, const char *text, char error[BERTH_ERROR_BYTES]);

/* NULL: no such number. */
const struct berth_history_entry *berth_history_entry(const struct berth_history *history, uint32_t number);
/* `steps` before the newest one. NULL: there are not so many. */
const struct berth_history_entry *berth_history_back(const struct berth_history *history, size_t steps);
/* The text of an entry; the caller frees it. NULL with one line in `error`. */
char *berth_history_text(const struct berth_saved_directory *directory, const struct berth_history_entry *entry,
			 size_t *length, char error[BERTH_ERROR_BYTES]);
/* Seconds until the confirmation is due; 0: it is over. */
uint32_t berth_history_left(const struct berth_history_confirmation *confirmation, int64_t now_s);
