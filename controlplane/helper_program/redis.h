/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A connection to Redis or Sentinel on the event loop: hiredis without its blocking calls, since a helper has to
 * answer berthd while a store is silent. What comes in is bounded. It ends at the first fault; the next attempt is
 * a new connection.
 */
#pragma once

#include <event2/event.h>
#include <hiredis/hiredis.h>

#include "controlplane/helper/message.h"
#include "controlplane/helper_program/redis_tls.h"

enum {
	BERTH_REDIS_REASON_BYTES = 128,
	BERTH_REDIS_MAX_ELEMENTS = 1024, /* of an array */
	BERTH_REDIS_MAX_WORDS = 4 + 2 * BERTH_HELPER_STORE_PAGE,
};

struct berth_redis;

struct berth_redis_listener {
	/* A reply, in the order of the commands. The listener may free the connection. */
	void (*replied)(void *arg, const redisReply *reply);
	/* Nothing more comes; the listener frees the connection. */
	void (*failed)(void *arg, const char *reason);
	void *arg;
};

struct berth_redis_options {
	struct berth_store_server server;
	size_t max_bytes;		   /* of a reply */
	const struct berth_redis_tls *tls; /* NULL: without */
};

/* Starts to connect. NULL with errno set (EKEYREJECTED: no authorities for TLS). */
struct berth_redis *berth_redis_new(struct event_base *base, const struct berth_redis_options *options,
				    const struct berth_redis_listener *listener);
/* What an errno of berth_redis_new means. */
const char *berth_redis_new_fault(int error);
void berth_redis_free(struct berth_redis *redis);

/* Queues a command of at most BERTH_REDIS_MAX_WORDS words; those of one turn of the event loop are sent together.
 * `lengths` NULL: the words are texts. Returns false if memory is short. */
bool berth_redis_command(struct berth_redis *redis, size_t n, const char *const *words, const size_t *lengths);
#define BERTH_REDIS_COMMAND(redis, ...)                                                                            \
	berth_redis_command(redis, sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *),                         \
			    (const char *[]){__VA_ARGS__}, NULL)
/* Queues AUTH; username "": the default user. */
bool berth_redis_log_in(struct berth_redis *redis, const char *username, const char *password);
/* In a call of `failed` because of a reply that is too long: what has come of it, with NULL for elements that have
 * not come. Else NULL. */
const redisReply *berth_redis_unfinished(const struct berth_redis *redis);
/* A reply's text as one line of printable characters. Returns `text`. */
const char *berth_redis_text(const redisReply *reply, char text[BERTH_REDIS_REASON_BYTES]);
/* "192.0.2.60:6379: reason", for berthd. `role`: of the server, "Sentinel " or "". */
void berth_redis_describe(const struct berth_store_server *server, const char *role, const char *reason,
			  char text[BERTH_HELPER_REASON_BYTES]);
