/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Begins and ends captures: maps the file of berthd (interface/capture_file.h), gives each worker a recorder, and
 * puts the recording pipeline in the place of the ordinary one. Main lcore, between its other work.
 */
#pragma once

#include "dataplane/capture/recorder.h"
#include "dataplane/worker.h"

struct berth_capture {
	const char *instance;
	const struct berth_image *image;
	struct berth_worker_context *workers;
	uint32_t n_workers;
	uint64_t looked_cycles;		 /* the last look for a file */
	struct berth_capture_head *head; /* NULL: no capture */
	uint64_t bytes;
	struct berth_recorder *recorders; /* of head->workers */
	uint32_t n_recorders;
	bool is_ending; /* workers may still use the recorders: since `ended_cycles`, with these polls */
	uint64_t ended_cycles;
	uint64_t polls[BERTH_MAX_WORKERS];
};

/* Looks for a new capture, or for the end of the one that runs; cheap to call often. */
void berth_capture_follow(struct berth_capture *capture);
/* After the workers have ended. */
void berth_capture_close(struct berth_capture *capture);
