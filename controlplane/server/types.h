/* SPDX-License-Identifier: BSD-3-Clause */
/* The functions that the server calls, and its limits: see server.h. */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "controlplane/api/wire.h"
#include "controlplane/util/error.h"

struct evbuffer;

/*
 * Answers a request. `arguments` is an object, empty where the request has none. BERTH_CODE_OK with a new reference
 * in `result`, or an error code with one line in `error`; `result` may be a list of all errors then. Must not free
 * the server.
 */
typedef enum berth_code berth_server_fn(void *arg, const char *command, const json_t *arguments, json_t **result,
					char error[BERTH_ERROR_BYTES]);

/* The client has closed its connection, or the server is freed: the request is void. */
typedef void berth_server_cancel_fn(void *arg);

/* Writes more of the JSON text of a result, some milliseconds of work. 0: the text is complete; -EAGAIN: more
 * follows; -ENOMEM: the client is disconnected. */
typedef int berth_server_part_fn(void *arg, struct evbuffer *out);
struct berth_server_limits {
	size_t request_bytes;
	size_t unread_bytes;	 /* of answers; above it the client's next requests wait */
	size_t all_unread_bytes; /* of the answers to all clients */
	unsigned int clients;	 /* the last connection is kept for root and the user of berthd */
	unsigned int idle_ms;	 /* without a request */
	unsigned int parts_ms;	 /* for an answer in parts, from when it begins until all is read */
	unsigned int request_ms; /* from a request's first byte to its last */
	unsigned int unread_ms;	 /* without progress while answers are unread */
};
