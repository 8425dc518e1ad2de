// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/capture/session.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>

struct berth_capture {
	struct berth_engine *const *engine;
	struct event *lease;
	uint64_t id; /* of the last one */
};

static void stop(const struct berth_capture *capture)
{
	struct berth_engine *engine = *capture->engine;
	if (engine && engine->ops->capture_stop)
		engine->ops->capture_stop(engine);
}

static void on_lease(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	stop(arg);
}

struct berth_capture *berth_capture_new(struct event_base *base, struct berth_engine *const *engine)
{
	struct berth_capture *capture = calloc(1, sizeof(*capture));
	if (!capture)
		return NULL;
	capture->engine = engine;
	capture->lease = evtimer_new(base, on_lease, capture);
	if (capture->lease)
		return capture;
	free(capture);
	return NULL;
}

void berth_capture_free(struct berth_capture *capture)
{
	if (!capture)
		return;
	stop(capture);
	event_free(capture->lease);
	free(capture);
}

static void renew(const struct berth_capture *capture)
{
	const struct timeval lease = {.tv_sec = BERTH_CAPTURE_LEASE_S};
	evtimer_add(capture->lease, &lease);
}

int berth_capture_start(struct berth_capture *capture, const struct berth_capture_filter *filter, uint64_t *id,
			char error[BERTH_ERROR_BYTES])
{
	struct berth_engine *engine = *capture->engine;
	if (!engine->ops->capture_start) {
		snprintf(error, BERTH_ERROR_BYTES, "the %s engine cannot capture packets", engine->ops->name);
		return -ENOTSUP;
	}
	int err = engine->ops->capture_start(engine, filter, error);
	if (err)
		return err;
	*id = ++capture->id;
	renew(capture);
	return 0;
}

int berth_capture_read(struct berth_capture *capture, uint64_t id, uint32_t most, berth_capture_fn *fn, void *arg,
		       uint64_t *missed)
{
	struct berth_engine *engine = *capture->engine;
	if (id != capture->id || !engine->ops->capture_read)
		return -ENOENT;
	renew(capture);
	return engine->ops->capture_read(engine, most, fn, arg, missed);
}
