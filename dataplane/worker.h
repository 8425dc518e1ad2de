/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A worker: an lcore that polls one receive queue of each port and runs the pipeline on every burst.
 *
 * Worker w polls receive queue w of each port that has one, and owns transmit queue w of every port. A queue has
 * one owner, so workers need no locks.
 *
 * Idle workers of mode `adaptive` spin for some turns, then sleep for 1, 2, 4 ... us, at most
 * BERTH_WORKER_SLEEP_US. After BERTH_WORKER_LONG_PAUSE_US of sleep without a packet the limit is
 * BERTH_WORKER_LONG_SLEEP_US, 0.5% of that pause. The packet that ends a sleep is late by its length and some 5 us
 * to wake up, on a free core. A sleep costs the CPU time of waking up: 19 us measured on a virtual machine. A
 * worker that receives packets never sleeps.
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
	uint16_t rx_queues[BERTH_MAX_PORTS]; /* of each port; the worker polls it if `number` is less */
	const bool *stop;		     /* written by the main lcore */
	struct berth_doorbell *doorbell;     /* rung when pipeline.pass has packets */
	struct berth_pipeline pipeline;
	berth_pipeline_fn
		*run; /* written by the main lcore: the ordinary pipeline, or while a capture runs another */
};

/* For rte_eal_remote_launch; `context` is a struct berth_worker_context. Returns 0 when `*stop` is set. */
int berth_worker_run(void *context);
