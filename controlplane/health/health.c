/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Targets refer to checks; a check is one server, one port, one way to probe it, and is shared by all targets
 * that ask for the same. The targets of a check therefore never disagree.
 *
 * The caller's function is called from deliver() only, which every entry from the event loop and from the
 * caller ends with. So it may change the targets as it likes: nothing further up still holds one.
 */
#include "controlplane/health/health.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "controlplane/util/clock.h"
#include "controlplane/health/checks.h"

/* A target. */
struct berth_health_member {
	uint64_t id;
	struct berth_check *check;
	int up; /* as told to the caller, or about to be */
	uint64_t since_ms;
	uint64_t round;
	bool pending;
	TAILQ_ENTRY(berth_health_member) pending_entry;
	LIST_ENTRY(berth_health_member) check_entry;
	LIST_ENTRY(berth_health_member) entry;
};

#define TARGET struct berth_health_member

struct berth_health {
	struct berth_checks *checks;
	berth_health_fn *fn;
	void *arg;
	void *tree;	/* <search.h>, by id */
	uint64_t round; /* of berth_health_set */
	bool delivering;
	LIST_HEAD(, berth_health_member) targets;
	TAILQ_HEAD(, berth_health_member) pending; /* changed, the caller not told */
};

static int compare_targets(const void *a, const void *b)
{
	uint64_t x = ((const TARGET *)a)->id, y = ((const TARGET *)b)->id;
	return (x > y) - (x < y);
}

/* Telling the caller. */

static void target_tell(struct berth_health *health, TARGET *target)
{
	const struct berth_rise_fall *state = &target->check->state;

	if (state->up < 0 || state->up == target->up)
		return;
	target->up = state->up;
	target->since_ms = berth_clock_ms();
	if (!target->pending)
		TAILQ_INSERT_TAIL(&health->pending, target, pending_entry);
	target->pending = true;
}

static void on_changed(void *arg, struct berth_check *check)
{
	for (TARGET *target = LIST_FIRST(&check->members); target; target = LIST_NEXT(target, check_entry))
		target_tell(arg, target);
}

static void deliver(void *arg)
{
	struct berth_health *health = arg;
	TARGET *target;

	if (health->delivering)
		return;
	health->delivering = true;
	while ((target = TAILQ_FIRST(&health->pending))) {
		char why[sizeof(target->check->probe.why)];
		TAILQ_REMOVE(&health->pending, target, pending_entry);
		target->pending = false;
		memcpy(why, target->check->probe.why, sizeof(why));
		health->fn(health->arg, target->id, target->up, why);
	}
	health->delivering = false;
}

/* Targets. */

static TARGET *target_find(const struct berth_health *health, uint64_t id)
{
	const TARGET key = {.id = id};
	void *node = tfind(&key, &health->tree, compare_targets);
	return node ? *(TARGET **)node : NULL;
}

static TARGET *target_new(struct berth_health *health, uint64_t id, int up)
{
	TARGET *target = calloc(1, sizeof(*target));
	if (!target)
		return NULL;
	target->id = id;
	target->up = up;
	target->since_ms = berth_clock_ms();
	if (!tsearch(target, &health->tree, compare_targets)) {
		free(target);
		return NULL;
	}
	LIST_INSERT_HEAD(&health->targets, target, entry);
	return target;
}

static void target_leave(TARGET *target)
{
	if (!target->check)
		return;
	LIST_REMOVE(target, check_entry);
	berth_checks_put(target->check);
	target->check = NULL;
}

static void target_free(struct berth_health *health, TARGET *target)
{
	if (target->pending)
		TAILQ_REMOVE(&health->pending, target, pending_entry);
	target_leave(target);
	LIST_REMOVE(target, entry);
	tdelete(target, &health->tree, compare_targets);
	free(target);
}

/* What the target knows a check that has no result yet starts from; otherwise the check knows better. */
static void target_join(struct berth_health *health, TARGET *target, struct berth_check *check)
{
	target->check = check;
	LIST_INSERT_HEAD(&check->members, target, check_entry);
	if (check->state.up < 0 && target->up >= 0) {
		berth_rise_fall_init(&check->state, target->up, berth_clock_ms());
		on_changed(health, check);
	}
	target_tell(health, target);
}

static int target_set(struct berth_health *health, const struct berth_health_target *wanted)
{
	TARGET *target = target_find(health, wanted->id);
	struct berth_check *check = berth_checks_get(health->checks, wanted);

	if (!check)
		return -ENOMEM;
	if (!target)
		target = target_new(health, wanted->id, wanted->initial);
	if (!target) {
		berth_checks_put(check);
		return -ENOMEM;
	}
	if (target->check != check) {
		target_leave(target);
		target_join(health, target, check);
	}
	target->round = health->round;
	return 0;
}

int berth_health_set(struct berth_health *health, const struct berth_health_target *targets, size_t n)
{
	TARGET *target, *next;
	int err = 0;

	health->round++;
	for (size_t i = 0; i < n && !err; i++)
		err = target_set(health, &targets[i]);
	/* Short of memory, what was there before stays too. */
	for (target = LIST_FIRST(&health->targets); target && !err; target = next) {
		next = LIST_NEXT(target, entry);
		if (target->round != health->round)
			target_free(health, target);
	}
	berth_checks_settle(health->checks);
	return err;
}

bool berth_health_get(const struct berth_health *health, uint64_t id, struct berth_health_status *status)
{
	const TARGET *target = target_find(health, id);

	if (!target)
		return false;
	*status = (struct berth_health_status){
		.up = target->up,
		.since_ms = target->since_ms,
		.probes = target->check->probes,
		.failures = target->check->failures,
	};
	memcpy(status->why, target->check->probe.why, sizeof(status->why));
	return true;
}

struct berth_health *berth_health_new(struct event_base *base, berth_health_fn *fn, void *arg)
{
	struct berth_health *health = calloc(1, sizeof(*health));
	const struct berth_checks_listener listener = {.changed = on_changed, .settled = deliver, .arg = health};

	if (!health)
		return NULL;
	health->fn = fn;
	health->arg = arg;
	LIST_INIT(&health->targets);
	TAILQ_INIT(&health->pending);
	health->checks = berth_checks_new(base, &listener);
	if (!health->checks) {
		free(health);
		return NULL;
	}
	return health;
}

void berth_health_set_ways(struct berth_health *health, const struct berth_health_ways *ways)
{
	berth_checks_set_ways(health->checks, ways);
}

void berth_health_free(struct berth_health *health)
{
	if (!health)
		return;
	while (!LIST_EMPTY(&health->targets))
		target_free(health, LIST_FIRST(&health->targets));
	berth_checks_free(health->checks);
	free(health);
}
