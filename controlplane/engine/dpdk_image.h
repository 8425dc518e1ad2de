/* SPDX-License-Identifier: BSD-3-Clause */
/* The DPDK engine's image: a file in hugetlbfs (/dev/hugepages/berth), else in /dev/shm/berth, that berthd
 * creates and berth-dpdk maps. Only root can enter the directories. */
#pragma once

#include "controlplane/engine/engine.h"

struct berth_dpdk_image {
	char path[256];
	uint64_t bytes;
	void *memory;
	int fd; /* -1: not open */
};

/*
 * Adopts the instance's image or creates one: sets `engine`'s image and `adopted`. An image may have counters for
 * more workers than `geometry`. One of another geometry, ABI version or secret, with an index out of bounds, or
 * that other users could open is removed, after the process that holds it is stopped; `status_path` is that of its
 * status file. 0, or -errno with one line in `error`.
 */
int berth_dpdk_image_open(struct berth_dpdk_image *file, struct berth_engine *engine,
			  const struct berth_engine_paths *paths, const struct berth_geometry *geometry,
			  const char *status_path, char error[BERTH_ERROR_BYTES]);
void berth_dpdk_image_close(struct berth_dpdk_image *file);
/* Removes the instance's image, if there is one, after the process that holds it is stopped; both are logged. */
void berth_dpdk_image_remove(const char *instance, const char *status_path);
