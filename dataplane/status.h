/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * RUN_DIR/INSTANCE-dpdk.json: there while the engine is ready, and says what it runs with. Main lcore.
 */
#pragma once

#include "dataplane/exception.h"
#include "dataplane/options.h"
#include "dataplane/ports.h"

/* Writes the file at once and whole (rename). 0 or -errno; the reason is logged. */
int berth_status_write(const struct berth_options *options, uint32_t workers, const struct berth_ports *ports,
		       const struct berth_exception *exception);
void berth_status_remove(const struct berth_options *options);
