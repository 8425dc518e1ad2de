/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The image that this engine shares with berthd: a file, mapped, locked for as long as the engine lives.
 *
 * The lock is an open-file-description write lock on the whole file: it ends with the process, however that
 * ends, and berthd asks F_OFD_GETLK whether an engine runs. Main lcore, at start and at the end.
 */
#pragma once

#include "dataplane/core/image.h"

struct berth_image_file {
	int fd;
	void *memory;
	uint64_t bytes; /* mapped */
	struct berth_image image;
};

/*
 * Locks, checks and maps the image at `path`. 0; -EBUSY: another engine has it; -EACCES, -EPERM; -ENOENT;
 * -EINVAL: not an image of this ABI, or of another length than its geometry says. The reason is logged.
 * Nothing in the image is changed.
 */
int berth_image_file_open(struct berth_image_file *file, const char *path);
void berth_image_file_close(struct berth_image_file *file);
