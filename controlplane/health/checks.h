/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Checks: each probes one server repeatedly with one configuration, from the first target that acquires it until
 * the last one releases it. Used by health.c only.
 */
#pragma once

#include <sys/queue.h>

#include "controlplane/health/delays.h"
#include "controlplane/health/next_hop.h"
#include "controlplane/health/probe.h"
#include "controlplane/health/state.h"
#include "controlplane/health/target.h"
#include "controlplane/model/response.h"
#include "controlplane/util/wheel.h"

struct berth_checks;
struct berth_check_target; /* defined in health.c */
struct berth_helper;
struct probe_pool;

enum berth_check_phase {
	BERTH_CHECK_IDLE,   /* the timer starts the next probe */
	BERTH_CHECK_QUEUED, /* due, waits for a free slot of its pool */
	BERTH_CHECK_PROBING,
};

/* What a check that reads an agent has heard. */
struct berth_agent_heard {
	struct berth_agent_words said; /* by all lines so far */
	uint64_t lines;
	uint64_t refused;
	uint64_t silences;
	uint32_t misses;    /* refused lines and silences since the last line */
	uint64_t spoken_ms; /* CLOCK_MONOTONIC of the last line; 0: none yet */
	char line[BERTH_AGENT_LINE_BYTES];
};

struct berth_check {
	struct berth_probe probe; /* first member: searches compare its key */
	struct berth_rise_fall state;
	uint64_t probes;
	uint64_t failures;
	uint64_t errors;      /* probes that could not run */
	uint64_t changes;     /* of the state */
	uint64_t duration_us; /* of the last probe */
	struct berth_response response;
	struct berth_agent_heard heard;
	enum berth_health_error error;
	uint64_t error_since_ms;
	LIST_HEAD(, berth_check_target) targets;
	unsigned int n_staged; /* targets of a stage: the check stays while there are any */
	/* Private to checks.c. */
	const struct berth_probe_ops *ops; /* NULL: no probes, always up */
	struct berth_checks *checks;
	enum berth_check_phase phase;
	struct probe_pool *pool;
	bool timed_out;	 /* the last probe did */
	bool was_probed; /* at least once */
	bool has_begun;
	struct berth_wheel_timer timer;
	uint64_t due_us;    /* CLOCK_MONOTONIC of the next probe */
	uint64_t waited_us; /* from when the probe could start until it did */
	uint64_t random;
	TAILQ_ENTRY(berth_check) queue_entry;
};

struct berth_checks_listener {
	/* A check's state or error changed, or what its agent says. It must not acquire or release checks. */
	void (*changed)(void *arg, struct berth_check *check);
	/* Called after changes. It may acquire and release checks. */
	void (*deliver)(void *arg);
	void *arg;
	struct berth_health_delays *delays; /* to which each probe is added */
};

/* `helper` makes the probes that need no privileges; NULL: this process does. NULL: out of memory. */
struct berth_checks *berth_checks_new(struct event_base *base, const struct berth_checks_listener *listener,
				      struct berth_helper *helper);
void berth_checks_set_next_hops(struct berth_checks *checks, const struct berth_health_next_hops *next_hops);
/* health.h has the meaning. */
void berth_checks_set_reception_fn(struct berth_checks *checks, struct berth_reception (*fn)(void *arg), void *arg);
/* All checks must be released before. */
void berth_checks_free(struct berth_checks *checks);

/* Returns the check that a target needs; creates it if necessary, without a probe before berth_checks_begin. NULL:
 * out of memory. */
struct berth_check *berth_checks_acquire(struct berth_checks *checks, const struct berth_health_target *target);
/* The check has a target: its first probe is due some time within an interval. No effect if it has begun. */
void berth_checks_begin(struct berth_check *check);
/* Frees the check if its list of targets is empty. */
void berth_checks_release(struct berth_check *check);
/* Starts queued probes while slots are free, then calls listener.deliver. Call it after a series of acquire and
 * release. */
void berth_checks_dispatch(struct berth_checks *checks);
