/* SPDX-License-Identifier: BSD-3-Clause */
/* The stores of the DPDK engine: files beside its image, which outlive it (dataplane/interface/store.h). */
#pragma once

#include "controlplane/engine/dpdk_file.h"
#include "controlplane/engine/engine.h"

struct berth_dpdk_stores {
	struct berth_dpdk_file file[BERTH_STORES]; /* memory NULL: there is none */
};

/* Opens the stores of these sizes, creates those that are missing, and sets the image's pointers to them. 0, or
 * -errno with one line in `error`. */
int berth_dpdk_stores_open(struct berth_dpdk_stores *stores, const char *instance,
			   const struct berth_store_sizes *sizes, struct berth_image *image,
			   char error[BERTH_ERROR_BYTES]);
void berth_dpdk_stores_close(struct berth_dpdk_stores *stores);
/* Removes the stores of other sizes; with `sizes` NULL all. */
void berth_dpdk_stores_remove(const char *instance, const struct berth_store_sizes *sizes);
/* Maps existing ones; -ENOENT: one is missing. */
int berth_dpdk_stores_map(const char *instance, const struct berth_store_sizes *sizes,
			  struct berth_mapped_stores *mapped);
