/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A capture of the DPDK engine: a file (dataplane/interface/capture_file.h) that berth-dpdk finds within a second,
 * and into which its workers write copies of packets until berthd ends the capture or does not look at it any more.
 */
#pragma once

#include "controlplane/engine/dpdk_file.h"
#include "controlplane/engine/engine.h"
#include "dataplane/interface/capture_file.h"

struct berth_dpdk_capture {
	char path[BERTH_CAPTURE_PATH_BYTES];
	struct berth_dpdk_file file; /* without memory: no capture runs */
	uint64_t started_ms;	     /* CLOCK_MONOTONIC */
	bool was_taken;		     /* by berth-dpdk */
};

/* Removes what a berthd that was killed has left. */
void berth_dpdk_capture_init(struct berth_dpdk_capture *capture, const char *instance);
/* That of an engine of this kind. */
struct berth_dpdk_capture *berth_dpdk_capture_of(struct berth_engine *engine);
/* The operations of the engine. */
int berth_dpdk_capture_start(struct berth_engine *engine, const struct berth_capture_filter *filter,
			     char error[BERTH_ERROR_BYTES]);
int berth_dpdk_capture_read(struct berth_engine *engine, uint32_t most, berth_capture_fn *fn, void *arg,
			    uint64_t *missed);
void berth_dpdk_capture_stop(struct berth_engine *engine);
