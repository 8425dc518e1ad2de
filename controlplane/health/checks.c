/* SPDX-License-Identifier: BSD-3-Clause */
#include "controlplane/health/checks.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "controlplane/health/tunnel.h"

enum {
	/* A probe holds a descriptor. Half of what the process may have is for them, in two lanes. */
	LEAST_SLOTS = 16,
	MOST_SLOTS = 4096,
	HEAVY_SLOTS = 16,
};

/* Servers that let the last probe run into its timeout share slots among themselves, so that many dead ones
 * do not delay the probe of a living one. */
enum {
	LANE_QUICK,
	LANE_SLOW,
	LANE_HEAVY,
	LANE_HEAVY_SLOW,
	LANES
};

struct lane {
	TAILQ_HEAD(, berth_check) waiting;
	unsigned int slots;
	unsigned int probing;
};

/* A way to check; checks refer to it, so that what is equal has one address. */
struct recipe {
	struct berth_health_config check; /* first: a search key is one */
	size_t users;
};

struct berth_checks {
	struct event_base *base;
	struct berth_checks_listener listener;
	void *tree;    /* <search.h>, by key */
	void *recipes; /* likewise, by bytes */
	struct lane lanes[LANES];
	void *shared[BERTH_HEALTH_TYPES];
	struct berth_health_ways ways;
	struct berth_tunnel *tunnel; /* made when the first probe needs it */
};

static int compare_checks(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct berth_probe_key));
}

static int compare_recipes(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct berth_health_config));
}

static struct recipe *recipe_get(struct berth_checks *checks, const struct berth_health_config *check)
{
	void *node = tfind(check, &checks->recipes, compare_recipes);
	struct recipe *recipe = node ? *(struct recipe **)node : calloc(1, sizeof(*recipe));

	if (!recipe)
		return NULL;
	if (!node) {
		recipe->check = *check;
		if (!tsearch(recipe, &checks->recipes, compare_recipes)) {
			free(recipe);
			return NULL;
		}
	}
	recipe->users++;
	return recipe;
}

static void recipe_put(struct berth_checks *checks, const struct berth_health_config *check)
{
	void *node = tfind(check, &checks->recipes, compare_recipes);
	struct recipe *recipe = *(struct recipe **)node;

	if (--recipe->users)
		return;
	tdelete(recipe, &checks->recipes, compare_recipes);
	free(recipe);
}

/* Probing. */

static void set_timer(struct berth_check *check, uint64_t us)
{
	struct timeval tv = {.tv_sec = (time_t)(us / 1000000), .tv_usec = (suseconds_t)(us % 1000000)};
	evtimer_add(&check->timer, &tv);
}

static void finish(struct berth_check *check, enum berth_probe_result result)
{
	const struct berth_health_config *how = check->probe.key.check;
	struct berth_checks *checks = check->checks;
	uint64_t now = berth_probe_now_us();
	bool success = result == BERTH_PROBE_SUCCESS;

	berth_tunnel_end(&check->probe);
	check->lane->probing--;
	check->was_slow = false;
	check->phase = BERTH_CHECK_RESTING;
	set_timer(check, check->due_us > now ? check->due_us - now : 0);
	if (result == BERTH_PROBE_UNSURE)
		return;
	check->probes++;
	check->failures += !success;
	if (berth_rise_fall_step(&check->state, how->rise, how->fall, success, now / 1000))
		checks->listener.changed(checks->listener.arg, check);
}

static enum berth_probe_result enter_tunnel(struct berth_checks *checks, struct berth_probe *probe)
{
	if (!checks->tunnel)
		checks->tunnel = berth_tunnel_new(probe->base, &checks->ways, probe->why);
	return checks->tunnel ? berth_tunnel_begin(checks->tunnel, probe) : BERTH_PROBE_UNSURE;
}

static enum berth_probe_result start_probe(struct berth_check *check)
{
	void **shared = &check->checks->shared[check->probe.key.check->type];

	if (!*shared && check->ops->open)
		*shared = check->ops->open(check->probe.base);
	if (!*shared && check->ops->open) {
		berth_probe_say(&check->probe, "not enough memory or descriptors for checks of this type");
		return BERTH_PROBE_UNSURE;
	}
	check->probe.shared = *shared;
	check->probe.missing = "no answer";
	enum berth_probe_result result = check->probe.key.way ? enter_tunnel(check->checks, &check->probe)
							      : BERTH_PROBE_UNDER_WAY;
	return result == BERTH_PROBE_UNDER_WAY ? check->ops->start(&check->probe) : result;
}

static void start(struct berth_check *check)
{
	const struct berth_health_config *how = check->probe.key.check;
	uint32_t interval = how->interval_ms ? how->interval_ms : 1;

	check->lane->probing++;
	check->phase = BERTH_CHECK_PROBING;
	check->random = berth_health_random(check->random);
	check->probe.started_us = berth_probe_now_us();
	uint32_t delay = check->was_probed ? berth_health_delay(interval, check->random)
					   : berth_health_second_delay(interval, check->random);
	check->due_us = check->probe.started_us + UINT64_C(1000) * delay;
	check->was_probed = true;
	set_timer(check, UINT64_C(1000) * (how->timeout_ms ? how->timeout_ms : 1));
	enum berth_probe_result result = start_probe(check);
	if (result != BERTH_PROBE_UNDER_WAY)
		finish(check, result);
}

void berth_checks_settle(struct berth_checks *checks)
{
	for (int i = 0; i < LANES; i++) {
		struct lane *lane = &checks->lanes[i];
		struct berth_check *check;
		while (lane->probing < lane->slots && (check = TAILQ_FIRST(&lane->waiting))) {
			TAILQ_REMOVE(&lane->waiting, check, waiting);
			start(check);
		}
	}
	checks->listener.settled(checks->listener.arg);
}

static void on_timer(evutil_socket_t fd, short events, void *arg)
{
	(void)fd;
	(void)events;
	struct berth_check *check = arg;
	struct berth_checks *checks = check->checks;

	if (check->phase == BERTH_CHECK_PROBING) {
		check->ops->cancel(&check->probe);
		berth_probe_say(&check->probe, "%s within %u ms", check->probe.missing,
				check->probe.key.check->timeout_ms);
		finish(check, BERTH_PROBE_FAILURE);
		check->was_slow = true;
	} else {
		int lane = (check->ops->is_heavy ? LANE_HEAVY : LANE_QUICK) + check->was_slow;
		check->phase = BERTH_CHECK_WAITING;
		check->lane = &checks->lanes[lane];
		TAILQ_INSERT_TAIL(&check->lane->waiting, check, waiting);
	}
	berth_checks_settle(checks);
}

void berth_probe_done(struct berth_probe *probe, enum berth_probe_result result)
{
	struct berth_check *check = (struct berth_check *)probe;
	struct berth_checks *checks = check->checks;

	finish(check, result);
	berth_checks_settle(checks);
}

/* Made and freed. */

static struct berth_probe_key key_of(const struct berth_health_target *target,
				     const struct berth_health_config *check)
{
	const struct berth_probe_ops *ops = berth_probe_types[check->type];
	struct berth_probe_key key = {.address = target->address, .check = check};

	if (berth_health_has_port(check->type))
		key.port = check->port ? check->port : target->port;
	if (ops && check->via == BERTH_VIA_TUNNEL)
		key.way = target->id;
	if (ops && ops->is_named) {
		strncpy(key.service, target->service, sizeof(key.service) - 1);
		strncpy(key.backend, target->backend, sizeof(key.backend) - 1);
	}
	return key;
}

/* Of what the check is and not of where it stands in memory: so it is the same again. */
static uint64_t seed_of(const struct berth_probe_key *key)
{
	uint64_t seed = berth_health_random(key->port ^ (uint64_t)key->check->type << 32);

	seed = berth_health_random(seed ^ key->address.half[0]);
	return berth_health_random(seed ^ key->address.half[1]);
}

static void begin(struct berth_check *check)
{
	uint64_t now = berth_probe_now_us();

	if (!check->ops) {
		berth_rise_fall_init(&check->state, 1, now / 1000);
		berth_probe_say(&check->probe, "not checked");
		return;
	}
	berth_rise_fall_init(&check->state, -1, now / 1000);
	berth_probe_say(&check->probe, "not probed yet");
	uint32_t delay = berth_health_first_delay(check->probe.key.check->interval_ms, check->random);
	set_timer(check, UINT64_C(1000) * delay);
}

static struct berth_check *check_new(struct berth_checks *checks, const struct berth_probe_key *key)
{
	struct berth_check *check = calloc(1, sizeof(*check));

	if (!check)
		return NULL;
	check->probe.key = *key;
	check->probe.base = checks->base;
	check->checks = checks;
	check->ops = berth_probe_types[key->check->type];
	check->random = seed_of(key);
	LIST_INIT(&check->members);
	if (!tsearch(check, &checks->tree, compare_checks)) {
		free(check);
		return NULL;
	}
	evtimer_assign(&check->timer, checks->base, on_timer, check);
	begin(check);
	return check;
}

struct berth_check *berth_checks_get(struct berth_checks *checks, const struct berth_health_target *target)
{
	static const struct berth_health_config none = {.type = BERTH_HEALTH_NONE};
	bool is_none = target->check->type == BERTH_HEALTH_NONE;
	struct recipe *recipe = recipe_get(checks, is_none ? &none : target->check);

	if (!recipe)
		return NULL;
	struct berth_probe_key key = key_of(target, &recipe->check);
	void *node = tfind(&key, &checks->tree, compare_checks);
	struct berth_check *check = node ? *(struct berth_check **)node : check_new(checks, &key);
	/* A check uses its recipe once. */
	if (node || !check)
		recipe_put(checks, &recipe->check);
	return check;
}

void berth_checks_put(struct berth_check *check)
{
	struct berth_checks *checks = check->checks;

	if (!LIST_EMPTY(&check->members))
		return;
	evtimer_del(&check->timer);
	if (check->phase == BERTH_CHECK_WAITING)
		TAILQ_REMOVE(&check->lane->waiting, check, waiting);
	if (check->phase == BERTH_CHECK_PROBING) {
		check->ops->cancel(&check->probe);
		berth_tunnel_end(&check->probe);
		check->lane->probing--;
	}
	tdelete(check, &checks->tree, compare_checks);
	recipe_put(checks, check->probe.key.check);
	free(check);
}

static unsigned int slots(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) || files.rlim_cur / 4 < LEAST_SLOTS)
		return LEAST_SLOTS;
	return files.rlim_cur / 4 < MOST_SLOTS ? (unsigned int)files.rlim_cur / 4 : MOST_SLOTS;
}

struct berth_checks *berth_checks_new(struct event_base *base, const struct berth_checks_listener *listener)
{
	struct berth_checks *checks = calloc(1, sizeof(*checks));

	if (!checks)
		return NULL;
	checks->base = base;
	checks->listener = *listener;
	for (int i = 0; i < LANES; i++) {
		TAILQ_INIT(&checks->lanes[i].waiting);
		checks->lanes[i].slots = i < LANE_HEAVY ? slots() : HEAVY_SLOTS;
	}
	return checks;
}

void berth_checks_set_ways(struct berth_checks *checks, const struct berth_health_ways *ways)
{
	checks->ways = *ways;
}

void berth_checks_free(struct berth_checks *checks)
{
	if (!checks)
		return;
	berth_tunnel_free(checks->tunnel);
	for (int i = 0; i < BERTH_HEALTH_TYPES; i++)
		if (checks->shared[i])
			berth_probe_types[i]->close(checks->shared[i]);
	free(checks);
}
