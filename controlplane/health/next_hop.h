/* SPDX-License-Identifier: BSD-3-Clause */
/* Next hops of backends: what probes with `via: tunnel` need in order to send like the engine. */
#pragma once

#include "dataplane/core/image.h"

struct berth_health_next_hop {
	struct berth_backend backend; /* copy of the entry in the engine's tables */
	uint32_t ifindex;
	union berth_addr source; /* an address of this host, in the service's family */
};

struct berth_health_next_hops {
	/* Finds the next hop of a target by its id. Returns false if it is unresolved. */
	bool (*find)(void *arg, uint64_t id, struct berth_health_next_hop *next_hop);
	void *arg;
};
