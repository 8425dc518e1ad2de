/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Health checks: probes of targets on one event loop, and the state machine (state.h) that turns their results
 * into up and down. Knows nothing of services or engines.
 */
#pragma once

#include "controlplane/config/config.h"

struct event_base;
struct berth_health;

struct berth_health_target {
	uint64_t id; /* the caller's */
	union berth_addr address;
	uint16_t port; /* where the check names none; `via: tunnel`: both are the service\'s */
	const struct berth_health_config *check; /* copied */
	int initial;				 /* what was known before: -1 nothing, 0 down, 1 up */
	const char *service;			 /* names, for checks that are told them; copied */
	const char *backend;
};

/* The way of clients' packets to a target. */
struct berth_health_way {
	struct berth_backend backend; /* as it stands in the engine's tables */
	uint32_t ifindex;
	union berth_addr source; /* an address of this host, in the service's family */
};

/* Where checks with `via: tunnel` learn it. */
struct berth_health_ways {
	bool (*find)(void *arg, uint64_t id, struct berth_health_way *way); /* false: not known now */
	void *arg;
};

struct berth_health_status {
	int up;		   /* -1: not known yet */
	uint64_t since_ms; /* CLOCK_MONOTONIC of the last change */
	uint64_t probes;
	uint64_t failures;
	char why[128]; /* of the last probe: "connected in 0.4 ms", "connection refused", ... */
};

/* Called when a target's state becomes known or changes. May call any function here but free. */
typedef void berth_health_fn(void *arg, uint64_t id, bool up, const char *why);

struct berth_health *berth_health_new(struct event_base *base, berth_health_fn *fn, void *arg);
/* Before the first target with `via: tunnel`. */
void berth_health_set_ways(struct berth_health *health, const struct berth_health_ways *ways);
void berth_health_free(struct berth_health *health);

/* Makes these the targets. Those that were there before, with the same id, address, port and check, go on
 * undisturbed; changed ones keep their state. BERTH_HEALTH_NONE targets are reported up at once. -ENOMEM. */
int berth_health_set(struct berth_health *health, const struct berth_health_target *targets, size_t n);
/* false: no such target. */
bool berth_health_get(const struct berth_health *health, uint64_t id, struct berth_health_status *status);
