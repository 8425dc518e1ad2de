// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/daemon/supervision.h"

#include <errno.h>
#include <event2/event.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/daemon/private.h"
#include "controlplane/util/service_manager.h"
#include "dataplane/interface/heartbeat.h"

enum {
	START_MS = 200, /* period until berthd is ready; a worker that runs polls at least once in it */
	WATCH_MS = 1000,
	STATUS_BYTES = 256,
	/* How much longer the start may take, said again in each period: a berthd that hangs is noticed then. */
	EXTEND_US = 30000000,
};

struct berth_supervision {
	struct event *timer;
	struct berth_heartbeat heartbeat; /* of the last period */
	bool is_ready;
	char status[STATUS_BYTES]; /* told last */
};

enum condition {
	FORWARDS,
	WAITS, /* for something that a restart of berthd does not bring */
	FAULT,
};

/* The first interface of the configuration that does not exist; NULL: each does. Devices are no interfaces. */
static const char *missing_interface(const struct berth_config *config)
{
	for (size_t i = 0; i < config->n_interfaces; i++)
		if (!config->interfaces[i].device[0] && !if_nametoindex(config->interfaces[i].name))
			return config->interfaces[i].name;
	return NULL;
}

static enum condition check_workers(struct berth_supervision *supervision, const struct berth_engine *engine,
				    char status[STATUS_BYTES])
{
	const struct berth_heartbeat before = supervision->heartbeat;
	uint32_t n;
	berth_heartbeat_sample(&engine->image, &supervision->heartbeat);
	const uint32_t stuck = berth_heartbeat_stuck(&before, &supervision->heartbeat, &n);
	if (stuck)
		snprintf(status, STATUS_BYTES, "%u of %u workers do not run", stuck, n);
	return stuck ? FAULT : FORWARDS;
}

/* Whether the configuration is in force. After the start a change may be pending for a second. */
static enum condition check_publication(const struct berth_daemon *daemon, char status[STATUS_BYTES])
{
	const struct berth_publication *publication = &daemon->state.publication;
	const bool is_ready = daemon->supervision->is_ready;
	if (is_ready ? !publication->is_late : !publication->is_pending)
		return FORWARDS;
	snprintf(status, STATUS_BYTES, "the configuration is not in force%s%.200s",
		 publication->error[0] ? ": " : "", publication->error);
	return FAULT;
}

static enum condition examine(struct berth_daemon *daemon, char status[STATUS_BYTES])
{
	const struct berth_engine *engine = daemon->engine;
	const enum condition workers = check_workers(daemon->supervision, engine, status);
	const char *missing = missing_interface(daemon->model.config);
	if (missing) {
		snprintf(status, STATUS_BYTES, "waiting for the interface %s", missing);
		return WAITS;
	}
	if (!engine->ops->is_running(engine)) {
		snprintf(status, STATUS_BYTES, "waiting for the %s engine, which does not forward",
			 engine->ops->name);
		return FAULT;
	}
	if (workers != FORWARDS)
		return workers;
	const enum condition publication = check_publication(daemon, status);
	if (publication == FORWARDS)
		snprintf(status, STATUS_BYTES, "forwarding: %zu services", daemon->model.n_services);
	return publication;
}

static void set_period(struct berth_supervision *supervision)
{
	const uint32_t period_ms = supervision->is_ready ? WATCH_MS : START_MS;
	const struct timeval period = {.tv_sec = period_ms / 1000, .tv_usec = period_ms % 1000 * 1000};
	event_add(supervision->timer, &period);
}

static void on_period(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct berth_daemon *daemon = arg;
	struct berth_supervision *supervision = daemon->supervision;
	char status[STATUS_BYTES], lines[STATUS_BYTES + 64] = "";
	const enum condition condition = examine(daemon, status);
	const bool becomes_ready = condition == FORWARDS && !supervision->is_ready;
	if (becomes_ready) {
		supervision->is_ready = true;
		set_period(supervision);
	}
	if (strcmp(status, supervision->status) != 0 || becomes_ready)
		snprintf(lines, sizeof(lines), "%sSTATUS=%s\n", becomes_ready ? "READY=1\n" : "", status);
	if (!supervision->is_ready)
		snprintf(lines + strlen(lines), sizeof(lines) - strlen(lines), "EXTEND_TIMEOUT_USEC=%d\n",
			 EXTEND_US);
	else if (condition != FAULT)
		snprintf(lines + strlen(lines), sizeof(lines) - strlen(lines), "WATCHDOG=1\n");
	if (lines[0] && berth_service_manager_tell(lines) == 0)
		snprintf(supervision->status, sizeof(supervision->status), "%s", status);
}

int berth_supervision_open(struct berth_daemon *daemon)
{
	if (!berth_service_manager_exists())
		return 0;
	struct berth_supervision *supervision = calloc(1, sizeof(*supervision));
	daemon->supervision = supervision;
	if (!supervision)
		return -ENOMEM;
	supervision->timer = event_new(daemon->base, -1, EV_PERSIST, on_period, daemon);
	if (!supervision->timer)
		return -ENOMEM;
	set_period(supervision);
	return 0;
}

void berth_supervision_close(struct berth_daemon *daemon)
{
	struct berth_supervision *supervision = daemon->supervision;
	if (!supervision)
		return;
	berth_service_manager_tell("STOPPING=1\nSTATUS=ending\n");
	if (supervision->timer)
		event_free(supervision->timer);
	free(supervision);
	daemon->supervision = NULL;
}
