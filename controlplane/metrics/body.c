// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/metrics/body.h"

#include <errno.h>
#include <event2/event.h>

/* One turn; the body may be cleared in `done`. */
static void go_on(struct berth_metrics_body *body)
{
	static const struct timeval now = {0, 0};
	int err = body->fn(body->fn_arg, &body->job, &body->text);
	if (err == -EAGAIN && body->turn && event_add(body->turn, &now) == 0)
		return;
	body->done(body->done_arg, err == -EAGAIN ? -ENOMEM : err, &body->text);
}

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	go_on(arg);
}

void berth_metrics_body_write(struct berth_metrics_body *body, struct event_base *base)
{
	body->turn = evtimer_new(base, on_turn, body);
	go_on(body);
}

void berth_metrics_body_clear(struct berth_metrics_body *body)
{
	if (body->job)
		body->fn(body->fn_arg, &body->job, NULL);
	if (body->turn)
		event_free(body->turn);
	berth_text_clear(&body->text);
	*body = (struct berth_metrics_body){.fn = NULL};
}
