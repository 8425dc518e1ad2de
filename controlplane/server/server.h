/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The administration socket: takes requests from clients on berthd's event loop and hands them to one
 * function. Knows nothing of commands. A client can do no more than lose its own connection.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "controlplane/api/wire.h"
#include "controlplane/util/error.h"

struct event_base;
struct berth_server;

/*
 * Answers a request. `arguments` is an object, empty where none were sent. BERTH_CODE_OK with a new reference
 * in `result`, or why not, with one line in `error`. Must not free the server.
 */
typedef enum berth_code berth_server_fn(void *arg, const char *command, const json_t *arguments, json_t **result,
					char error[BERTH_ERROR_BYTES]);

/* A request that is answered later. */
struct berth_server_later;
/* Its client has gone, or the server goes, and nobody waits for the answer any more. */
typedef void berth_server_gone_fn(void *arg);

/* From within the server's function: it does not answer now, what it returns is not looked at. Until
 * berth_server_answer is called, or `gone`, the client's next requests wait. NULL outside of the function. */
struct berth_server_later *berth_server_later(struct berth_server *server, berth_server_gone_fn *gone, void *arg);
/* As the function would have answered; takes `result`. `later` is over. */
void berth_server_answer(struct berth_server_later *later, enum berth_code code, json_t *result,
			 char error[BERTH_ERROR_BYTES]);

struct berth_server_limits {
	size_t request_bytes;
	size_t unread_bytes; /* a client's requests wait while more than this of its answers is unread */
	unsigned int clients;
	unsigned int half_ms;	/* that a request may take to arrive */
	unsigned int unread_ms; /* that a client may read nothing of what is there for it */
};

/* What berthd uses. */
extern const struct berth_server_limits berth_server_limits;

/*
 * Listens on `path`, mode 0660, until it is freed. A socket that a dead berthd left there is replaced. NULL
 * with one line in `error` and the reason in errno; EADDRINUSE: somebody answers there. Ignores SIGPIPE in this
 * process.
 */
struct berth_server *berth_server_new(struct event_base *base, const char *path,
				      const struct berth_server_limits *limits, berth_server_fn *fn, void *arg,
				      char error[BERTH_ERROR_BYTES]);
/* Sends what is answered already, as far as clients take it without waiting; removes the socket. */
void berth_server_free(struct berth_server *server);
