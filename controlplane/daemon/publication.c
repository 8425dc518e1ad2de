// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/daemon/publication.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "controlplane/daemon/private.h"
#include "controlplane/util/clock.h"
#include "controlplane/util/log.h"

enum {
	PUBLISH_SOON_US = 1000, /* changes that come together are published together */
	PUBLISH_WAIT_MS = 200,	/* how long an apply waits for the grace period */
};

void berth_publication_request(struct berth_daemon *daemon)
{
	const struct timeval soon = {.tv_usec = PUBLISH_SOON_US};
	daemon->state.publication.pending = true;
	if (!event_pending(daemon->publish_event, EV_TIMEOUT, NULL))
		event_add(daemon->publish_event, &soon);
}

void berth_publication_eligibility(const struct berth_daemon *daemon, const struct berth_model_backend *backend)
{
	berth_publish_eligibility(daemon->publisher, backend->number, berth_model_eligibility(backend));
}

/* Writes the eligibility of all backends, and clears unused numbers. No table word and no row holds a new number
 * before the generation that brings it, so its eligibility may be written first. */
static void publish_eligibility(struct berth_daemon *daemon)
{
	const struct berth_model *model = &daemon->model;
	for (uint32_t n = 1; n < model->backend_numbers.size; n++)
		if (!model->backend_numbers.id[n])
			berth_publish_eligibility(daemon->publisher, n, 0);
	for (size_t i = 0; i < model->n_services; i++)
		for (size_t j = 0; j < model->services[i].n_backends; j++)
			berth_publication_eligibility(daemon, &model->services[i].backends[j]);
}

/* Publishes the model. Returns what berth_publish does; what is not done yet is tried again soon. */
static int publish(struct berth_daemon *daemon)
{
	struct berth_publication *publication = &daemon->state.publication;
	char error[BERTH_ERROR_BYTES] = "";
	struct berth_generation *generation = berth_compile(&daemon->model, &daemon->engine->image.geometry, error);
	int err = -ENOMEM;
	if (generation)
		err = berth_publish(daemon->publisher, generation, error);
	berth_generation_free(generation);
	if (err >= 0)
		publish_eligibility(daemon);
	if (err == -EAGAIN || err > 0) {
		berth_publication_request(daemon);
		return err;
	}
	publication->failures += err != 0;
	if (err && strcmp(publication->error, error) != 0)
		berth_log("cannot publish: %s", error);
	snprintf(publication->error, sizeof(publication->error), "%s", err ? error : "");
	publication->pending = false;
	return err;
}

int berth_publication_now(struct berth_daemon *daemon, char error[BERTH_ERROR_BYTES])
{
	uint64_t until = berth_clock_ms() + PUBLISH_WAIT_MS;
	int err = publish(daemon);
	while (err == -EAGAIN && berth_clock_ms() < until) {
		usleep(200);
		err = publish(daemon);
	}
	if (err == -EAGAIN)
		return 0; /* a worker is slow; the timer goes on trying */
	if (err < 0)
		snprintf(error, BERTH_ERROR_BYTES, "%s", daemon->state.publication.error);
	return err < 0 ? err : 0;
}

static void on_publish(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	publish(arg);
}

int berth_publication_open(struct berth_daemon *daemon)
{
	daemon->publisher = berth_publisher_new(daemon->engine);
	daemon->publish_event = evtimer_new(daemon->base, on_publish, daemon);
	return daemon->publisher && daemon->publish_event ? 0 : -ENOMEM;
}

void berth_publication_close(struct berth_daemon *daemon)
{
	berth_publisher_free(daemon->publisher);
	if (daemon->publish_event)
		event_free(daemon->publish_event);
}
