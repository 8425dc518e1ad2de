/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The process berth-dpdk: start, restart and stop. The process locks the image file as long as it lives (an open
 * file description lock, fcntl(2)), so any berthd sees whether one runs, also one that another berthd started.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "controlplane/engine/dpdk_command.h"
#include "controlplane/util/error.h"

struct event;
struct event_base;

struct berth_dpdk_process {
	struct berth_dpdk_command command;
	char status_path[256]; /* the file that berth-dpdk writes when its ports are up */
	int image_fd;	       /* of the image file; not owned */
	pid_t child;	       /* 0: this berthd started none */
	struct event *watch;
	uint32_t backoff_ms; /* until the next restart */
	uint32_t waited_ms;  /* since the last end; while it runs: since its start */
	uint32_t restarts;
};

/* Whether a process holds the lock of the image file: it forwards. */
bool berth_dpdk_process_is_running(int image_fd);

/* Starts the process unless one runs, waits until its ports are up, and restarts it when it ends. 0, or -errno with
 * one line in `error`. */
int berth_dpdk_process_start(struct berth_dpdk_process *process, struct event_base *base,
			     char error[BERTH_ERROR_BYTES]);
/* Ends the supervision; the process runs on. */
void berth_dpdk_process_detach(struct berth_dpdk_process *process);
/* Ends the process with SIGTERM without waiting for it; the supervision starts it again. */
void berth_dpdk_process_restart(struct berth_dpdk_process *process);
/* What the status file says; NULL: there is none, or other users can write it, which is logged. */
json_t *berth_dpdk_process_read_status(const char *status_path);
/* Stops the process that holds the lock, with SIGTERM and after 5 s SIGKILL, and waits for its end. `child`: its id
 * if this berthd started it; 0: the id is in the status file. */
void berth_dpdk_process_stop(int image_fd, const char *status_path, pid_t child);
