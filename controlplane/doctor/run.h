/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sends every target's probes at once and gathers what comes back, on berthd's event loop. Takes about two seconds,
 * a third of one where all is well, however many targets there are.
 */
#pragma once

#include "controlplane/doctor/probe.h"
#include "controlplane/util/error.h"

struct event_base;
struct berth_doctor_run;

/* One for each target, in their order. The run frees itself afterwards. */
typedef void berth_doctor_done_fn(void *arg, const struct berth_doctor_evidence *evidence);

/* Copies the targets. NULL with the reason in `error`; else `done` is called later, unless the run is freed before.
 */
struct berth_doctor_run *berth_doctor_run_new(struct event_base *base, const struct berth_doctor_target *targets,
					      size_t n, berth_doctor_done_fn *done, void *arg,
					      char error[BERTH_ERROR_BYTES]);
void berth_doctor_run_free(struct berth_doctor_run *run);
