/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Health checks: probes targets on one event loop and derives up or down from the results (state.h).
 * Independent of the model and of engines. All functions run on the event loop's thread.
 */
#pragma once

#include "controlplane/health/next_hop.h"
#include "controlplane/health/target.h"

struct event_base;
struct berth_health;

struct berth_health_status {
	int up;		   /* -1: unknown */
	uint64_t since_ms; /* CLOCK_MONOTONIC of the last change */
	uint64_t probes;
	uint64_t failures;
	char reason[160]; /* result of the last probe: "connected in 0.4 ms", "connection refused", ... */
};

/* Reports a target's first known state and each change. It may call any function below except free. */
typedef void berth_health_fn(void *arg, uint64_t id, bool up, const char *reason);

/* NULL: out of memory. */
struct berth_health *berth_health_new(struct event_base *base, berth_health_fn *fn, void *arg);
/* Required before the first target with `via: tunnel`. */
void berth_health_set_next_hops(struct berth_health *health, const struct berth_health_next_hops *next_hops);
void berth_health_free(struct berth_health *health);

/* Replaces the set of targets. A target with the same id, address, port and check keeps its probe; a changed
 * target keeps its state. BERTH_HEALTH_NONE targets are reported up at once. Returns 0 or -ENOMEM; after -ENOMEM
 * the old targets remain too. */
int berth_health_set(struct berth_health *health, const struct berth_health_target *targets, size_t n);
/* Returns false if the target is not found. */
bool berth_health_get(const struct berth_health *health, uint64_t id, struct berth_health_status *status);
