/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The DPDK engine's image and stores: files that berthd creates and berth-dpdk maps (dpdk_file.h). A new image
 * replaces one that a process uses when that process has ended, just before the next one starts.
 */
#pragma once

#include "controlplane/engine/dpdk_stores.h"
#include "controlplane/engine/engine.h"

struct berth_dpdk_image {
	struct berth_dpdk_file file; /* of the image; its path is the one that it has when berth-dpdk starts */
	struct berth_dpdk_stores stores;
	char former[BERTH_DPDK_PATH_BYTES]; /* the image that this one is to replace; "": none */
	bool is_installed;		    /* it has its name; the former one has another until settle */
	char status_path[BERTH_DPDK_PATH_BYTES];
};

/*
 * Opens the stores. Adopts the instance's image or creates one: sets `engine`'s image and `is_image_adopted`. An
 * image may have counters for more workers than `geometry`. One of another geometry, ABI version or secret, with an
 * index out of bounds, or that other users could open is replaced. `status_path` is that of the status file of
 * berth-dpdk. 0, or -errno with one line in `error`.
 */
int berth_dpdk_image_open(struct berth_dpdk_image *image, struct berth_engine *engine,
			  const struct berth_engine_paths *paths, const struct berth_geometry *geometry,
			  const char *status_path, char error[BERTH_ERROR_BYTES]);
/* Ends the process that uses the former image, and gives the new one its name. No effect if there is none. -errno
 * with one line in `error`. */
int berth_dpdk_image_install(struct berth_dpdk_image *image, char error[BERTH_ERROR_BYTES]);
/* After install: removes the former image, or gives the names back if berth-dpdk has not started. */
void berth_dpdk_image_settle(struct berth_dpdk_image *image, bool has_started);
/* The process that uses the former image, which `install` ends; 0: not known. */
pid_t berth_dpdk_image_former_pid(const struct berth_dpdk_image *image);
void berth_dpdk_image_close(struct berth_dpdk_image *image);
/* As in berth_engine_ops. */
uint32_t berth_dpdk_image_swept(const char *instance);
/* Stops the process that uses the instance's image. */
void berth_dpdk_image_halt(const char *instance, const char *status_path);
/* Removes the instance's image and stores, if there are any, after the process that uses them is stopped; both are
 * logged. */
void berth_dpdk_image_remove(const char *instance, const char *status_path);
