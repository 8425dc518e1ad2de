/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A target refers to a check: one server, one port, one configuration. Targets with equal checks share one, so
 * their states never differ.
 *
 * Only deliver() calls the caller's function, after all other work of a timer, a probe result or an update. The
 * function may therefore change the targets: no caller on the stack holds a pointer to one.
 */
#include "controlplane/health/health.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "controlplane/health/checks.h"
#include "controlplane/util/clock.h"
#include "controlplane/util/id_map.h"

struct berth_check_target {
	uint64_t id;
	struct berth_check *check;
	enum berth_health_error error; /* as reported to the caller */
	int up;			       /* state reported to the caller, or queued for it */
	uint64_t since_ms;
	uint64_t round;			 /* the last update that has this target */
	struct berth_check_target *next; /* in that update; NULL: it was the last one */
	bool is_queued;
	bool state_changed; /* `up` is not reported yet */
	TAILQ_ENTRY(berth_check_target) changed_entry;
	LIST_ENTRY(berth_check_target) check_entry;
	LIST_ENTRY(berth_check_target) entry;
};

#define TARGET struct berth_check_target

_Static_assert(sizeof(((struct berth_health_status *)NULL)->reason) == BERTH_PROBE_REASON_BYTES,
	       "one size of reasons");

struct berth_health {
	struct berth_checks *checks;
	struct berth_health_delays delays;
	berth_health_fn *fn;
	berth_health_error_fn *error_fn; /* NULL: none */
	berth_agent_fn *agent_fn;	 /* NULL: none */
	void *arg;
	struct berth_id_map by_id; /* the targets of the last commit */
	uint64_t round;		   /* number of commits */
	TARGET *first;		   /* of the last commit; NULL: it has none */
	bool is_delivering;
	LIST_HEAD(, berth_check_target) targets;
	TAILQ_HEAD(, berth_check_target) changed; /* not yet reported to the caller */
};

/* The targets of a stage, with all memory that they need. */
struct berth_health_stage {
	struct berth_health *health;
	struct berth_id_map by_id; /* its targets */
	TARGET *expected;	   /* by the order of the last commit; NULL: any */
	size_t n;
	struct staged_target {
		TARGET *target;
		struct berth_check *check;
		bool is_new;
		bool is_reset; /* its server changed */
	} targets[];
};

/* --- state changes --- */

/* Of a check that has changed, or that the target has got: what its agent has said is news then. */
static void queue_change(struct berth_health *health, TARGET *target)
{
	const struct berth_rise_fall *state = &target->check->state;
	bool state_changed = state->up >= 0 && state->up != target->up;

	if (state_changed) {
		target->up = state->up;
		target->since_ms = berth_clock_ms();
		target->state_changed = true;
	}
	if (!state_changed && target->check->error == target->error &&
	    !berth_agent_says_anything(&target->check->heard.said))
		return;
	if (!target->is_queued)
		TAILQ_INSERT_TAIL(&health->changed, target, changed_entry);
	target->is_queued = true;
}

static void on_changed(void *arg, struct berth_check *check)
{
	for (TARGET *target = LIST_FIRST(&check->targets); target; target = LIST_NEXT(target, check_entry))
		queue_change(arg, target);
}

/* The functions may free the target. */
static void report(struct berth_health *health, TARGET *target)
{
	const struct berth_check *check = target->check;
	enum berth_health_error error = check->error;
	bool error_changed = error != target->error, state_changed = target->state_changed;
	const struct berth_agent_words said = check->heard.said;
	uint64_t id = target->id;
	int up = target->up;
	char reason[sizeof(check->probe.reason)], line[sizeof(check->heard.line)];

	memcpy(reason, check->probe.reason, sizeof(reason));
	memcpy(line, check->heard.line, sizeof(line));
	target->error = error;
	target->state_changed = false;
	if (error_changed && health->error_fn)
		health->error_fn(health->arg, id, error, reason);
	if (berth_agent_says_anything(&said) && health->agent_fn)
		health->agent_fn(health->arg, berth_health_agent_id(id), &said, line);
	if (state_changed)
		health->fn(health->arg, id, up, reason);
}

static void deliver(void *arg)
{
	struct berth_health *health = arg;
	TARGET *target;

	if (health->is_delivering)
		return;
	health->is_delivering = true;
	while ((target = TAILQ_FIRST(&health->changed))) {
		TAILQ_REMOVE(&health->changed, target, changed_entry);
		target->is_queued = false;
		report(health, target);
	}
	health->is_delivering = false;
}

/* --- targets --- */

static TARGET *find_target(const struct berth_health *health, uint64_t id)
{
	uint64_t target;
	return berth_id_map_find(&health->by_id, id, &target) ? (TARGET *)(uintptr_t)target : NULL;
}

static TARGET *create_target(struct berth_health *health, uint64_t id, int up)
{
	TARGET *target = calloc(1, sizeof(*target));
	if (!target)
		return NULL;
	target->id = id;
	target->up = up;
	target->since_ms = berth_clock_ms();
	LIST_INSERT_HEAD(&health->targets, target, entry);
	return target;
}

static void detach_check(TARGET *target)
{
	if (!target->check)
		return;
	LIST_REMOVE(target, check_entry);
	berth_checks_release(target->check);
	target->check = NULL;
}

static void free_target(struct berth_health *health, TARGET *target)
{
	if (target->is_queued)
		TAILQ_REMOVE(&health->changed, target, changed_entry);
	detach_check(target);
	LIST_REMOVE(target, entry);
	free(target);
}

/* A check without a result starts from the state of its first target with a known state. */
static void attach_check(struct berth_health *health, TARGET *target, struct berth_check *check)
{
	target->check = check;
	LIST_INSERT_HEAD(&check->targets, target, check_entry);
	berth_checks_begin(check);
	/* A new check without an error has not run yet: that it runs again is not known. */
	if (!check->error)
		target->error = BERTH_HEALTH_NO_ERROR;
	if (check->state.up < 0 && target->up >= 0) {
		berth_rise_fall_init(&check->state, target->up, berth_clock_ms());
		on_changed(health, check);
	}
	queue_change(health, target);
}

/* Most targets have the place that they had before: there a search, which is a cache miss, is not needed. */
static TARGET *find_in_order(struct berth_health_stage *stage, uint64_t id)
{
	TARGET *target = stage->expected;
	if (!target || target->id != id)
		target = find_target(stage->health, id);
	if (target)
		stage->expected = target->next;
	return target;
}

static int stage_target(struct berth_health_stage *stage, const struct berth_health_target *wanted,
			struct staged_target *staged)
{
	struct berth_health *health = stage->health;
	staged->target = find_in_order(stage, wanted->id);
	staged->is_new = !staged->target;
	staged->is_reset = staged->target && wanted->reset;
	staged->check = berth_checks_acquire(health->checks, wanted);
	if (!staged->check)
		return -ENOMEM;
	if (staged->is_new)
		staged->target = create_target(health, wanted->id, wanted->initial);
	if (staged->target) {
		staged->check->n_staged++;
		return 0;
	}
	berth_checks_release(staged->check);
	return -ENOMEM;
}

struct berth_health_stage *berth_health_stage(struct berth_health *health,
					      const struct berth_health_target *targets, size_t n)
{
	struct berth_health_stage *stage = calloc(1, sizeof(*stage) + n * sizeof(stage->targets[0]));
	if (!stage)
		return NULL;
	stage->health = health;
	stage->expected = health->first;
	if (berth_id_map_init(&stage->by_id, n)) {
		free(stage);
		return NULL;
	}
	for (; stage->n < n; stage->n++) {
		if (stage_target(stage, &targets[stage->n], &stage->targets[stage->n])) {
			berth_health_drop(stage);
			return NULL;
		}
		const uintptr_t target = (uintptr_t)stage->targets[stage->n].target;
		berth_id_map_add(&stage->by_id, targets[stage->n].id, target);
	}
	return stage;
}

int berth_health_staged_state(const struct berth_health_stage *stage, size_t i)
{
	const struct staged_target *staged = &stage->targets[i];
	const struct berth_check *check = staged->check;
	if (staged->is_reset && staged->target->check == check)
		return -1;
	return check->state.up >= 0 ? check->state.up : staged->is_reset ? -1 : staged->target->up;
}

void berth_health_stage_reset(struct berth_health_stage *stage, size_t i, bool reset)
{
	stage->targets[i].is_reset = reset && !stage->targets[i].is_new;
}

void berth_health_drop(struct berth_health_stage *stage)
{
	if (!stage)
		return;
	for (size_t i = 0; i < stage->n; i++) {
		struct staged_target *staged = &stage->targets[i];
		if (staged->is_new)
			free_target(stage->health, staged->target);
		staged->check->n_staged--;
		berth_checks_release(staged->check);
	}
	berth_id_map_free(&stage->by_id);
	free(stage);
}

/* A check of a tunnel may stay although its server changes. */
static void reset_target(struct berth_health *health, TARGET *target, const struct berth_check *next)
{
	if (target->is_queued)
		TAILQ_REMOVE(&health->changed, target, changed_entry);
	target->is_queued = false;
	target->up = -1;
	target->since_ms = berth_clock_ms();
	if (target->check == next)
		berth_rise_fall_init(&target->check->state, -1, target->since_ms);
}

static void commit_target(struct berth_health *health, const struct staged_target *staged)
{
	TARGET *target = staged->target;

	if (staged->is_reset)
		reset_target(health, target, staged->check);
	if (target->check != staged->check) {
		detach_check(target);
		attach_check(health, target, staged->check);
	}
	staged->check->n_staged--;
	target->round = health->round;
}

void berth_health_commit(struct berth_health_stage *stage)
{
	struct berth_health *health = stage->health;
	TARGET *target, *next;

	health->round++;
	health->first = stage->n ? stage->targets[0].target : NULL;
	for (size_t i = 0; i < stage->n; i++) {
		commit_target(health, &stage->targets[i]);
		stage->targets[i].target->next = i + 1 < stage->n ? stage->targets[i + 1].target : NULL;
	}
	berth_id_map_free(&health->by_id);
	health->by_id = stage->by_id;
	free(stage);
	for (target = LIST_FIRST(&health->targets); target; target = next) {
		next = LIST_NEXT(target, entry);
		if (target->round != health->round)
			free_target(health, target);
	}
	berth_checks_dispatch(health->checks);
}

int berth_health_set(struct berth_health *health, const struct berth_health_target *targets, size_t n)
{
	struct berth_health_stage *stage = berth_health_stage(health, targets, n);
	if (!stage)
		return -ENOMEM;
	berth_health_commit(stage);
	return 0;
}

bool berth_health_get(const struct berth_health *health, uint64_t id, struct berth_health_status *status)
{
	const TARGET *target = find_target(health, id);

	if (!target)
		return false;
	*status = (struct berth_health_status){
		.up = target->up,
		.since_ms = target->since_ms,
		.probes = target->check->probes,
		.failures = target->check->failures,
		.errors = target->check->errors,
		.changes = target->check->changes,
		.duration_us = target->check->duration_us,
		.response_us = berth_response_us(&target->check->response),
		.error = target->check->error,
	};
	memcpy(status->reason, target->check->probe.reason, sizeof(status->reason));
	return true;
}

/* Its own inverse. */
uint64_t berth_health_agent_id(uint64_t id)
{
	return id ^ UINT64_C(0x746e6567612d6e61);
}

bool berth_health_get_agent(const struct berth_health *health, uint64_t id, struct berth_agent_status *status)
{
	const TARGET *target = find_target(health, berth_health_agent_id(id));
	if (!target)
		return false;
	const struct berth_agent_heard *heard = &target->check->heard;
	*status = (struct berth_agent_status){
		.lines = heard->lines,
		.refused = heard->refused,
		.silences = heard->silences,
		.misses = heard->misses,
		.spoken_ms = heard->spoken_ms,
	};
	memcpy(status->line, heard->line, sizeof(status->line));
	memcpy(status->reason, target->check->probe.reason, sizeof(status->reason));
	return true;
}

uint32_t berth_health_response_us(const struct berth_health *health, uint64_t id)
{
	const TARGET *target = find_target(health, id);
	return target ? berth_response_us(&target->check->response) : 0;
}

struct berth_health *berth_health_new(struct event_base *base, struct berth_helper *helper, berth_health_fn *fn,
				      void *arg)
{
	struct berth_health *health = calloc(1, sizeof(*health));
	const struct berth_checks_listener listener = {
		.changed = on_changed, .deliver = deliver, .arg = health, .delays = &health->delays};

	if (!health)
		return NULL;
	health->fn = fn;
	health->arg = arg;
	LIST_INIT(&health->targets);
	TAILQ_INIT(&health->changed);
	health->checks = berth_checks_new(base, &listener, helper);
	if (!health->checks) {
		free(health);
		return NULL;
	}
	return health;
}

void berth_health_set_error_fn(struct berth_health *health, berth_health_error_fn *fn)
{
	health->error_fn = fn;
}

void berth_health_set_agent_fn(struct berth_health *health, berth_agent_fn *fn)
{
	health->agent_fn = fn;
}

void berth_health_set_reception_fn(struct berth_health *health, berth_health_reception_fn *fn)
{
	berth_checks_set_reception_fn(health->checks, fn, health->arg);
}

void berth_health_set_next_hops(struct berth_health *health, const struct berth_health_next_hops *next_hops)
{
	berth_checks_set_next_hops(health->checks, next_hops);
}

const struct berth_health_delays *berth_health_follow_delays(struct berth_health *health)
{
	berth_health_delays_tick(&health->delays, berth_probe_now_us());
	return &health->delays;
}

const struct berth_health_delays *berth_health_delays(const struct berth_health *health)
{
	return &health->delays;
}

void berth_health_free(struct berth_health *health)
{
	if (!health)
		return;
	for (TARGET *target = LIST_FIRST(&health->targets), *next; target; target = next) {
		next = LIST_NEXT(target, entry);
		free_target(health, target);
	}
	berth_checks_free(health->checks);
	berth_id_map_free(&health->by_id);
	free(health);
}
