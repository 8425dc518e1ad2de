// SPDX-License-Identifier: BSD-3-Clause
/*
 * Visits to the store of a cluster. In Redis:
 *
 *   berth:CLUSTER:nodes      a set of names of nodes
 *   berth:CLUSTER:node:NAME  the value of a node, with a short life
 *
 * A visit is two round trips: write the own value and get the names; get the values. What is read is bounded by the
 * commands (SRANDMEMBER with a number, GETRANGE), so foreign keys of any size cost nothing. A name whose value has
 * gone is removed from the set.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controlplane/helper_program/redis.h"
#include "controlplane/helper_program/serve.h"
#include "controlplane/util/address.h"

enum {
	KEY_BYTES = 2 * BERTH_NAME_BYTES + 32,
	MAX_BYTES = 256 << 10, /* of a reply */
};

enum step {
	IDLE,	  /* no visit */
	LOCATING, /* asking Sentinel */
	LOGGING_IN,
	WRITING, /* own value before, SADD, SET, SRANDMEMBER */
	READING,
};

enum written {
	BEFORE,
	ADDED,
	SET,
	NAMES,
	WRITTEN,
};

struct berth_serve_store {
	struct event_base *base;
	struct berth_stream *stream;
	struct berth_redis_tls *tls;
	struct berth_redis *redis; /* to the store, or to Sentinel while it is asked */
	struct event timer;	   /* of the visit */
	struct berth_helper_store_visit visit;
	struct berth_store_server server; /* Redis itself */
	enum step step;
	size_t n_replies;		 /* in this step */
	char (*names)[BERTH_NAME_BYTES]; /* of other nodes */
	size_t n_names;
	size_t n_gone; /* of them: removed from the set */
	uint32_t refused;
};

static void close_connection(struct berth_serve_store *store)
{
	berth_redis_free(store->redis);
	store->redis = NULL;
}

/* --- answers --- */

static void finish(struct berth_serve_store *store, const char *reason)
{
	struct berth_helper_store_visited message = {
		.header = {.type = BERTH_HELPER_STORE_VISITED, .id = store->visit.header.id},
		.failed = reason != NULL,
		.refused = store->refused,
		.server = store->server,
	};
	snprintf(message.reason, sizeof(message.reason), "%s", reason ? reason : "");
	evtimer_del(&store->timer);
	store->step = IDLE;
	berth_stream_send(store->stream, &message.header, sizeof(message), NULL, 0);
}

/* After a fault the next visit has a new connection. */
static void fail(struct berth_serve_store *store, const char *reason)
{
	char text[BERTH_HELPER_REASON_BYTES];
	const bool is_sentinel = store->step == LOCATING;
	berth_redis_describe(is_sentinel ? &store->visit.server : &store->server, is_sentinel ? "Sentinel " : "",
			     reason, text);
	close_connection(store);
	if (store->step != IDLE)
		finish(store, text);
}

static void send_node(struct berth_serve_store *store, const char *name, const redisReply *value)
{
	static struct berth_helper_store_node message; /* what is not filled is 0 or of an earlier one */
	message.header = (struct berth_helper_header){.type = BERTH_HELPER_STORE_NODE,
						      .id = store->visit.header.id};
	memset(message.name, 0, sizeof(message.name));
	snprintf(message.name, sizeof(message.name), "%s", name);
	message.bytes = (uint32_t)value->len;
	memset(message.value, 0, sizeof(message.value));
	memcpy(message.value, value->str, value->len);
	berth_stream_send(store->stream, &message.header, sizeof(message), NULL, 0);
}

/* --- commands --- */

#define COMMAND(store, ...) check(store, !(store)->redis || BERTH_REDIS_COMMAND((store)->redis, __VA_ARGS__))

static void check(struct berth_serve_store *store, bool is_queued)
{
	if (!is_queued)
		fail(store, "out of memory");
}

static const char *nodes_key(const struct berth_serve_store *store, char key[KEY_BYTES])
{
	snprintf(key, KEY_BYTES, "berth:%s:nodes", store->visit.cluster);
	return key;
}

static const char *node_key(const struct berth_serve_store *store, const char *name, char key[KEY_BYTES])
{
	snprintf(key, KEY_BYTES, "berth:%s:node:%s", store->visit.cluster, name);
	return key;
}

/* One byte more than a value can have, so that a longer one shows. */
static void get_value(struct berth_serve_store *store, const char *name)
{
	char key[KEY_BYTES], last[16];
	snprintf(last, sizeof(last), "%d", BERTH_HELPER_STORE_VALUE_BYTES);
	COMMAND(store, "GETRANGE", node_key(store, name, key), "0", last);
}

static void enter(struct berth_serve_store *store, enum step step)
{
	store->step = step;
	store->n_replies = 0;
}

static void write_own(struct berth_serve_store *store)
{
	char nodes[KEY_BYTES], own[KEY_BYTES], life[16], count[16];
	const struct berth_helper_store_visit *visit = &store->visit;
	snprintf(life, sizeof(life), "%u", visit->life_ms);
	snprintf(count, sizeof(count), "%d", BERTH_HELPER_STORE_NODES);
	enter(store, WRITING);
	get_value(store, visit->node);
	COMMAND(store, "SADD", nodes_key(store, nodes), visit->node);
	COMMAND(store, "SET", node_key(store, visit->node, own), visit->value, "PX", life);
	COMMAND(store, "SRANDMEMBER", nodes, count);
}

static void log_in(struct berth_serve_store *store)
{
	const struct berth_helper_store_visit *visit = &store->visit;
	if (!visit->password[0]) {
		write_own(store);
		return;
	}
	enter(store, LOGGING_IN);
	check(store, berth_redis_log_in(store->redis, visit->username, visit->password));
}

static void read_others(struct berth_serve_store *store)
{
	enter(store, READING);
	store->n_gone = 0;
	for (size_t i = 0; i < store->n_names; i++)
		get_value(store, store->names[i]);
	if (!store->n_names)
		finish(store, NULL);
}

/* --- replies --- */

static void connect_to(struct berth_serve_store *store, const struct berth_store_server *server);

/* The value of a node: a text that is neither missing nor too long. */
static bool is_value(const redisReply *reply)
{
	return reply->type == REDIS_REPLY_STRING && reply->len > 0 && reply->len <= BERTH_HELPER_STORE_VALUE_BYTES;
}

static void take_value(struct berth_serve_store *store, const char *name, const redisReply *reply)
{
	if (is_value(reply))
		send_node(store, name, reply);
	else if (reply->type != REDIS_REPLY_STRING || reply->len)
		store->refused++;
}

/* A name of another node. berthd checks which characters it has. */
static void take_name(struct berth_serve_store *store, const redisReply *name)
{
	if (name->type != REDIS_REPLY_STRING || !name->len || name->len >= BERTH_NAME_BYTES ||
	    memchr(name->str, 0, name->len)) {
		store->refused++;
		return;
	}
	if (strcmp(name->str, store->visit.node) == 0)
		return;
	snprintf(store->names[store->n_names++], BERTH_NAME_BYTES, "%s", name->str);
}

static void take_names(struct berth_serve_store *store, const redisReply *reply)
{
	store->n_names = 0;
	if (reply->type != REDIS_REPLY_ARRAY || reply->elements > BERTH_HELPER_STORE_NODES) {
		fail(store, "it sent what is not a list of nodes");
		return;
	}
	for (size_t i = 0; i < reply->elements; i++)
		take_name(store, reply->element[i]);
	read_others(store);
}

static void on_written(struct berth_serve_store *store, const redisReply *reply)
{
	static const int types[WRITTEN] = {
		[BEFORE] = REDIS_REPLY_STRING,
		[ADDED] = REDIS_REPLY_INTEGER,
		[SET] = REDIS_REPLY_STATUS,
		[NAMES] = REDIS_REPLY_ARRAY,
	};
	const size_t at = store->n_replies++;
	if (at == BEFORE)
		take_value(store, store->visit.node, reply);
	else if (reply->type != types[at])
		fail(store, "it sent what does not answer the command");
	else if (at == NAMES)
		take_names(store, reply);
}

static void on_read(struct berth_serve_store *store, const redisReply *reply)
{
	char nodes[KEY_BYTES];
	const size_t at = store->n_replies++;
	if (at < store->n_names) {
		take_value(store, store->names[at], reply);
		if (reply->type == REDIS_REPLY_STRING && !reply->len) {
			store->n_gone++;
			COMMAND(store, "SREM", nodes_key(store, nodes), store->names[at]);
		}
	}
	if (store->step == READING && store->n_replies == store->n_names + store->n_gone)
		finish(store, NULL);
}

static bool parse_port(const char *text, uint16_t *port)
{
	char *end;
	const unsigned long number = strtoul(text, &end, 10);
	*port = (uint16_t)number;
	return end != text && !*end && number > 0 && number <= UINT16_MAX;
}

static void on_located(struct berth_serve_store *store, const redisReply *reply)
{
	struct berth_store_server server = {0};
	if (reply->type == REDIS_REPLY_NIL) {
		fail(store, "it knows no master of this name");
		return;
	}
	if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
	    reply->element[0]->type != REDIS_REPLY_STRING || reply->element[1]->type != REDIS_REPLY_STRING ||
	    berth_address_parse(reply->element[0]->str, &server.address) ||
	    !parse_port(reply->element[1]->str, &server.port)) {
		fail(store, "it names the master without an address");
		return;
	}
	close_connection(store);
	connect_to(store, &server);
}

/* A value that is no text is refused and counted; every other error ends the visit. */
static bool is_fault(const struct berth_serve_store *store, const redisReply *reply)
{
	const bool is_value = store->step == READING || (store->step == WRITING && store->n_replies == BEFORE);
	return reply->type == REDIS_REPLY_ERROR && !(is_value && strncmp(reply->str, "WRONGTYPE", 9) == 0);
}

static void on_replied(void *arg, const redisReply *reply)
{
	struct berth_serve_store *store = arg;
	char text[BERTH_REDIS_REASON_BYTES];
	if (is_fault(store, reply)) {
		fail(store, berth_redis_text(reply, text));
		return;
	}
	switch (store->step) {
	case IDLE:
		break;
	case LOCATING:
		on_located(store, reply);
		break;
	case LOGGING_IN:
		write_own(store);
		break;
	case WRITING:
		on_written(store, reply);
		break;
	case READING:
		on_read(store, reply);
	}
}

/* --- visits --- */

static void on_failed(void *arg, const char *reason)
{
	fail(arg, reason);
}

static void on_timeout(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct berth_serve_store *store = arg;
	char text[64];
	snprintf(text, sizeof(text), "no answer for %.1f s", store->visit.timeout_ms / 1000.0);
	fail(store, text);
}

static void open_connection(struct berth_serve_store *store, const struct berth_store_server *server)
{
	const struct berth_redis_listener listener = {.replied = on_replied, .failed = on_failed, .arg = store};
	const struct berth_redis_options options = {
		.server = *server, .max_bytes = MAX_BYTES, .tls = store->visit.uses_tls ? store->tls : NULL};
	store->redis = berth_redis_new(store->base, &options, &listener);
	if (!store->redis)
		fail(store, berth_redis_new_fault(errno));
}

static void connect_to(struct berth_serve_store *store, const struct berth_store_server *server)
{
	store->server = *server;
	enter(store, LOGGING_IN);
	open_connection(store, server);
	if (store->redis)
		log_in(store);
}

static void locate(struct berth_serve_store *store)
{
	enter(store, LOCATING);
	open_connection(store, &store->visit.server);
	COMMAND(store, "SENTINEL", "get-master-addr-by-name", store->visit.sentinel);
}

static bool is_same_place(const struct berth_helper_store_visit *a, const struct berth_helper_store_visit *b)
{
	return berth_addr_equal(&a->server.address, &b->server.address) && a->server.port == b->server.port &&
	       strcmp(a->sentinel, b->sentinel) == 0 && strcmp(a->username, b->username) == 0 &&
	       strcmp(a->password, b->password) == 0;
}

#define IS_TEXT(member) (memchr((member), 0, sizeof(member)) != NULL)

static bool is_valid(const struct berth_helper_store_visit *visit)
{
	return visit->header.bytes == sizeof(*visit) && visit->timeout_ms && visit->server.port &&
	       IS_TEXT(visit->sentinel) && IS_TEXT(visit->username) && IS_TEXT(visit->password) &&
	       IS_TEXT(visit->cluster) && IS_TEXT(visit->node) && IS_TEXT(visit->value) && IS_TEXT(visit->tls_name);
}

static void trust(struct berth_serve_store *store, const struct berth_helper_store_visit *visit, int fd)
{
	SSL_CTX *former = store->tls->context;
	if (berth_redis_tls_trust(store->tls, fd, visit->tls_name))
		return;
	SSL_CTX_free(former);
	store->tls->context = NULL;
}

bool berth_serve_store_visit(struct berth_serve_store *store, const struct berth_helper_header *header,
			     const int *fds, size_t n_fds)
{
	const struct berth_helper_store_visit *visit = (const struct berth_helper_store_visit *)header;
	const bool is_taken = is_valid(visit) && store->step == IDLE;
	if (is_taken && visit->uses_tls && n_fds)
		trust(store, visit, fds[0]);
	for (size_t i = 0; i < n_fds; i++)
		close(fds[i]);
	if (!is_taken)
		return false;
	const bool is_connected = store->redis && is_same_place(visit, &store->visit);
	const struct timeval wait = {.tv_sec = visit->timeout_ms / 1000,
				     .tv_usec = visit->timeout_ms % 1000 * 1000};
	store->visit = *visit;
	store->refused = 0;
	evtimer_add(&store->timer, &wait);
	if (is_connected) {
		write_own(store);
		return true;
	}
	close_connection(store);
	store->server = (struct berth_store_server){0};
	if (visit->sentinel[0])
		locate(store);
	else
		connect_to(store, &visit->server);
	return true;
}

void berth_serve_store_cancel(struct berth_serve_store *store, uint64_t id)
{
	if (store->step == IDLE || store->visit.header.id != id)
		return;
	evtimer_del(&store->timer);
	store->step = IDLE;
	close_connection(store);
}

struct berth_serve_store *berth_serve_store_new(struct event_base *base, struct berth_redis_tls *tls)
{
	struct berth_serve_store *store = calloc(1, sizeof(*store));
	if (!store)
		return NULL;
	store->base = base;
	store->tls = tls;
	store->names = calloc(BERTH_HELPER_STORE_NODES, sizeof(*store->names));
	evtimer_assign(&store->timer, base, on_timeout, store);
	if (store->names)
		return store;
	free(store);
	return NULL;
}

void berth_serve_store_set_stream(struct berth_serve_store *store, struct berth_stream *stream)
{
	store->stream = stream;
}
