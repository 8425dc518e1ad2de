/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A worker: one lcore that polls its receive queue of every port and runs the pipeline over what came.
 *
 * Worker w polls queue w of each port that has one, and owns transmit queue w of every port; so no queue has
 * two owners, and a worker needs neither locks nor system calls of its own.
 *
 * An adaptive worker that finds nothing spins some turns, then sleeps for 1, 2, 4 ... microseconds, at most
 * BERTH_WORKER_SLEEP_US: the first packet after a pause waits that long and the time the kernel takes to wake
 * a thread (some 5 us on a free core) in the worst case. While packets come it never sleeps. When it has slept for
 * BERTH_WORKER_LONG_PAUSE_US without a packet, it goes on to BERTH_WORKER_LONG_SLEEP_US, half a percent of that:
 * what a sleep costs is the waking up, which on a virtual machine was measured as 19 us.
 */
#pragma once

#include <stdbool.h>

#include "dataplane/doorbell.h"
#include "dataplane/pipeline.h"

enum {
	BERTH_WORKER_SLEEP_US = 100,
	BERTH_WORKER_LONG_PAUSE_US = 200000,
	BERTH_WORKER_LONG_SLEEP_US = 1000,
};

struct berth_worker_context {
	const struct berth_image *image;
	uint32_t number;
	bool adaptive;
	uint16_t rx_queues[BERTH_MAX_PORTS]; /* of each port: it is polled if `number` is below */
	const bool *stop;		     /* set by the main lcore, read with BERTH_LOAD */
	struct berth_doorbell *doorbell;     /* of who takes what is passed */
	struct berth_pipeline pipeline;
	berth_pipeline_fn *run; /* chosen by the worker itself */
};

/* An lcore's function (rte_eal_remote_launch); `context` is a struct berth_worker_context. Returns 0 when
 * `stop` is set. */
int berth_worker_run(void *context);
