// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/daemon/supervision.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/daemon/node.h"
#include "controlplane/daemon/private.h"
#include "controlplane/util/service_manager.h"

enum {
	START_MS = 200, /* period until berthd is ready */
	WATCH_MS = 1000,
	/* How much longer the start may take, said again in each period: a berthd that hangs is noticed then. */
	EXTEND_US = 30000000,
};

struct berth_supervision {
	struct event *timer;
	bool is_ready;
	char status[BERTH_ERROR_BYTES]; /* told last */
};

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
	char lines[BERTH_ERROR_BYTES + 64] = "";
	const char *status;
	const enum berth_forwarding forwarding = berth_node_forwarding(daemon, &status);
	const bool becomes_ready = forwarding == BERTH_FORWARDS && !supervision->is_ready;
	if (becomes_ready) {
		supervision->is_ready = true;
		set_period(supervision);
	}
	if (strcmp(status, supervision->status) != 0 || becomes_ready)
		snprintf(lines, sizeof(lines), "%sSTATUS=%s\n", becomes_ready ? "READY=1\n" : "", status);
	if (!supervision->is_ready)
		snprintf(lines + strlen(lines), sizeof(lines) - strlen(lines), "EXTEND_TIMEOUT_USEC=%d\n",
			 EXTEND_US);
	else if (forwarding != BERTH_FORWARD_FAULT)
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
