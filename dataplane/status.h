/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The status file RUN_DIR/INSTANCE-dpdk.json, which exists while the engine is ready. berthd reads it for `berthctl
 * show engine`. Main lcore.
 */
#pragma once

#include "dataplane/kernel_path.h"
#include "dataplane/options.h"
#include "dataplane/ports.h"

/* Writes a temporary file and renames it, so that readers see all of it. 0 or -errno; the reason is logged. */
int berth_status_write(const struct berth_options *options, uint32_t workers, const struct berth_ports *ports,
		       const struct berth_kernel_path *kernel_path);
void berth_status_remove(const struct berth_options *options);
