// SPDX-License-Identifier: BSD-3-Clause
/* Defers the answer to a change until it is in force, for a second at most; then the answer has "in_force" false.
 */
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>

#include "controlplane/cmd/cmd.h"

enum {
	LONGEST_WAIT_S = 1,
	LONGEST_START_S = 25, /* of an engine: two attempts of 10 s, one of them with the former configuration */
};

struct change {
	const struct berth_cmd_context *context;
	struct berth_publication_waiter waiter;
	struct berth_server_pending *pending;
	struct event *timeout;
	json_t *result;
	/* For the log: */
	struct berth_server_peer peer;
	const struct berth_command *command;
	json_t *arguments;
};

static void change_free(struct change *change)
{
	change->context->actions->cancel(&change->waiter);
	if (change->timeout)
		event_free(change->timeout);
	json_decref(change->result);
	json_decref(change->arguments);
	free(change);
}

static void set_in_force(json_t *result, const struct berth_publication *publication, bool in_force)
{
	json_object_set_new(result, "in_force", json_boolean(in_force));
	json_object_set_new(result, "publish_error",
			    !in_force && publication->error[0] ? json_string(publication->error) : json_null());
}

static void answer(struct change *change, bool in_force)
{
	char no_error[BERTH_ERROR_BYTES] = "";
	set_in_force(change->result, &change->context->state->publication, in_force);
	berth_cmd_log(change->peer, change->command, change->arguments, NULL, change->result);
	berth_server_answer(change->pending, BERTH_CODE_OK, json_incref(change->result), no_error);
	change_free(change);
}

static void on_in_force(void *arg)
{
	answer(arg, true);
}

static void on_failed(void *arg, const char *reason)
{
	struct change *change = arg;
	char error[BERTH_ERROR_BYTES];
	snprintf(error, sizeof(error), "%s", reason);
	berth_cmd_log(change->peer, change->command, change->arguments, error, NULL);
	berth_server_answer(change->pending, BERTH_CODE_CONFIG, NULL, error);
	change_free(change);
}

static void on_timeout(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	answer(arg, false);
}

/* The client has gone, and the change has not. */
static void on_cancel(void *arg)
{
	struct change *change = arg;
	berth_cmd_log(change->peer, change->command, change->arguments, NULL, change->result);
	change_free(change);
}

/* Takes `result`. False: no client that can wait, or out of memory; then the caller keeps it. */
static bool defer_answer(const struct berth_cmd_context *context, json_t *result, bool is_config)
{
	const bool starts = is_config && berth_engine_is_awaited(context->state->engine);
	const struct timeval longest = {.tv_sec = starts ? LONGEST_START_S : LONGEST_WAIT_S};
	struct change *change = calloc(1, sizeof(*change));
	if (!change)
		return false;
	change->context = context;
	change->waiter = (struct berth_publication_waiter){
		.in_force = on_in_force, .failed = is_config ? on_failed : NULL, .arg = change};
	change->timeout = evtimer_new(context->base, on_timeout, change);
	if (change->timeout && !event_add(change->timeout, &longest) && context->server)
		change->pending = berth_server_defer(context->server, on_cancel, change);
	if (!change->pending) {
		change_free(change);
		return false;
	}
	change->result = result;
	change->peer = berth_server_peer(context->server);
	change->command = context->command;
	change->arguments = json_deep_copy(context->arguments);
	context->actions->wait(context->daemon, &change->waiter);
	return true;
}

static enum berth_code answer_change(const struct berth_cmd_context *context, json_t **result, bool is_config)
{
	const struct berth_publication *publication = &context->state->publication;
	context->actions->save(context->daemon);
	if (*result && publication->is_pending && defer_answer(context, *result, is_config))
		*result = NULL;
	if (*result)
		set_in_force(*result, publication, !publication->is_pending);
	return BERTH_CODE_OK;
}

enum berth_code berth_cmd_answer_in_force(const struct berth_cmd_context *context, json_t **result)
{
	return answer_change(context, result, false);
}

enum berth_code berth_cmd_answer_applied(const struct berth_cmd_context *context, json_t **result)
{
	return answer_change(context, result, true);
}
