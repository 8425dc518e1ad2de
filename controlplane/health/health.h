/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Health checks: probes targets on one event loop and derives up or down from the results (state.h).
 * Independent of the model and of engines. All functions run on the event loop's thread.
 */
#pragma once

#include "controlplane/health/delays.h"
#include "controlplane/health/next_hop.h"
#include "controlplane/health/target.h"
#include "controlplane/util/agent_words.h"

struct event_base;
struct berth_health;
struct berth_helper;
struct berth_health_stage;

struct berth_health_status {
	int up;		   /* -1: unknown */
	uint64_t since_ms; /* CLOCK_MONOTONIC of the last change */
	uint64_t probes;
	uint64_t failures;
	uint64_t errors;      /* probes that could not run */
	uint64_t changes;     /* of `up` */
	uint64_t duration_us; /* of the last probe */
	uint32_t response_us; /* average of successful probes: response.h; 0: none yet */
	enum berth_health_error error;
	char reason[160]; /* result of the last probe: "connected in 0.4 ms", "connection refused", ... */
};

/* Reports a target's first known state and each change. It may call any function below except free. */
typedef void berth_health_fn(void *arg, uint64_t id, bool up, const char *reason);

/* What is known of a backend's agent. */
struct berth_agent_status {
	uint64_t lines;
	uint64_t refused;   /* lines */
	uint64_t silences;  /* reads without a line */
	uint32_t misses;    /* refused lines and silences since the last line */
	uint64_t spoken_ms; /* CLOCK_MONOTONIC of the last line; 0: none yet */
	char line[BERTH_AGENT_LINE_BYTES];
	char reason[160]; /* of the last read: the line, why it was refused, or how the agent was silent */
};

/* Reports what an agent says, when it says something else than before. `id`: of the target beside it. The same
 * rules. */
typedef void berth_agent_fn(void *arg, uint64_t id, const struct berth_agent_words *said, const char *line);

/* Reports that a target's check cannot run, or that it runs again (BERTH_HEALTH_NO_ERROR). The same rules. */
typedef void berth_health_error_fn(void *arg, uint64_t id, enum berth_health_error error, const char *reason);

/* When this host has received packets last. The same `arg`. */
typedef struct berth_reception berth_health_reception_fn(void *arg);

/* `helper` (helper/helper.h) makes the probes that need no privileges; NULL: this process does. NULL: out of
 * memory. */
struct berth_health *berth_health_new(struct event_base *base, struct berth_helper *helper, berth_health_fn *fn,
				      void *arg);
/* Called with the `arg` of berth_health_new. */
void berth_health_set_error_fn(struct berth_health *health, berth_health_error_fn *fn);
/* The same for agents. */
void berth_health_set_agent_fn(struct berth_health *health, berth_agent_fn *fn);
/* A probe that began before that time and failed says nothing about the server: it is an error of this host. So is
 * one without an answer, if it ended before the second half of the probe. Without the function there is no break.
 */
void berth_health_set_reception_fn(struct berth_health *health, berth_health_reception_fn *fn);
/* Required before the first target with `via: tunnel`. */
void berth_health_set_next_hops(struct berth_health *health, const struct berth_health_next_hops *next_hops);
void berth_health_free(struct berth_health *health);

/*
 * Prepares another set of targets: allocates all that it needs, and changes no target. NULL: out of memory. Before
 * commit or drop there is no other stage. The event loop may run: new checks begin then.
 */
struct berth_health_stage *berth_health_stage(struct berth_health *health,
					      const struct berth_health_target *targets, size_t n);
/* The state that the commit reports for target `i`: -1 none, 0 down, 1 up. */
int berth_health_staged_state(const struct berth_health_stage *stage, size_t i);
/* Target `i` becomes unknown, or does not, as `reset` of a target says. */
void berth_health_stage_reset(struct berth_health_stage *stage, size_t i, bool reset);
/* Replaces the set of targets and frees the stage; it cannot fail. A target with the same id, address, port and
 * check keeps its probe; a changed target keeps its state. BERTH_HEALTH_NONE targets are reported up at once. */
void berth_health_commit(struct berth_health_stage *stage);
/* NULL is allowed. */
void berth_health_drop(struct berth_health_stage *stage);
/* Stage and commit in one. Returns 0, or -ENOMEM with nothing changed. */
int berth_health_set(struct berth_health *health, const struct berth_health_target *targets, size_t n);
/* Returns false if the target is not found. */
bool berth_health_get(const struct berth_health *health, uint64_t id, struct berth_health_status *status);
/* The id of the target that reads the agent of the backend whose target has this id. */
uint64_t berth_health_agent_id(uint64_t id);
/* Returns false if the backend whose target has this id has no agent. */
bool berth_health_get_agent(const struct berth_health *health, uint64_t id, struct berth_agent_status *status);
/* The same figure as in the status; 0 also if the target is not found. */
uint32_t berth_health_response_us(const struct berth_health *health, uint64_t id);
/* Whether the probes are made in time. */
const struct berth_health_delays *berth_health_delays(const struct berth_health *health);
/* The same; to be called now and then, so that a period without probes ends. */
const struct berth_health_delays *berth_health_follow_delays(struct berth_health *health);
