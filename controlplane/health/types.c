/* SPDX-License-Identifier: BSD-3-Clause */
#include "controlplane/health/types.h"

const struct berth_probe_ops *const berth_probe_types[BERTH_HEALTH_TYPES] = {
	[BERTH_HEALTH_TCP] = &berth_probe_tcp,	   [BERTH_HEALTH_HTTP] = &berth_probe_http,
	[BERTH_HEALTH_HTTPS] = &berth_probe_http,  [BERTH_HEALTH_UDP] = &berth_probe_udp,
	[BERTH_HEALTH_ICMP] = &berth_probe_icmp,   [BERTH_HEALTH_EXEC] = &berth_probe_exec,
	[BERTH_HEALTH_AGENT] = &berth_probe_agent,
};
