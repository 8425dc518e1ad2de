/* SPDX-License-Identifier: BSD-3-Clause */
/* The file of the record of an instance's tables (model/record.h): /dev/shm/berth/INSTANCE.record, in memory until
 * the next boot like the tables, for engines of every kind. Only root can enter the directory. */
#pragma once

#include "controlplane/model/record.h"
#include "controlplane/util/error.h"

struct berth_record_file {
	struct berth_record *record; /* mapped; NULL: none */
	uint64_t bytes;
};

/* Maps the existing record. 0, -ENOENT, or with the reason in `error`: -EINVAL: it is damaged; -ENOTSUP: its
 * version or its word format is another one. */
int berth_record_file_open(struct berth_record_file *file, const char *instance, char error[BERTH_ERROR_BYTES]);
/* Creates a record with this head, and the entries of `former` (NULL: none), beside the existing one. 0, or -errno
 * with one line in `error`. */
int berth_record_file_create(struct berth_record_file *file, const char *instance, const struct berth_record *head,
			     const struct berth_record *former, char error[BERTH_ERROR_BYTES]);
/* Replaces the instance's record by the created one. Where the former file is mapped it stays. 0, or -errno with
 * one line in `error`. */
int berth_record_file_install(const char *instance, char error[BERTH_ERROR_BYTES]);
/* Removes a created one that was not installed. */
void berth_record_file_drop(const char *instance);
void berth_record_file_close(struct berth_record_file *file);
void berth_record_file_remove(const char *instance);
