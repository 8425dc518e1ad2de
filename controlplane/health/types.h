/* SPDX-License-Identifier: BSD-3-Clause */
/* The probe types. */
#pragma once

#include "controlplane/health/probe.h"

extern const struct berth_probe_ops berth_probe_tcp;
extern const struct berth_probe_ops berth_probe_http; /* and https */
extern const struct berth_probe_ops berth_probe_udp;
extern const struct berth_probe_ops berth_probe_icmp;
extern const struct berth_probe_ops berth_probe_exec;
extern const struct berth_probe_ops berth_probe_agent;

/* By enum berth_health_type. NULL: no probes, always up. */
extern const struct berth_probe_ops *const berth_probe_types[BERTH_HEALTH_TYPES];
