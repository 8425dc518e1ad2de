// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/daemon/node.h"

#include <errno.h>
#include <event2/event.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/announce/announcer.h"
#include "controlplane/api/plural.h"
#include "controlplane/daemon/cluster/exceptions.h"
#include "controlplane/daemon/cluster/operator.h"
#include "controlplane/daemon/engine_restart.h"
#include "controlplane/daemon/private.h"
#include "controlplane/daemon/saved_state.h"
#include "controlplane/model/former_rows.h"
#include "controlplane/tables/counters.h"
#include "controlplane/util/clock.h"
#include "controlplane/util/log.h"
#include "dataplane/interface/heartbeat.h"

enum {
	FOLLOW_MS = 200,
	/* A worker that runs polls at least once in it. */
	START_POLL_MS = 150, /* until it forwards for the first time */
	POLL_MS = 900,
	RESTART_MS = 3000, /* six times what a restart of the engine takes (docs/performance.md) */
};

struct berth_node_watch {
	struct event *timer;
	struct event *stop_timer; /* of the wait before the engine stops */
	struct berth_announcer *announcer;
	struct berth_heartbeat heartbeat; /* of `sampled_ms` */
	uint64_t sampled_ms;		  /* CLOCK_MONOTONIC; 0: not yet */
	uint32_t workers;
	uint32_t stuck; /* of them */
	bool has_forwarded;
	enum berth_forwarding forwarding;
	char status[BERTH_ERROR_BYTES];
};

/* The first interface of the configuration that does not exist; NULL: each does. Devices are no interfaces. */
static const char *missing_interface(const struct berth_config *config)
{
	for (size_t i = 0; i < config->n_interfaces; i++)
		if (!config->interfaces[i].device[0] && !if_nametoindex(config->interfaces[i].name))
			return config->interfaces[i].name;
	return NULL;
}

static void sample_workers(struct berth_node_watch *watch, const struct berth_engine *engine)
{
	const struct berth_heartbeat before = watch->heartbeat;
	const uint64_t now_ms = berth_clock_ms();
	if (watch->sampled_ms && now_ms - watch->sampled_ms < (watch->has_forwarded ? POLL_MS : START_POLL_MS))
		return;
	watch->sampled_ms = now_ms;
	berth_heartbeat_sample(&engine->image, &watch->heartbeat);
	watch->stuck = berth_heartbeat_stuck(&before, &watch->heartbeat, &watch->workers);
}

/* A new engine counts from 0 again. */
static void follow_traffic(const struct berth_image *image, struct berth_node *node)
{
	struct berth_totals totals;
	uint64_t taken = 0;
	berth_counters_totals(image, &totals);
	for (int i = BERTH_NO_VERDICT + 1; i < BERTH_VERDICT_COUNT; i++)
		if (BERTH_VERDICT_CLASS(i) <= BERTH_CLASS_ANSWER)
			taken += totals.verdict[i];
	if (taken != node->taken)
		node->taken_ms = berth_clock_ms();
	node->taken = taken;
}

/* Whether the configuration is in force. After the start a change may be pending for a second. */
static enum berth_forwarding check_publication(const struct berth_daemon *daemon, struct berth_node_watch *watch)
{
	const struct berth_publication *publication = &daemon->state.publication;
	if (watch->has_forwarded ? !publication->is_late : !publication->is_pending) {
		snprintf(watch->status, sizeof(watch->status), "forwarding: %zu service%s",
			 daemon->model.n_services, BERTH_PLURAL(daemon->model.n_services));
		return BERTH_FORWARDS;
	}
	snprintf(watch->status, sizeof(watch->status), "the configuration is not in force%s%.200s",
		 publication->error[0] ? ": " : "", publication->error);
	return BERTH_FORWARD_FAULT;
}

static enum berth_forwarding examine(const struct berth_daemon *daemon, struct berth_node_watch *watch)
{
	const struct berth_engine *engine = daemon->engine;
	const char *missing = missing_interface(daemon->model.config);
	sample_workers(watch, engine);
	if (missing) {
		snprintf(watch->status, sizeof(watch->status), "waiting for the interface %s", missing);
		return BERTH_FORWARD_WAITS;
	}
	if (!engine->ops->is_running(engine) || berth_engine_is_awaited(engine)) {
		snprintf(watch->status, sizeof(watch->status), "waiting for the %s engine, which does not forward",
			 engine->ops->name);
		return BERTH_FORWARD_FAULT;
	}
	if (watch->stuck) {
		snprintf(watch->status, sizeof(watch->status), "%u of %u workers do not run", watch->stuck,
			 watch->workers);
		return BERTH_FORWARD_FAULT;
	}
	return check_publication(daemon, watch);
}

static void follow_health(struct berth_daemon *daemon)
{
	const uint32_t timeout_ms = daemon->model.config->announce.start_timeout_ms;
	const bool is_late = berth_clock_ms() - daemon->installed_ms >= timeout_ms;
	for (size_t i = 0; i < daemon->model.n_services; i++) {
		const size_t n = berth_ready_follow(&daemon->model.services[i], is_late);
		if (n)
			berth_log_about(BERTH_ABOUT(daemon->model.services[i].config.name, NULL),
					"%s: after %u ms (start-timeout) it no longer waits for the first check of "
					"%zu backend%s",
					daemon->model.services[i].config.name, timeout_ms, n, BERTH_PLURAL(n));
		if (!daemon->state.publication.is_pending)
			berth_former_rows_begin(&daemon->model.services[i]);
	}
}

/* Routers that learn of so short a pause move all flows to other nodes and back, which takes them longer. An engine
 * that ends again and again, or does not start with options that an operator has not just changed, may not come
 * back soon. */
static bool is_restarting(const struct berth_daemon *daemon)
{
	const struct berth_engine_process *process = &daemon->engine->process;
	if (!process->stopped_ms) /* its end has not been noticed yet */
		return berth_engine_is_awaited(daemon->engine);
	return (!process->is_failing || berth_engine_restart_is_awaited(daemon)) &&
	       berth_clock_ms() - process->stopped_ms < RESTART_MS;
}

void berth_node_follow(struct berth_daemon *daemon)
{
	struct berth_node_watch *watch = daemon->node_watch;
	struct berth_node *node = &daemon->state.node;
	watch->forwarding = examine(daemon, watch);
	watch->has_forwarded |= watch->forwarding == BERTH_FORWARDS;
	snprintf(node->fault, sizeof(node->fault), "%s", watch->forwarding == BERTH_FORWARDS ? "" : watch->status);
	node->is_starting = !watch->has_forwarded && daemon->engine->ops->is_running(daemon->engine);
	node->is_restarting = is_restarting(daemon);
	follow_health(daemon);
	follow_traffic(&daemon->engine->image, node);
	berth_cluster_exceptions_follow(daemon);
	berth_cluster_operator_follow(daemon);
	berth_announcer_follow(watch->announcer, node, &daemon->model);
}

void berth_node_configure(struct berth_daemon *daemon)
{
	const int err = berth_announcer_configure(daemon->node_watch->announcer, &daemon->model);
	if (err)
		berth_log("ALARM: announce: the routes cannot be followed: %s; apply the configuration again",
			  strerror(-err));
}

void berth_node_drain(struct berth_daemon *daemon, bool drain)
{
	daemon->state.node.is_drained = drain;
	berth_saved_state_request(daemon);
	berth_node_follow(daemon);
}

void berth_daemon_exit(struct berth_daemon *daemon, bool stop)
{
	daemon->stop = stop;
	event_base_loopexit(daemon->base, NULL);
}

static void on_stop(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	berth_daemon_exit(arg, true);
}

void berth_node_stop(struct berth_daemon *daemon)
{
	struct berth_node_watch *watch = daemon->node_watch;
	const uint32_t wait_ms = daemon->model.config->announce.stop_wait_ms;
	const struct timeval wait = {.tv_sec = wait_ms / 1000, .tv_usec = wait_ms % 1000 * 1000};
	if (daemon->state.node.is_stopping)
		return;
	const bool waits = berth_announcer_is_any(watch->announcer) && wait_ms;
	daemon->state.node.is_stopping = true;
	berth_node_follow(daemon);
	if (!waits || event_add(watch->stop_timer, &wait))
		berth_daemon_exit(daemon, true);
	else
		berth_log("the engine stops in %u ms (announce.stop-wait)", wait_ms);
}

enum berth_forwarding berth_node_forwarding(const struct berth_daemon *daemon, const char **status)
{
	*status = daemon->node_watch->status;
	return daemon->node_watch->forwarding;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	berth_node_follow(arg);
}

int berth_node_open(struct berth_daemon *daemon)
{
	daemon->node_watch = calloc(1, sizeof(*daemon->node_watch));
	if (!daemon->node_watch)
		return -ENOMEM;
	struct berth_node_watch *watch = daemon->node_watch;
	watch->timer = event_new(daemon->base, -1, EV_PERSIST, on_timer, daemon);
	watch->stop_timer = evtimer_new(daemon->base, on_stop, daemon);
	watch->announcer = berth_announcer_new(daemon->base);
	daemon->state.announcer = watch->announcer;
	return watch->timer && watch->stop_timer && watch->announcer ? 0 : -ENOMEM;
}

int berth_node_start(struct berth_daemon *daemon)
{
	const struct timeval period = {.tv_usec = FOLLOW_MS * 1000};
	berth_node_follow(daemon);
	return event_add(daemon->node_watch->timer, &period) ? -ENOMEM : 0;
}

void berth_node_close(struct berth_daemon *daemon)
{
	if (!daemon->node_watch)
		return;
	if (daemon->node_watch->timer)
		event_free(daemon->node_watch->timer);
	if (daemon->node_watch->stop_timer)
		event_free(daemon->node_watch->stop_timer);
	berth_announcer_free(daemon->node_watch->announcer);
	free(daemon->node_watch);
	daemon->node_watch = NULL;
}
