/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The image that this engine shares with berthd: a file, mapped into both processes. Main lcore, at start and stop.
 *
 * The engine holds an open-file-description write lock on the whole file (fcntl(2), F_OFD_SETLK). The kernel
 * releases it when the process ends for whatever reason; berthd tests it (F_OFD_GETLK) to see whether an engine
 * runs.
 */
#pragma once

#include "dataplane/core/image.h"
#include "dataplane/interface/store.h"

struct berth_image_file {
	int fd;
	void *memory;
	uint64_t bytes; /* of the mapping */
	struct {
		void *memory; /* NULL: there is no such store */
		uint64_t bytes;
	} stores[BERTH_STORES];
	struct berth_image image;
};

/*
 * Locks, checks and maps the image at `path` and its stores (interface/store.h), and changes nothing in them. 0, or
 * -errno with the reason logged: -EBUSY: another engine holds the lock; -EACCES; -EPERM; -ENOENT; -EINVAL: not an
 * image of this ABI, a link, a file that other users could open, shorter than its geometry requires, or with an
 * index out of bounds.
 */
int berth_image_file_open(struct berth_image_file *file, const char *path);
void berth_image_file_close(struct berth_image_file *file);
