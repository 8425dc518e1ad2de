/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Targets refer to checks; a check is one server, one port, one way to probe it, and is shared by all targets
 * that ask for the same. The targets of a check therefore never disagree.
 *
 * The caller's function is called from deliver() only, which every entry from the event loop and from the
 * caller ends with. So it may change the targets as it likes: nothing further up still holds one.
 */
#include <errno.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>

#include "controlplane/health/health.h"
#include "controlplane/health/probe.h"
#include "controlplane/health/state.h"

enum {
	LANE_SLOTS = 256, /* a probe is a descriptor: both lanes fit in the usual limit of 1024 */
};

/* Servers that let the last probe run into its timeout share slots among themselves, so that many dead ones
 * do not delay the probe of a living one. */
enum {
	LANE_QUICK,
	LANE_SLOW,
	LANES
};

enum phase {
	RESTING, /* the timer says until when */
	WAITING, /* for a slot */
	PROBING, /* the timer says how long it may last */
};

struct target {
	uint64_t id;
	struct check *check;
	int up; /* as told to the caller, or about to be */
	uint64_t since_ms;
	uint64_t round;
	bool pending;
	TAILQ_ENTRY(target) pending_entry;
	LIST_ENTRY(target) check_entry;
	LIST_ENTRY(target) entry;
};

struct check {
	struct berth_probe probe; /* first: a search key is a probe's key */
	const struct berth_probe_ops *ops;
	struct berth_health *health;
	struct berth_rise_fall state;
	enum phase phase;
	int lane;
	struct event timer;
	uint64_t due_us;
	uint64_t random;
	uint64_t probes;
	uint64_t failures;
	LIST_HEAD(, target) targets;
	TAILQ_ENTRY(check) waiting_entry;
};

struct lane {
	TAILQ_HEAD(, check) waiting;
	unsigned int probing;
};

struct berth_health {
	struct event_base *base;
	berth_health_fn *fn;
	void *arg;
	void *target_tree; /* <search.h>, by id */
	void *check_tree;  /* by key */
	uint64_t round;	   /* of berth_health_set */
	bool delivering;
	struct lane lanes[LANES];
	LIST_HEAD(, target) targets;
	TAILQ_HEAD(, target) pending; /* changed, the caller not told */
};

uint64_t berth_probe_now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static uint64_t now_ms(void)
{
	return berth_probe_now_us() / 1000;
}

static int compare_targets(const void *a, const void *b)
{
	uint64_t x = ((const struct target *)a)->id, y = ((const struct target *)b)->id;
	return (x > y) - (x < y);
}

static int compare_checks(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct berth_probe_key));
}

/* Telling the caller. */

static void target_tell(struct berth_health *health, struct target *target)
{
	const struct berth_rise_fall *state = &target->check->state;

	if (state->up < 0 || state->up == target->up)
		return;
	target->up = state->up;
	target->since_ms = now_ms();
	if (!target->pending)
		TAILQ_INSERT_TAIL(&health->pending, target, pending_entry);
	target->pending = true;
}

static void check_tell(struct check *check)
{
	struct target *target;

	for (target = LIST_FIRST(&check->targets); target != NULL; target = LIST_NEXT(target, check_entry))
		target_tell(check->health, target);
}

static void deliver(struct berth_health *health)
{
	struct target *target;

	if (health->delivering)
		return;
	health->delivering = true;
	while ((target = TAILQ_FIRST(&health->pending)) != NULL) {
		char why[sizeof(target->check->probe.why)];
		TAILQ_REMOVE(&health->pending, target, pending_entry);
		target->pending = false;
		memcpy(why, target->check->probe.why, sizeof(why));
		health->fn(health->arg, target->id, target->up, why);
	}
	health->delivering = false;
}

/* Probing. */

static void check_set_timer(struct check *check, uint64_t us)
{
	struct timeval tv = {.tv_sec = (time_t)(us / 1000000), .tv_usec = (suseconds_t)(us % 1000000)};
	evtimer_add(&check->timer, &tv);
}

static void check_finish(struct check *check, enum berth_probe_result result)
{
	const struct berth_probe_key *key = &check->probe.key;
	uint64_t now = berth_probe_now_us();
	bool success = result == BERTH_PROBE_SUCCESS;

	check->health->lanes[check->lane].probing--;
	check->lane = LANE_QUICK;
	check->phase = RESTING;
	check_set_timer(check, check->due_us > now ? check->due_us - now : 0);
	if (result == BERTH_PROBE_UNSURE)
		return;
	check->probes++;
	check->failures += !success;
	if (berth_rise_fall_step(&check->state, key->rise, key->fall, success, now / 1000))
		check_tell(check);
}

static void check_start(struct check *check)
{
	struct berth_probe *probe = &check->probe;

	check->health->lanes[check->lane].probing++;
	check->phase = PROBING;
	check->random = berth_health_random(check->random);
	probe->started_us = berth_probe_now_us();
	check->due_us = probe->started_us +
			UINT64_C(1000) * berth_health_delay(probe->key.interval_ms, check->random);
	check_set_timer(check, UINT64_C(1000) * probe->key.timeout_ms);
	enum berth_probe_result result = check->ops->start(probe);
	if (result != BERTH_PROBE_UNDER_WAY)
		check_finish(check, result);
}

/* Gives free slots to those that wait, then tells the caller what came of it. */
static void settle(struct berth_health *health)
{
	for (int i = 0; i < LANES; i++) {
		struct lane *lane = &health->lanes[i];
		struct check *check;
		while (lane->probing < LANE_SLOTS && (check = TAILQ_FIRST(&lane->waiting)) != NULL) {
			TAILQ_REMOVE(&lane->waiting, check, waiting_entry);
			check_start(check);
		}
	}
	deliver(health);
}

static void on_timer(evutil_socket_t fd, short events, void *arg)
{
	(void)fd;
	(void)events;
	struct check *check = arg;

	if (check->phase == PROBING) {
		check->ops->cancel(&check->probe);
		snprintf(check->probe.why, sizeof(check->probe.why), "no answer within %u ms",
			 check->probe.key.timeout_ms);
		check_finish(check, BERTH_PROBE_FAILURE);
		check->lane = LANE_SLOW;
	} else {
		check->phase = WAITING;
		TAILQ_INSERT_TAIL(&check->health->lanes[check->lane].waiting, check, waiting_entry);
	}
	settle(check->health);
}

void berth_probe_done(struct berth_probe *probe, enum berth_probe_result result)
{
	struct check *check = (struct check *)probe;
	struct berth_health *health = check->health;

	check_finish(check, result);
	settle(health);
}

/* Checks: made with their first target, freed with their last. */

static struct berth_probe_key key_of(const struct berth_health_target *target)
{
	const struct berth_health_config *check = &target->check;

	if (check->type == BERTH_HEALTH_NONE)
		return (struct berth_probe_key){.address = target->address, .type = BERTH_HEALTH_NONE};
	return (struct berth_probe_key){
		.address = target->address,
		.port = check->port ? check->port : target->port,
		.type = check->type,
		.interval_ms = check->interval_ms ? check->interval_ms : 1,
		.timeout_ms = check->timeout_ms ? check->timeout_ms : 1,
		.rise = check->rise,
		.fall = check->fall,
	};
}

static uint64_t key_seed(const struct berth_probe_key *key)
{
	uint64_t words[sizeof(*key) / sizeof(uint64_t)], seed = 0;

	memcpy(words, key, sizeof(words));
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		seed = berth_health_random(seed ^ words[i]);
	return seed;
}

static void check_begin(struct check *check)
{
	if (check->ops == NULL) {
		berth_rise_fall_init(&check->state, 1, now_ms());
		snprintf(check->probe.why, sizeof(check->probe.why), "not checked");
		return;
	}
	berth_rise_fall_init(&check->state, -1, now_ms());
	snprintf(check->probe.why, sizeof(check->probe.why), "not probed yet");
	uint32_t delay = berth_health_first_delay(check->probe.key.interval_ms, check->random);
	check_set_timer(check, UINT64_C(1000) * delay);
}

static struct check *check_get(struct berth_health *health, const struct berth_probe_key *key)
{
	void *node = tfind(key, &health->check_tree, compare_checks);
	if (node != NULL)
		return *(struct check **)node;

	struct check *check = calloc(1, sizeof(*check));
	if (check == NULL)
		return NULL;
	check->probe.key = *key;
	check->probe.base = health->base;
	check->health = health;
	check->ops = key->type == BERTH_HEALTH_TCP ? &berth_probe_tcp : NULL;
	check->random = key_seed(key);
	LIST_INIT(&check->targets);
	if (tsearch(check, &health->check_tree, compare_checks) == NULL) {
		free(check);
		return NULL;
	}
	evtimer_assign(&check->timer, health->base, on_timer, check);
	check_begin(check);
	return check;
}

static void check_put(struct check *check)
{
	struct berth_health *health = check->health;

	if (!LIST_EMPTY(&check->targets))
		return;
	evtimer_del(&check->timer);
	if (check->phase == WAITING)
		TAILQ_REMOVE(&health->lanes[check->lane].waiting, check, waiting_entry);
	if (check->phase == PROBING) {
		check->ops->cancel(&check->probe);
		health->lanes[check->lane].probing--;
	}
	tdelete(check, &health->check_tree, compare_checks);
	free(check);
}

/* Targets. */

static struct target *target_find(const struct berth_health *health, uint64_t id)
{
	const struct target key = {.id = id};
	void *node = tfind(&key, &health->target_tree, compare_targets);
	return node == NULL ? NULL : *(struct target **)node;
}

static struct target *target_new(struct berth_health *health, uint64_t id, int up)
{
	struct target *target = calloc(1, sizeof(*target));
	if (target == NULL)
		return NULL;
	target->id = id;
	target->up = up;
	target->since_ms = now_ms();
	if (tsearch(target, &health->target_tree, compare_targets) == NULL) {
		free(target);
		return NULL;
	}
	LIST_INSERT_HEAD(&health->targets, target, entry);
	return target;
}

static void target_leave(struct target *target)
{
	if (target->check == NULL)
		return;
	LIST_REMOVE(target, check_entry);
	check_put(target->check);
	target->check = NULL;
}

static void target_free(struct berth_health *health, struct target *target)
{
	if (target->pending)
		TAILQ_REMOVE(&health->pending, target, pending_entry);
	target_leave(target);
	LIST_REMOVE(target, entry);
	tdelete(target, &health->target_tree, compare_targets);
	free(target);
}

/* What the target knows a check that has no result yet starts from; otherwise the check knows better. */
static void target_join(struct berth_health *health, struct target *target, struct check *check)
{
	target->check = check;
	LIST_INSERT_HEAD(&check->targets, target, check_entry);
	if (check->state.up < 0 && target->up >= 0) {
		berth_rise_fall_init(&check->state, target->up, now_ms());
		check_tell(check);
	}
	target_tell(health, target);
}

static int target_set(struct berth_health *health, const struct berth_health_target *wanted)
{
	struct berth_probe_key key = key_of(wanted);
	struct target *target = target_find(health, wanted->id);

	if (target != NULL && memcmp(&target->check->probe.key, &key, sizeof(key)) == 0)
		goto out;
	struct check *check = check_get(health, &key);
	if (check == NULL)
		return -ENOMEM;
	if (target == NULL)
		target = target_new(health, wanted->id, wanted->initial);
	if (target == NULL) {
		check_put(check);
		return -ENOMEM;
	}
	target_leave(target);
	target_join(health, target, check);
out:
	target->round = health->round;
	return 0;
}

int berth_health_set(struct berth_health *health, const struct berth_health_target *targets, size_t n)
{
	struct target *target, *next;
	int err = 0;

	health->round++;
	for (size_t i = 0; i < n && err == 0; i++)
		err = target_set(health, &targets[i]);
	/* Short of memory, what was there before stays too. */
	for (target = LIST_FIRST(&health->targets); target != NULL && err == 0; target = next) {
		next = LIST_NEXT(target, entry);
		if (target->round != health->round)
			target_free(health, target);
	}
	settle(health);
	return err;
}

bool berth_health_get(const struct berth_health *health, uint64_t id, struct berth_health_status *status)
{
	const struct target *target = target_find(health, id);

	if (target == NULL)
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

	if (health == NULL)
		return NULL;
	health->base = base;
	health->fn = fn;
	health->arg = arg;
	LIST_INIT(&health->targets);
	TAILQ_INIT(&health->pending);
	for (int i = 0; i < LANES; i++)
		TAILQ_INIT(&health->lanes[i].waiting);
	return health;
}

void berth_health_free(struct berth_health *health)
{
	if (health == NULL)
		return;
	while (!LIST_EMPTY(&health->targets))
		target_free(health, LIST_FIRST(&health->targets));
	free(health);
}
