/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Frames that the XDP program has handed to a driver and that the driver did not send: their counters, and trials.
 * The counting programs (bpf/berth_trace.bpf.c) are pinned beside the program: they count without berthd, too.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "controlplane/util/error.h"

struct bpf_object;

struct berth_xdp_trace {
	struct bpf_object *object; /* NULL: not loaded; nothing is counted, and every trial succeeds */
	int refused;		   /* descriptor of the map, owned by the object */
	int program;		   /* of trials, likewise */
	int trial_process;	   /* descriptor of the map with that variable, likewise */
	uint32_t netns;		   /* inode number of berthd's network namespace */
	bool cannot_try;	   /* the kernel cannot run trials; logged */
};

struct berth_xdp_refused {
	uint64_t frames; /* since the interface was first used */
	uint64_t trials; /* frames of trials, which are not among them */
	int err;	 /* -errno of the last one; 0: the driver gave none */
};

/* Loads the programs of `object`, a path, attaches them, and adopts the counters of an earlier berthd. `dir`: of
 * the pins. An error is logged: forwarding does not need it. */
void berth_xdp_trace_open(struct berth_xdp_trace *trace, const char *object, const char *dir);
void berth_xdp_trace_close(struct berth_xdp_trace *trace);

/* Counts for this interface from now on. */
void berth_xdp_trace_add(const struct berth_xdp_trace *trace, uint32_t ifindex);
struct berth_xdp_refused berth_xdp_trace_refused(const struct berth_xdp_trace *trace, uint32_t ifindex);
/*
 * Sends a frame that no host takes, as the program would: received on interface `from`, which has a native program,
 * and redirected to `to`. False: its driver did not send it, with the reason in `reason`.
 */
bool berth_xdp_trace_try(struct berth_xdp_trace *trace, uint32_t from, uint32_t to, char reason[BERTH_ERROR_BYTES]);
