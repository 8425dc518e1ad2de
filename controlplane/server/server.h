/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The administration socket: reads requests of clients on berthd's event loop and passes them to one function.
 * Independent of the commands. A misbehaving client loses only its own connection. All functions run on the thread
 * of the event loop.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "controlplane/api/wire.h"
#include "controlplane/server/peer.h"
#include "controlplane/server/types.h"
#include "controlplane/util/error.h"

struct berth_access;
struct event_base;
struct berth_server;

/* The sender of the request in the server's function; unknown outside of it, and for NULL. */
struct berth_server_peer berth_server_peer(const struct berth_server *server);

/* A request whose answer follows later. */
struct berth_server_pending;
/* Called inside the server's function: defers the answer; the function's return value is ignored. The client's next
 * requests wait until berth_server_answer() or `cancel` is called. NULL outside of the function. */
struct berth_server_pending *berth_server_defer(struct berth_server *server, berth_server_cancel_fn *cancel,
						void *arg);
/* Runs the server's function for a deferred request once more, as if it had just arrived. `pending` is invalid
 * after it. */
void berth_server_run_again(struct berth_server_pending *pending);
/* Answers a deferred request, with the values of berth_server_fn; takes `result`. `pending` is invalid after it. */
void berth_server_answer(struct berth_server_pending *pending, enum berth_code code, json_t *result,
			 char error[BERTH_ERROR_BYTES]);

/* Answers a deferred request with success, in turns of the loop: a part is written when the client has read the one
 * before, so that no long answer is in memory. `fn` gets the argument of `cancel`, which is called at the end, too.
 * A client that has not read all in time is disconnected. */
void berth_server_answer_in_parts(struct berth_server_pending *pending, berth_server_part_fn *fn);
/* The number of clients to which an answer in parts by this function is being sent. `server` may be NULL. */
unsigned int berth_server_in_parts(const struct berth_server *server, berth_server_part_fn *fn);
/* The limits that berthd uses. */
extern const struct berth_server_limits berth_server_limits;

/*
 * Listens on `path`, mode 0660, until it is freed. Replaces the socket of a dead berthd. NULL with one line in
 * `error` and errno set; EADDRINUSE: a process listens there. Sets SIGPIPE to be ignored in this process.
 */
struct berth_server *berth_server_new(struct event_base *base, const char *path,
				      const struct berth_server_limits *limits, berth_server_fn *fn, void *arg,
				      char error[BERTH_ERROR_BYTES]);
/* Refuses connections of processes without a role, and gives the socket the mode 0666 if there is a list of them,
 * else 0660. `access` must outlive the server; call it again after a change. Without a call, all are accepted. */
void berth_server_set_access(struct berth_server *server, const struct berth_access *access);
/* Sends pending answers as far as that does not block, cancels deferred requests, removes the socket. */
void berth_server_free(struct berth_server *server);
