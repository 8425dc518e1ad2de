// SPDX-License-Identifier: BSD-3-Clause
/* Answers of commands that change something: they come when the change is in force, or say that it is pending. */
#include <event2/event.h>
#include <stdlib.h>

#include "controlplane/cmd/cmd.h"

enum {
	LONGEST_WAIT_S = 1,
};

struct wait {
	const struct berth_cmd_context *context;
	struct berth_publication_waiter waiter;
	struct berth_server_pending *pending;
	struct event *timeout;
	json_t *result;
};

static void wait_free(struct wait *wait)
{
	wait->context->actions->cancel(&wait->waiter);
	if (wait->timeout)
		event_free(wait->timeout);
	json_decref(wait->result);
	free(wait);
}

static void set_in_force(json_t *result, const struct berth_publication *publication, bool in_force)
{
	json_object_set_new(result, "in_force", json_boolean(in_force));
	json_object_set_new(result, "publish_error",
			    !in_force && publication->error[0] ? json_string(publication->error) : json_null());
}

static void answer(struct wait *wait, bool in_force)
{
	char no_error[BERTH_ERROR_BYTES] = "";
	set_in_force(wait->result, &wait->context->state->publication, in_force);
	berth_server_answer(wait->pending, BERTH_CODE_OK, json_incref(wait->result), no_error);
	wait_free(wait);
}

static void on_in_force(void *arg)
{
	answer(arg, true);
}

static void on_timeout(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	answer(arg, false);
}

static void on_cancel(void *arg)
{
	wait_free(arg);
}

/* Takes over `result`. False: there is no client that can wait, or no memory. */
static bool answer_later(const struct berth_cmd_context *context, json_t *result)
{
	const struct timeval longest = {.tv_sec = LONGEST_WAIT_S};
	struct wait *wait = calloc(1, sizeof(*wait));
	if (!wait)
		return false;
	wait->context = context;
	wait->waiter = (struct berth_publication_waiter){.in_force = on_in_force, .arg = wait};
	wait->timeout = evtimer_new(context->base, on_timeout, wait);
	if (wait->timeout && !event_add(wait->timeout, &longest) && context->server)
		wait->pending = berth_server_defer(context->server, on_cancel, wait);
	if (!wait->pending) {
		wait_free(wait);
		return false;
	}
	wait->result = result;
	context->actions->wait(context->daemon, &wait->waiter);
	return true;
}

enum berth_code berth_cmd_answer_in_force(const struct berth_cmd_context *context, json_t **result)
{
	const struct berth_publication *publication = &context->state->publication;
	if (*result && publication->is_pending && answer_later(context, *result))
		*result = NULL;
	if (*result)
		set_in_force(*result, publication, !publication->is_pending);
	return BERTH_CODE_OK;
}
