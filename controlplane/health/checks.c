/* SPDX-License-Identifier: BSD-3-Clause */
#include "controlplane/health/checks.h"

#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/health/own_link.h"
#include "controlplane/health/remote.h"
#include "controlplane/health/tunnel.h"
#include "controlplane/health/types.h"

enum {
	HEAVY_SLOTS = 16,
	/* After a probe's timeout; a helper that has not reported it by then hangs. */
	GRACE_MS = 1000,
};

/* A server whose last probe timed out uses the slow pool, so that many dead servers do not delay the probes of live
 * ones. */
enum {
	POOL_FAST,
	POOL_SLOW,
	POOL_HEAVY,
	POOL_HEAVY_SLOW,
	POOLS
};

struct probe_pool {
	TAILQ_HEAD(, berth_check) queue;
	unsigned int slots;
	unsigned int n_probing;
};

/* One copy of each distinct configuration, so that equal configurations have one address. */
struct shared_config {
	struct berth_health_config config; /* first member: searches compare it */
	size_t n_users;
};

struct berth_checks {
	struct event_base *base;
	struct berth_wheel *wheel;
	struct berth_checks_listener listener;
	void *tree;    /* <search.h>, by key */
	void *configs; /* <search.h>, by bytes */
	struct probe_pool pools[POOLS];
	void *shared[BERTH_HEALTH_TYPES];
	struct berth_health_next_hops next_hops;
	struct berth_tunnel *tunnel; /* opened by the first probe that needs it */
	struct berth_own_link own_link;
	struct berth_reception (*reception)(void *arg); /* NULL: there is no break */
	void *reception_arg;
	struct berth_remote *remote; /* NULL: probes run in this process */
};

static int compare_checks(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct berth_probe_key));
}

static int compare_configs(const void *a, const void *b)
{
	return a == b ? 0 : memcmp(a, b, sizeof(struct berth_health_config));
}

static struct shared_config *acquire_config(struct berth_checks *checks, const struct berth_health_config *config)
{
	void *node = tfind(config, &checks->configs, compare_configs);
	struct shared_config *shared = node ? *(struct shared_config **)node : calloc(1, sizeof(*shared));

	if (!shared)
		return NULL;
	if (!node) {
		shared->config = *config;
		if (!tsearch(shared, &checks->configs, compare_configs)) {
			free(shared);
			return NULL;
		}
	}
	shared->n_users++;
	return shared;
}

static void release_config(struct berth_checks *checks, const struct berth_health_config *config)
{
	void *node = tfind(config, &checks->configs, compare_configs);
	struct shared_config *shared = *(struct shared_config **)node;

	if (--shared->n_users)
		return;
	tdelete(shared, &checks->configs, compare_configs);
	free(shared);
}

/* --- probes --- */

static void set_timer(struct berth_check *check, uint64_t us)
{
	berth_wheel_set(check->checks->wheel, &check->timer, us);
}

/* Records whether the probe could run. Returns true if that changed. */
static bool set_error(struct berth_check *check, enum berth_probe_result result, uint64_t now_ms)
{
	enum berth_health_error error = result == BERTH_PROBE_MISCONFIGURED ? BERTH_HEALTH_MISCONFIGURED
					: result == BERTH_PROBE_HOST_ERROR  ? BERTH_HEALTH_HOST_ERROR
									    : BERTH_HEALTH_NO_ERROR;

	check->errors += error != BERTH_HEALTH_NO_ERROR;
	if (check->error == error)
		return false;
	check->error = error;
	check->error_since_ms = now_ms;
	return true;
}

/* Counts the result for or against the server. Returns true if the state changed. */
static bool count_result(struct berth_check *check, enum berth_probe_result result, uint64_t now_ms)
{
	const struct berth_health_config *config = check->probe.key.check;
	bool success = result == BERTH_PROBE_SUCCESS;

	/* An error of this host keeps the state for `stale`. */
	if (result == BERTH_PROBE_HOST_ERROR && now_ms - check->error_since_ms < config->stale_ms)
		return false;
	check->probes++;
	check->failures += !success;
	bool changed = berth_rise_fall_step(&check->state, config->rise, config->fall, success, now_ms);
	check->changes += changed;
	return changed;
}

/* Whether this host stopped receiving packets while the probe ran. It may have stopped so recently that berthd has
 * not noticed: a server counts as silent only if packets were received in the second half of the probe, too. */
static bool was_interrupted(const struct berth_check *check)
{
	const struct berth_checks *checks = check->checks;
	if (!checks->reception)
		return false;
	const struct berth_reception reception = checks->reception(checks->reception_arg);
	const uint64_t started_ms = check->probe.started_us / 1000;
	const uint64_t half_ms = (check->probe.started_us + check->duration_us / 2) / 1000;
	return started_ms < reception.since_ms || (check->timed_out && reception.until_ms < half_ms);
}

/* A failure of a server that may be up is this host's, if no answer could come: it did not receive packets all the
 * time, or its own link is down. Of many servers that are down only the first failures are looked at, so that the
 * rest costs nothing. */
static enum berth_probe_result blame(struct berth_check *check, enum berth_probe_result result)
{
	char name[IF_NAMESIZE];
	bool is_known_down = check->state.up == 0 && check->error != BERTH_HEALTH_HOST_ERROR;
	if (result != BERTH_PROBE_FAILURE || is_known_down)
		return result;
	if (was_interrupted(check))
		berth_probe_set_reason(&check->probe, "the engine of this host did not receive packets meanwhile");
	else if (berth_own_link_is_down(&check->checks->own_link, &check->probe.key.address, name))
		berth_probe_set_reason(&check->probe, "%s, the link towards the server, is down or has no carrier",
				       name);
	else
		return result;
	return BERTH_PROBE_HOST_ERROR;
}

/* A helper may have been taken over: the time that it tells is at most the one that passed here. */
static void add_response(struct berth_check *check, uint64_t now_ms)
{
	const struct berth_health_config *config = check->probe.key.check;
	const uint64_t told = check->probe.measured_us;
	berth_response_add(&check->response, told && told < check->duration_us ? told : check->duration_us,
			   berth_health_half_life_ms(config), now_ms);
}

/* Counts what an agent said or did not say. Returns true if it says something else than before. */
static bool hear(struct berth_check *check, enum berth_probe_result result, uint64_t now_ms)
{
	struct berth_agent_heard *heard = &check->heard;
	const struct berth_agent_words before = heard->said;
	if (result != BERTH_PROBE_SUCCESS) {
		heard->refused += check->probe.is_refused;
		heard->silences += !check->probe.is_refused;
		heard->misses++;
		return false;
	}
	heard->lines++;
	heard->misses = 0;
	heard->spoken_ms = now_ms;
	snprintf(heard->line, sizeof(heard->line), "%.127s", check->probe.reason);
	berth_agent_add(&heard->said, &check->probe.agent);
	return !berth_agent_equal(&before, &heard->said);
}

/* Returns true if the state or the error changed. */
static bool judge(struct berth_check *check, enum berth_probe_result result, uint64_t now_ms)
{
	result = blame(check, result);
	if (result == BERTH_PROBE_SUCCESS)
		add_response(check, now_ms);
	bool error_changed = set_error(check, result, now_ms);
	return count_result(check, result, now_ms) || error_changed;
}

/* A helper tells how long the probe took; the rest it waited there. */
static void note_delay(const struct berth_check *check, uint64_t now_us)
{
	const uint64_t told = check->probe.measured_us;
	const uint64_t waited_us = check->waited_us +
				   (told && told < check->duration_us ? check->duration_us - told : 0);
	berth_health_delays_add(check->checks->listener.delays, waited_us, check->probe.key.check->interval_ms,
				now_us);
}

static void finish(struct berth_check *check, enum berth_probe_result result)
{
	struct berth_checks *checks = check->checks;
	uint64_t now = berth_probe_now_us();

	check->timed_out = result == BERTH_PROBE_TIMED_OUT;
	if (check->timed_out)
		result = BERTH_PROBE_FAILURE;
	berth_tunnel_end(&check->probe);
	check->pool->n_probing--;
	check->duration_us = now - check->probe.started_us;
	check->phase = BERTH_CHECK_IDLE;
	note_delay(check, now);
	check->due_us = check->due_us > now ? check->due_us : now;
	set_timer(check, check->due_us - now);
	const bool is_agent = check->probe.key.check->type == BERTH_HEALTH_AGENT;
	if (is_agent ? hear(check, result, now / 1000) : judge(check, result, now / 1000))
		checks->listener.changed(checks->listener.arg, check);
}

static enum berth_probe_result begin_tunnel(struct berth_checks *checks, struct berth_probe *probe)
{
	if (!checks->tunnel)
		checks->tunnel = berth_tunnel_new(probe->base, &checks->next_hops, probe->reason);
	return checks->tunnel ? berth_tunnel_begin(checks->tunnel, probe) : BERTH_PROBE_HOST_ERROR;
}

static enum berth_probe_result start_probe(struct berth_check *check)
{
	void **shared = check->ops == &berth_probe_remote ? (void **)&check->checks->remote
							  : &check->checks->shared[check->probe.key.check->type];

	if (!*shared && check->ops->open)
		*shared = check->ops->open(check->probe.base);
	if (!*shared && check->ops->open) {
		berth_probe_set_reason(&check->probe, "out of memory or descriptors for checks of this type");
		return BERTH_PROBE_HOST_ERROR;
	}
	check->probe.shared = *shared;
	check->probe.timeout_reason = "no answer";
	check->probe.given_fd = check->probe.ca_fd = -1;
	enum berth_probe_result result = check->probe.key.tunnel_target ? begin_tunnel(check->checks, &check->probe)
									: BERTH_PROBE_PENDING;
	return result == BERTH_PROBE_PENDING ? check->ops->start(&check->probe) : result;
}

static void start(struct berth_check *check)
{
	const struct berth_health_config *config = check->probe.key.check;
	uint32_t interval = config->interval_ms ? config->interval_ms : 1;

	check->pool->n_probing++;
	check->phase = BERTH_CHECK_PROBING;
	check->random = berth_health_random(check->random);
	check->probe.started_us = berth_probe_now_us();
	check->waited_us = check->probe.started_us > check->due_us ? check->probe.started_us - check->due_us : 0;
	check->probe.measured_us = 0;
	check->probe.is_refused = false;
	uint32_t delay = check->was_probed ? berth_health_delay(interval, check->random)
					   : berth_health_second_delay(interval, check->random);
	check->due_us = berth_health_together(check->probe.started_us + UINT64_C(1000) * delay, interval);
	check->was_probed = true;
	uint32_t timeout = (config->timeout_ms ? config->timeout_ms : 1) + (check->ops->times_out ? GRACE_MS : 0);
	set_timer(check, UINT64_C(1000) * timeout);
	enum berth_probe_result result = start_probe(check);
	if (result != BERTH_PROBE_PENDING)
		finish(check, result);
}

void berth_checks_dispatch(struct berth_checks *checks)
{
	for (int i = 0; i < POOLS; i++) {
		struct probe_pool *pool = &checks->pools[i];
		struct berth_check *check;
		while (pool->n_probing < pool->slots && (check = TAILQ_FIRST(&pool->queue))) {
			TAILQ_REMOVE(&pool->queue, check, queue_entry);
			start(check);
		}
	}
	checks->listener.deliver(checks->listener.arg);
}

static void end_late_probe(struct berth_check *check)
{
	check->ops->cancel(&check->probe);
	if (check->ops->times_out)
		berth_probe_set_reason(&check->probe, "berth's helper for probes does not answer");
	else
		berth_probe_set_timeout(&check->probe);
	finish(check, check->ops->times_out ? BERTH_PROBE_HOST_ERROR : BERTH_PROBE_TIMED_OUT);
}

static void on_timer(void *arg)
{
	struct berth_check *check = arg;
	struct berth_checks *checks = check->checks;

	if (check->phase == BERTH_CHECK_PROBING) {
		end_late_probe(check);
	} else {
		int pool = (check->ops->is_heavy ? POOL_HEAVY : POOL_FAST) + check->timed_out;
		check->phase = BERTH_CHECK_QUEUED;
		check->pool = &checks->pools[pool];
		TAILQ_INSERT_TAIL(&check->pool->queue, check, queue_entry);
	}
	berth_checks_dispatch(checks);
}

static void on_probe_done(struct berth_probe *probe, enum berth_probe_result result)
{
	struct berth_check *check = (struct berth_check *)probe;
	struct berth_checks *checks = check->checks;

	finish(check, result);
	berth_checks_dispatch(checks);
}

/* --- creation and release --- */

static struct berth_probe_key make_key(const struct berth_health_target *target,
				       const struct berth_health_config *check)
{
	const struct berth_probe_ops *ops = berth_probe_types[check->type];
	struct berth_probe_key key = {.address = target->address, .check = check};

	if (berth_health_has_port(check->type))
		key.port = check->port ? check->port : target->port;
	if (ops && check->via == BERTH_VIA_TUNNEL)
		key.tunnel_target = target->id;
	if (ops && ops->is_named) {
		strncpy(key.service, target->service, sizeof(key.service) - 1);
		strncpy(key.backend, target->backend, sizeof(key.backend) - 1);
	}
	return key;
}

/* Derived from the key and not from addresses in memory, so that a restart gives the same seed. */
static uint64_t make_seed(const struct berth_probe_key *key)
{
	uint64_t seed = berth_health_random(key->port ^ (uint64_t)key->check->type << 32);

	seed = berth_health_random(seed ^ key->address.half[0]);
	return berth_health_random(seed ^ key->address.half[1]);
}

/* Until it has a target it does not probe: what it finds would be known before its backend is. */
static void init_state(struct berth_check *check)
{
	berth_rise_fall_init(&check->state, check->ops ? -1 : 1, berth_probe_now_us() / 1000);
	berth_probe_set_reason(&check->probe, check->ops ? "not probed yet" : "not checked");
}

void berth_checks_begin(struct berth_check *check)
{
	if (check->has_begun || !check->ops)
		return;
	check->has_begun = true;
	uint32_t delay = berth_health_first_delay(check->probe.key.check->interval_ms, check->random);
	set_timer(check, UINT64_C(1000) * delay);
}

/* A helper has no privilege: it cannot run programs as other users. */
static const struct berth_probe_ops *ops_of(const struct berth_checks *checks, enum berth_health_type type)
{
	const struct berth_probe_ops *ops = berth_probe_types[type];
	return checks->remote && ops && !ops->is_heavy ? &berth_probe_remote : ops;
}

static struct berth_check *create_check(struct berth_checks *checks, const struct berth_probe_key *key)
{
	struct berth_check *check = calloc(1, sizeof(*check));

	if (!check)
		return NULL;
	check->probe.key = *key;
	check->probe.base = checks->base;
	check->probe.done = on_probe_done;
	check->checks = checks;
	check->ops = ops_of(checks, key->check->type);
	check->random = make_seed(key);
	LIST_INIT(&check->targets);
	if (!tsearch(check, &checks->tree, compare_checks)) {
		free(check);
		return NULL;
	}
	check->timer = (struct berth_wheel_timer){.fn = on_timer, .arg = check};
	init_state(check);
	return check;
}

/* The part of the configuration that matters to the probe. */
static struct shared_config *acquire_part(struct berth_checks *checks, const struct berth_health_target *target)
{
	static const struct berth_health_config none = {.type = BERTH_HEALTH_NONE};
	if (!target->is_agent && target->check->type == BERTH_HEALTH_NONE)
		return acquire_config(checks, &none);
	if (!target->is_agent && !target->check->agent_port)
		return acquire_config(checks, target->check);
	const struct berth_health_config part = target->is_agent ? berth_health_agent(target->check)
								 : berth_health_without_agent(target->check);
	return acquire_config(checks, &part);
}

struct berth_check *berth_checks_acquire(struct berth_checks *checks, const struct berth_health_target *target)
{
	struct shared_config *config = acquire_part(checks, target);

	if (!config)
		return NULL;
	struct berth_probe_key key = make_key(target, &config->config);
	void *node = tfind(&key, &checks->tree, compare_checks);
	struct berth_check *check = node ? *(struct berth_check **)node : create_check(checks, &key);
	/* Each check holds one reference. */
	if (node || !check)
		release_config(checks, &config->config);
	return check;
}

void berth_checks_release(struct berth_check *check)
{
	struct berth_checks *checks = check->checks;

	if (!LIST_EMPTY(&check->targets) || check->n_staged)
		return;
	berth_wheel_cancel(checks->wheel, &check->timer);
	if (check->phase == BERTH_CHECK_QUEUED)
		TAILQ_REMOVE(&check->pool->queue, check, queue_entry);
	if (check->phase == BERTH_CHECK_PROBING) {
		check->ops->cancel(&check->probe);
		berth_tunnel_end(&check->probe);
		check->pool->n_probing--;
	}
	tdelete(check, &checks->tree, compare_checks);
	release_config(checks, check->probe.key.check);
	free(check);
}

struct berth_checks *berth_checks_new(struct event_base *base, const struct berth_checks_listener *listener,
				      struct berth_helper *helper)
{
	struct berth_checks *checks = calloc(1, sizeof(*checks));

	if (!checks)
		return NULL;
	checks->base = base;
	checks->listener = *listener;
	checks->wheel = berth_wheel_new(base);
	checks->remote = helper ? berth_remote_new(helper) : NULL;
	if (!checks->wheel || (helper && !checks->remote)) {
		berth_remote_free(checks->remote);
		berth_wheel_free(checks->wheel);
		free(checks);
		return NULL;
	}
	berth_own_link_open(&checks->own_link);
	for (int i = 0; i < POOLS; i++) {
		TAILQ_INIT(&checks->pools[i].queue);
		checks->pools[i].slots = i < POOL_HEAVY ? berth_probe_slots() : HEAVY_SLOTS;
	}
	return checks;
}

void berth_checks_set_next_hops(struct berth_checks *checks, const struct berth_health_next_hops *next_hops)
{
	checks->next_hops = *next_hops;
}

void berth_checks_set_reception_fn(struct berth_checks *checks, struct berth_reception (*fn)(void *arg), void *arg)
{
	checks->reception = fn;
	checks->reception_arg = arg;
}

void berth_checks_free(struct berth_checks *checks)
{
	if (!checks)
		return;
	berth_tunnel_free(checks->tunnel);
	berth_own_link_close(&checks->own_link);
	berth_remote_free(checks->remote);
	for (int i = 0; i < BERTH_HEALTH_TYPES; i++)
		if (checks->shared[i])
			berth_probe_types[i]->close(checks->shared[i]);
	berth_wheel_free(checks->wheel);
	free(checks);
}
