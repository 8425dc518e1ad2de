/* SPDX-License-Identifier: BSD-3-Clause */
/* Findings that need no probe: engine, interfaces, kernel settings, DNS names, and next hops of backends. Reads
 * from the kernel and from berthd's state; sends nothing. */
#pragma once

#include <jansson.h>

#include "controlplane/doctor/probe.h"
#include "controlplane/netlink/rtnl.h"
#include "controlplane/state/state.h"

/* Appends a finding about a subject ("engine", "web/b1") to `checks`. */
void berth_doctor_add(json_t *checks, const char *subject, const struct berth_doctor_finding *finding);

/* Appends findings about the engine, the interfaces and the kernel's settings. */
void berth_doctor_system(const struct berth_daemon_state *state, struct berth_rtnl *rtnl, json_t *checks);

/* Appends findings about the DNS names of backends (dns.c). */
void berth_doctor_dns(const struct berth_daemon_state *state, json_t *checks);

/* Appends a finding about a service without an eligible backend. */
void berth_doctor_service(const struct berth_model_service *service, json_t *checks);

/* Fills the target for a backend. Returns false and fills `finding` if its next hop is unresolved. */
bool berth_doctor_make_target(const struct berth_daemon_state *state, struct berth_rtnl *rtnl,
			      const struct berth_model_service *service, const struct berth_model_backend *backend,
			      struct berth_doctor_target *target, struct berth_doctor_finding *finding);
