/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Checks: each is one server, probed in one way again and again, from the first health target that asks for it to
 * the last. health.c's; it gets and puts checks, and learns of changes.
 */
#pragma once

#include <sys/queue.h>

#include "controlplane/health/health.h"
#include "controlplane/health/probe.h"
#include "controlplane/health/state.h"

struct berth_checks;
struct berth_health_member; /* health.c's own: a target */

struct berth_check {
	struct berth_probe probe; /* first: a search key is a probe's key */
	struct berth_rise_fall state;
	uint64_t probes;
	uint64_t failures;
	LIST_HEAD(, berth_health_member) members;
	/* Below: checks.c's. */
	const struct berth_probe_ops *ops; /* NULL: always up */
	struct berth_checks *checks;
	enum {
		BERTH_CHECK_RESTING,
		BERTH_CHECK_WAITING,
		BERTH_CHECK_PROBING
	} phase;
	struct lane *lane;
	bool was_slow;
	bool was_probed;
	struct event timer; /* of the rest's end, or the probe's */
	uint64_t due_us;
	uint64_t random;
	TAILQ_ENTRY(berth_check) waiting;
};

struct berth_checks_listener {
	void (*changed)(void *arg, struct berth_check *check); /* its state; get and put nothing here */
	void (*settled)(void *arg);			       /* after changes: now they may be */
	void *arg;
};

struct berth_checks *berth_checks_new(struct event_base *base, const struct berth_checks_listener *listener);
void berth_checks_set_ways(struct berth_checks *checks, const struct berth_health_ways *ways);
/* All checks must have been put back. */
void berth_checks_free(struct berth_checks *checks);

/* The check that a target asks for; made if there is none, and freed by put if it has no members. NULL: no memory.
 */
struct berth_check *berth_checks_get(struct berth_checks *checks, const struct berth_health_target *target);
void berth_checks_put(struct berth_check *check);
/* To be called after the last get and put of a row. */
void berth_checks_settle(struct berth_checks *checks);
