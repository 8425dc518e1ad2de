/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sends the probes of all targets and collects the replies, on berthd's event loop. A run takes about 0.3 s if all
 * probes are answered and about 2 s if not, for any number of targets.
 */
#pragma once

#include "controlplane/doctor/probe.h"
#include "controlplane/util/error.h"

struct event_base;
struct berth_doctor_run;

/* `results` has one element per target, in their order. The run frees itself after the call. */
typedef void berth_doctor_done_fn(void *arg, const struct berth_doctor_results *results);

/* Copies the targets. Calls `done` later, unless the run is freed first. NULL: failed, with one line in `error`.
 * Needs CAP_NET_RAW. */
struct berth_doctor_run *berth_doctor_run_new(struct event_base *base, const struct berth_doctor_target *targets,
					      size_t n, berth_doctor_done_fn *done, void *arg,
					      char error[BERTH_ERROR_BYTES]);
void berth_doctor_run_free(struct berth_doctor_run *run);
