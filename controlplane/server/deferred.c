// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <event2/event.h>

#include "controlplane/server/private.h"
#include "controlplane/server/server.h"
#include "controlplane/util/log.h"

struct berth_server_pending *berth_server_defer(struct berth_server *server, berth_server_cancel_fn *cancel,
						void *arg)
{
	if (!server || !server->current)
		return NULL;
	server->current->cancel = cancel;
	server->current->cancel_arg = arg;
	return (struct berth_server_pending *)server->current;
}

void berth_server_answer(struct berth_server_pending *pending, enum berth_code code, json_t *result,
			 char error[BERTH_ERROR_BYTES])
{
	struct server_client *client = (struct server_client *)pending;
	client->cancel = NULL;
	berth_server_client_finish(client, code, result, error);
}

void berth_server_run_again(struct berth_server_pending *pending)
{
	struct server_client *client = (struct server_client *)pending;
	json_t *request = client->request;
	client->cancel = NULL;
	client->request = NULL;
	berth_server_client_run(client, request);
}

/* --- answers in parts --- */

void berth_server_client_end_parts(struct server_client *client)
{
	if (client->next_part)
		event_free(client->next_part);
	client->next_part = NULL;
	client->part = NULL;
	client->has_head = false;
}

static void end_answer(struct server_client *client)
{
	berth_server_cancel_fn *cancel = client->cancel;
	void *arg = client->cancel_arg;
	berth_server_client_end_parts(client);
	evtimer_del(client->deadline);
	client->cancel = NULL;
	cancel(arg);
	evbuffer_add(bufferevent_get_output(client->stream), "}\n", 2);
	berth_server_client_end_request(client);
}

static void on_next_part(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	berth_server_client_next_part(arg);
}

/* Goes on without the client, which has nothing to read. */
static int continue_later(struct server_client *client)
{
	static const struct timeval now = {0, 0};
	if (!client->next_part)
		client->next_part = evtimer_new(client->server->base, on_next_part, client);
	return client->next_part && event_add(client->next_part, &now) == 0 ? 0 : -ENOMEM;
}

static int write_part(struct server_client *client)
{
	static const char head[] = "{\"ok\":true,\"result\":";
	struct evbuffer *out = bufferevent_get_output(client->stream);
	if (!client->has_head && evbuffer_add(out, head, sizeof(head) - 1))
		return -ENOMEM;
	client->has_head = true;
	return client->part(client->cancel_arg, out);
}

/* What is unread is one part: the next one is written when the client has read it. */
void berth_server_client_next_part(struct server_client *client)
{
	if (client->next_part)
		event_del(client->next_part);
	const int err = write_part(client);
	if (!err) {
		end_answer(client);
		return;
	}
	if (err == -EAGAIN && (berth_server_unread(client) || continue_later(client) == 0))
		return;
	berth_log("uid %d pid %d: disconnected: no memory for the rest of an answer", (int)client->peer.uid,
		  (int)client->peer.pid);
	berth_server_client_free(client);
}

void berth_server_answer_in_parts(struct berth_server_pending *pending, berth_server_part_fn *fn)
{
	struct server_client *client = (struct server_client *)pending;
	client->part = fn;
	berth_server_client_limit_parts(client);
	/* Needs no memory. With unread answers the client is called when it has read them. */
	bufferevent_trigger(client->stream, EV_WRITE, BEV_TRIG_DEFER_CALLBACKS);
}

unsigned int berth_server_in_parts(const struct berth_server *server, berth_server_part_fn *fn)
{
	const struct server_client *client;
	unsigned int n = 0;
	if (!server)
		return 0;
	LIST_FOREACH(client, &server->clients, entry)
	n += client->part == fn;
	return n;
}
