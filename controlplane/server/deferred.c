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
}

static void end_answer(struct server_client *client)
{
	berth_server_cancel_fn *cancel = client->cancel;
	void *arg = client->cancel_arg;
	berth_server_client_end_parts(client);
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

/* What is unread is one part: the next one is written when the client has read it. */
void berth_server_client_next_part(struct server_client *client)
{
	static const struct timeval now = {0, 0};
	event_del(client->next_part);
	const int err = client->part(client->cancel_arg, bufferevent_get_output(client->stream));
	if (!err) {
		end_answer(client);
		return;
	}
	if (err == -EAGAIN && (berth_server_unread(client) || event_add(client->next_part, &now) == 0))
		return;
	berth_log("uid %d pid %d: disconnected: no memory for the rest of an answer", (int)client->peer.uid,
		  (int)client->peer.pid);
	berth_server_client_free(client);
}

void berth_server_answer_in_parts(struct berth_server_pending *pending, berth_server_part_fn *fn)
{
	static const char head[] = "{\"ok\":true,\"result\":";
	struct server_client *client = (struct server_client *)pending;
	const struct timeval now = {0, 0};
	client->next_part = evtimer_new(client->server->base, on_next_part, client);
	if (!client->next_part || event_add(client->next_part, &now)) {
		char error[BERTH_ERROR_BYTES] = "berthd is out of memory";
		berth_server_cancel_fn *cancel = client->cancel;
		berth_server_client_end_parts(client);
		client->cancel = NULL;
		cancel(client->cancel_arg);
		berth_server_client_finish(client, BERTH_CODE_INTERNAL, NULL, error);
		return;
	}
	client->part = fn;
	evbuffer_add(bufferevent_get_output(client->stream), head, sizeof(head) - 1);
}
