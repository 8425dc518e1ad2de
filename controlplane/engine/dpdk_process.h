/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The process berth-dpdk: start, end, and what it says. dpdk_supervisor.h keeps it running. The process locks the
 * image file as long as it lives (an open file description lock, fcntl(2)), so any berthd sees whether one runs,
 * also one that another berthd started.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "controlplane/engine/dpdk_command.h"
#include "controlplane/engine/engine.h"
#include "controlplane/engine/restart_policy.h"
#include "controlplane/util/error.h"
#include "dataplane/core/image.h"
#include "dataplane/interface/heartbeat.h"

struct event;
struct event_base;

/* Notices a process that exists and does nothing. */
struct berth_hang_watch {
	struct berth_heartbeat since;  /* the sample that a worker has not polled since */
	uint64_t seen_ms;	       /* CLOCK_MONOTONIC of the last look */
	uint32_t silent_ms;	       /* how long it has not, by looks */
	char fault[BERTH_ERROR_BYTES]; /* why berthd has killed it; "": it has not */
};

struct berth_dpdk_process {
	struct berth_dpdk_command command;
	char status_path[256]; /* the file that berth-dpdk writes when its ports are up */
	char fault_path[256];  /* the file with the last message of a start that failed */
	const struct berth_image *image;
	const char *image_path;
	int image_fd; /* of the image file; not owned */
	const char *run_dir;
	pid_t child;	/* the process that this berthd, or systemd for it, started; 0: none */
	int connection; /* to the one that systemd started (util/activation.h); -1: none */
	struct event *watch;
	struct event *death;	    /* of the process's pidfd; NULL: none */
	bool is_beside;		    /* another engine goes on if this one does not start */
	bool is_held;		    /* it must not start: an interface is missing */
	bool is_ending;		    /* it got SIGTERM */
	bool is_starting;	    /* it was started, and does not forward yet */
	bool has_run;		    /* it was seen running since it was started or adopted */
	uint64_t former_generation; /* it must not start with this one, which is of other ports; UINT64_MAX: none */
	uint64_t changed_ms;	    /* CLOCK_MONOTONIC of its last start or end */
	struct berth_restart_policy policy;
	struct berth_hang_watch hang;
	struct berth_engine_process *report; /* of its engine */
};

/* Whether a process holds the lock of the image file. */
bool berth_dpdk_process_is_running(int image_fd);
/* Whether the process that holds the lock forwards: its ports are open, and its workers run. */
bool berth_dpdk_process_is_forwarding(const struct berth_dpdk_process *process);
/* Whether a process runs that was started with other options than `command`; `difference` says which. */
bool berth_dpdk_process_differs(const struct berth_dpdk_process *process, const struct berth_dpdk_command *command,
				char difference[BERTH_ERROR_BYTES]);

/* Starts the process: through systemd where it listens for that, else as a child. Does not wait for it. 0 or
 * -errno.
 */
int berth_dpdk_process_spawn(struct berth_dpdk_process *process);
/* Whether this berthd has started a process that has not ended yet. */
bool berth_dpdk_process_is_started(const struct berth_dpdk_process *process);
/* Forgets the process that this berthd has started, which has ended. */
void berth_dpdk_process_forget(struct berth_dpdk_process *process);
/* Whether the child has ended; writes how to `text`, with its last message if it ended by itself. Its state is the
 * caller's. */
bool berth_dpdk_process_has_ended(struct berth_dpdk_process *process, char text[BERTH_ERROR_BYTES]);
/* Whether the child that was starting forwards now. True once. */
bool berth_dpdk_process_has_started(struct berth_dpdk_process *process);
/* What the status file says; NULL: there is none, or other users can write it, which is logged. */
json_t *berth_dpdk_process_read_status(const char *status_path);
/* Stops the process that holds the lock, with SIGTERM and after 5 s SIGKILL, and waits for its end. `pid`: its id;
 * 0: that is in the status file. */
void berth_dpdk_process_stop(int image_fd, const char *status_path, pid_t pid);
/* The process that holds the lock: the one that the image or the status file names, if its command line has the
 * image; 0: not known. */
pid_t berth_dpdk_process_pid(const struct berth_dpdk_process *process);
