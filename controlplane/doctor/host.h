/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What can be told without a probe: of the engine and its interfaces, and of the way to a backend. Asks the kernel,
 * sends nothing.
 */
#pragma once

#include <jansson.h>

#include "controlplane/doctor/probe.h"
#include "controlplane/netlink/rtnl.h"
#include "controlplane/state/state.h"

/* Adds a finding about something ("engine", "web/b1") to the checks of the answer. */
void berth_doctor_add(json_t *checks, const char *about, const struct berth_doctor_finding *finding);

/* Adds what there is to say of the engine and the interfaces. */
void berth_doctor_host(const struct berth_daemon_state *state, struct berth_rtnl *rtnl, json_t *checks);

/* Adds what there is to say of the DNS names of backends (names.c). */
void berth_doctor_names(const struct berth_daemon_state *state, json_t *checks);

/* Fills what probes need to know of a backend. false: it cannot be reached, and `finding` says why. */
bool berth_doctor_find(const struct berth_daemon_state *state, struct berth_rtnl *rtnl,
		       const struct berth_model_service *service, const struct berth_model_backend *backend,
		       struct berth_doctor_target *target, struct berth_doctor_finding *finding);
