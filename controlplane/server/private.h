/* SPDX-License-Identifier: BSD-3-Clause */
/* The server and its clients, for the files of this folder. */
#pragma once

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <stdbool.h>
#include <sys/queue.h>

#include "controlplane/server/peer.h"
#include "controlplane/server/types.h"

struct event;
struct evconnlistener;
struct berth_access;
struct berth_server_reader;

struct server_client {
	struct berth_server *server;
	LIST_ENTRY(server_client) entry;
	struct bufferevent *stream;
	struct berth_server_peer peer;
	struct event *deadline;		/* pending while a request is incomplete, without a request, and while an
					 * answer in parts is read */
	bool has_part;			/* the deadline is that of an incomplete request */
	size_t searched;		/* leading bytes of the input without a newline */
	bool at_eof;			/* the client has shut down its side */
	bool closing;			/* closes after the client has read all answers */
	json_t *request;		/* that is run, or deferred */
	berth_server_cancel_fn *cancel; /* of a deferred request; NULL: none */
	void *cancel_arg;
	berth_server_part_fn *part; /* of an answer in parts; NULL: none */
	bool has_head;		    /* some of that answer is written */
	struct event *next_part;    /* writes more after a part that was empty; NULL: there was none */
};

struct berth_server {
	struct berth_server_limits limits;
	struct event_base *base;
	berth_server_fn *fn;
	void *arg;
	char *path;
	const struct berth_access *access; /* NULL: all may connect */
	struct evconnlistener *listener;
	struct event *resume; /* accepts again after a failed accept */
	struct berth_server_reader *reader;
	struct server_client *current; /* the client of the request in the server's function */
	LIST_HEAD(, server_client) clients;
	unsigned int n_clients;
};

static inline size_t berth_server_unread(const struct server_client *client)
{
	return evbuffer_get_length(bufferevent_get_output(client->stream));
}

/* server.c */

void berth_server_client_free(struct server_client *client);
/* Answers the request, and goes on with the client's next one. Takes `result`. */
void berth_server_client_finish(struct server_client *client, enum berth_code code, json_t *result,
				char error[BERTH_ERROR_BYTES]);
/* The answer is written: goes on with the client's next request. */
void berth_server_client_end_request(struct server_client *client);
/* Limits the time for the answer in parts that begins. */
void berth_server_client_limit_parts(struct server_client *client);
/* Runs the client's request, and answers it unless that is deferred. NULL: it is no JSON. */
void berth_server_client_run(struct server_client *client, json_t *request);

/* deferred.c */

/* The client has read what was written of its answer. */
void berth_server_client_next_part(struct server_client *client);
void berth_server_client_end_parts(struct server_client *client);
