// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/daemon/port_taps.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/daemon/engine_restart.h"
#include "controlplane/daemon/private.h"
#include "controlplane/netlink/taps.h"
#include "controlplane/util/log.h"
#include "dataplane/interface/tap_ports.h"

enum {
	FOLLOW_S = 1,
};

struct berth_port_taps {
	struct berth_taps taps;
	struct event *timer;
	int errors[BERTH_MAX_PORTS]; /* of the last attempts; each is logged once */
	bool may_have_others;	     /* ports of other configurations */
	bool is_failing;	     /* the engine; its TAP devices have no carrier */
};

static size_t list_names(const struct berth_engine *engine, const struct berth_config *config,
			 const char *names[BERTH_MAX_PORTS])
{
	const size_t n_interfaces = engine->ops == &berth_engine_dpdk ? config->n_interfaces : 0;
	size_t n = 0;
	for (size_t i = 0; i < n_interfaces && n < BERTH_MAX_PORTS; i++)
		if (berth_device_has_tap(config->interfaces[i].device, config->interfaces[i].name))
			names[n++] = config->interfaces[i].name;
	return n;
}

/* Whether berth-dpdk runs and has a TAP device of this name. */
static bool is_engines(struct berth_engine *engine, const char *name)
{
	json_t *status = engine->ops->is_running(engine) ? engine->ops->status(engine) : NULL, *port;
	bool found = false;
	size_t i;
	json_array_foreach(json_object_get(status, "ports"), i, port)
	{
		const char *tap = json_string_value(json_object_get(port, "tap"));
		found |= tap && strcmp(tap, name) == 0;
	}
	json_decref(status);
	return found;
}

static int hold_port(struct berth_taps *taps, struct berth_engine *engine, const char *name)
{
	const int err = berth_taps_hold(taps, name, false);
	return err == -EEXIST && is_engines(engine, name) ? berth_taps_hold(taps, name, true) : err;
}

static const char *describe(int err)
{
	return err == -EEXIST ? "another program has a TAP device of this name" : strerror(-err);
}

/* What an interface of this name that is no TAP device means, berth-dpdk says. A TAP device of a berth-dpdk of a
 * former release is held when that has ended. */
static void hold(struct berth_port_taps *taps, struct berth_engine *engine, const struct berth_config *config)
{
	const char *names[BERTH_MAX_PORTS];
	const size_t n = list_names(engine, config, names);
	for (size_t i = 0; i < n; i++) {
		const int err = hold_port(&taps->taps, engine, names[i]);
		if (err && err != taps->errors[i] && err != -EINVAL && err != -EBUSY)
			berth_log("%s: its TAP device cannot be held: %s; its addresses are lost when berth-dpdk "
				  "ends",
				  names[i], describe(err));
		taps->errors[i] = err;
	}
}

/* A configuration whose engine does not start is taken back, and its ports with it. */
static bool is_settled(struct berth_daemon *daemon)
{
	const struct berth_engine *engine = daemon->engine;
	return engine->is_started && engine->ops->is_running(engine) && !berth_engine_is_awaited(engine) &&
	       !berth_engine_restart_is_awaited(daemon);
}

static void remove_others(struct berth_daemon *daemon)
{
	struct berth_port_taps *taps = daemon->port_taps;
	const char *names[BERTH_MAX_PORTS];
	const size_t n = list_names(daemon->engine, daemon->model.config, names);
	if (taps->may_have_others && is_settled(daemon))
		taps->may_have_others = berth_taps_remove_others(&taps->taps, names, n) != 0;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct berth_daemon *daemon = arg;
	struct berth_port_taps *taps = daemon->port_taps;
	const bool is_failing = daemon->engine->process.is_failing &&
				!daemon->engine->ops->is_running(daemon->engine);
	if (!daemon->model.config)
		return;
	hold(taps, daemon->engine, daemon->model.config);
	if (is_failing && !taps->is_failing)
		berth_taps_clear_carriers(&taps->taps);
	taps->is_failing = is_failing;
	remove_others(daemon);
}

int berth_port_taps_open(struct berth_daemon *daemon)
{
	const struct timeval period = {.tv_sec = FOLLOW_S};
	struct berth_port_taps *taps = calloc(1, sizeof(*taps));
	daemon->port_taps = taps;
	if (!taps)
		return -ENOMEM;
	berth_taps_init(&taps->taps, daemon->options.paths.instance);
	taps->may_have_others = true;
	taps->timer = event_new(daemon->base, -1, EV_PERSIST, on_timer, daemon);
	return taps->timer && event_add(taps->timer, &period) == 0 ? 0 : -ENOMEM;
}

void berth_port_taps_close(struct berth_daemon *daemon)
{
	struct berth_port_taps *taps = daemon->port_taps;
	if (!taps)
		return;
	if (taps->timer)
		event_free(taps->timer);
	berth_taps_close(&taps->taps);
	free(taps);
	daemon->port_taps = NULL;
}

void berth_port_taps_stage(struct berth_daemon *daemon, struct berth_engine *engine,
			   const struct berth_config *config)
{
	hold(daemon->port_taps, engine, config);
	daemon->port_taps->may_have_others = true;
}
