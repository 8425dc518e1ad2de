/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The status file RUN_DIR/INSTANCE-dpdk.json, which exists while the engine is ready. berthd reads it for `berthctl
 * show engine`. And the file RUN_DIR/INSTANCE-dpdk.fault, the last message of an engine that ended with an error,
 * which berthd tells its users. Main lcore.
 */
#pragma once

#include "dataplane/kernel_path.h"
#include "dataplane/options.h"
#include "dataplane/port_watch.h"

struct berth_status {
	const struct berth_options *options;
	uint32_t workers;
	const struct berth_ports *ports;
	const struct berth_kernel_path *kernel_path;
	const struct berth_port_watch *watch; /* has looked */
	bool is_due;			      /* to be written at once */
	int error;			      /* errno of the last try, which was logged; 0: none */
	uint64_t tried_cycles;
};

/* Writes the file each second, with what the ports count. An error is logged once. */
void berth_status_keep(struct berth_status *status);
void berth_status_remove(const struct berth_options *options);
/* Whether the former process was killed and used hugepages, by its status file, which is removed. */
bool berth_status_take_hugepages(const struct berth_options *options);
/* Errors are ignored: the message is in the log, too. */
void berth_status_write_fault(const struct berth_options *options, const char *message);
