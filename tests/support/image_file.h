/* SPDX-License-Identifier: BSD-3-Clause */
/* The files of an image as berth-dpdk opens them: its own sections at a path, its stores beside it. */
#pragma once

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dataplane/interface/store.h"

static inline void *image_file_map(const char *path, int flags, uint64_t bytes)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | flags, 0600);
	if (fd < 0 || ((flags & O_CREAT) && ftruncate(fd, (off_t)bytes))) {
		perror(path);
		exit(2);
	}
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (memory != MAP_FAILED)
		return memory;
	perror(path);
	exit(2);
}

/* Maps the files; with O_CREAT in `flags` creates them anew. */
static inline void image_file_open(struct berth_image *image, const char *path, int flags,
				   const struct berth_geometry *geometry)
{
	const struct berth_store_sizes sizes = {.flows = geometry->flow_buckets,
						.sessions = geometry->session_buckets};
	struct berth_store stores[BERTH_STORES];
	berth_image_place_own(image, geometry, image_file_map(path, flags, berth_image_own_bytes(geometry)));
	berth_stores_list(image, &sizes, stores);
	for (int i = 0; i < BERTH_STORES; i++) {
		char name[BERTH_STORE_PATH_BYTES];
		if (!stores[i].count)
			continue;
		berth_store_path(path, &stores[i], 0, name);
		if (flags & O_CREAT)
			unlink(name);
		*stores[i].memory = image_file_map(name, flags, berth_store_bytes(&stores[i]));
	}
}
