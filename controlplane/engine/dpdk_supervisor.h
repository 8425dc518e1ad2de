/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Keeps berth-dpdk running: starts it, restarts it when it ends or is to have other options, and measures how long
 * packets stop. Its end is noticed at once, also of a process that another berthd started (pidfd_open(2)). It is
 * killed and started again if a worker does not poll for 3 s. Time in which berthd itself did not run does not
 * count.
 */
#pragma once

#include "controlplane/engine/dpdk_process.h"

/* Starts the process unless one runs or it is held, waits until it forwards, and restarts it when it ends. 0, or
 * -errno with one line in `error`. */
int berth_dpdk_supervisor_start(struct berth_dpdk_process *process, struct event_base *base,
				char error[BERTH_ERROR_BYTES]);
/* Ends the supervision; the process runs on. */
void berth_dpdk_supervisor_detach(struct berth_dpdk_process *process);
/* Ends the process, waits some milliseconds until its workers have stopped, and not until it has ended. The
 * supervision starts it again. 0, or -EBUSY: it does not stop. */
int berth_dpdk_supervisor_end(struct berth_dpdk_process *process);
