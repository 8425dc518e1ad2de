/* SPDX-License-Identifier: BSD-3-Clause */
/* Probes that a helper process makes (helper/helper.h): berthd keeps their schedule, and opens sockets that need
 * privileges. Used by checks.c only. */
#pragma once

#include "controlplane/health/probe.h"
#include "controlplane/helper/helper.h"

struct berth_remote;

/* The helper must outlive it. NULL: out of memory. */
struct berth_remote *berth_remote_new(struct berth_helper *helper);
/* All probes must have ended. */
void berth_remote_free(struct berth_remote *remote);

/* `shared` of these probes is the berth_remote. A probe that is pending when the helper ends ends with HOST_ERROR.
 */
extern const struct berth_probe_ops berth_probe_remote;
