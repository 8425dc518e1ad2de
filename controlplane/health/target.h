/* SPDX-License-Identifier: BSD-3-Clause */
/* A health target: one backend of one service, and the check that it needs. */
#pragma once

#include "controlplane/config/config.h"

/* Why a check cannot run. */
enum berth_health_error {
	BERTH_HEALTH_NO_ERROR,
	BERTH_HEALTH_MISCONFIGURED, /* its program, CA file or permission; counts as failed */
	BERTH_HEALTH_HOST_ERROR,    /* keeps the last state for `stale`, then counts as failed */
};

/* Packets that this host received: CLOCK_MONOTONIC in milliseconds. */
struct berth_reception {
	uint64_t since_ms; /* the end of the last interruption; UINT64_MAX: it receives none now */
	uint64_t until_ms; /* the last time at which it certainly received; UINT64_MAX: it always does */
};

struct berth_health_target {
	uint64_t id; /* chosen by the caller, unique */
	/* Backend's address and port. With `via: tunnel`: the service's address and port. */
	union berth_addr address;
	uint16_t port;				 /* used if the check names no port */
	const struct berth_health_config *check; /* copied */
	bool is_agent;				 /* the agent beside the check is read; the target has no state */
	/* State before the first result: -1 unknown, 0 down, 1 up. */
	int initial;
	bool reset;	     /* an existing target becomes unknown: its server changed */
	const char *service; /* names for exec checks; copied */
	const char *backend;
};
