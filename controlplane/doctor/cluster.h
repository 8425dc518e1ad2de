/* SPDX-License-Identifier: BSD-3-Clause */
/* Findings about the other nodes of the cluster and its store. */
#pragma once

#include "controlplane/doctor/findings.h"
#include "controlplane/state/state.h"

/* Appends to the array `checks`. */
void berth_doctor_cluster(const struct berth_daemon_state *state, json_t *checks);
