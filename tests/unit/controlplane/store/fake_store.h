/* SPDX-License-Identifier: BSD-3-Clause */
/* A server that answers commands of Redis as a test says, with any bytes. */
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <hiredis/hiredis.h>

#include "tests/support/loop.h"
#include "tests/support/unit.h"

enum {
	FAKE_RULES = 32,
	FAKE_COMMANDS = 64,
	FAKE_CONNECTIONS = 64,
};

/* The answer to commands that begin with this text. */
struct fake_rule {
	const char *begin;
	const char *answer;
	size_t bytes; /* 0: strlen */
	bool closes;  /* after it */
};

struct fake_connection {
	struct fake_store *fake;
	struct event *event;
	redisReader *reader;
};

struct fake_store {
	struct event_base *base;
	struct event *listener;
	uint16_t port;
	struct fake_rule rules[FAKE_RULES]; /* the first that matches */
	size_t n_rules;
	char commands[FAKE_COMMANDS][1024]; /* as one text each; a ring */
	size_t n_commands;
	size_t n_connections;
	struct fake_connection connections[FAKE_CONNECTIONS];
};

/* A later rule comes before an earlier one. */
static inline struct fake_rule *fake_answer(struct fake_store *fake, const char *begin, const char *answer)
{
	assert_true(fake->n_rules < FAKE_RULES);
	memmove(&fake->rules[1], &fake->rules[0], fake->n_rules++ * sizeof(fake->rules[0]));
	fake->rules[0] = (struct fake_rule){.begin = begin, .answer = answer};
	return &fake->rules[0];
}

static inline void fake_close(struct fake_connection *connection)
{
	if (!connection->event)
		return;
	close(event_get_fd(connection->event));
	event_free(connection->event);
	redisReaderFree(connection->reader);
	connection->event = NULL;
}

static inline void fake_reply(struct fake_connection *connection, const char *command)
{
	struct fake_store *fake = connection->fake;
	for (size_t i = 0; i < fake->n_rules; i++) {
		const struct fake_rule *rule = &fake->rules[i];
		if (strncmp(command, rule->begin, strlen(rule->begin)) != 0)
			continue;
		const size_t bytes = rule->bytes ? rule->bytes : strlen(rule->answer);
		if (bytes)
			send(event_get_fd(connection->event), rule->answer, bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (rule->closes)
			fake_close(connection);
		return;
	}
	fail_msg("no answer to %s", command);
}

static inline void fake_take(struct fake_connection *connection, const redisReply *words)
{
	struct fake_store *fake = connection->fake;
	char *text = fake->commands[fake->n_commands++ % FAKE_COMMANDS];
	text[0] = 0;
	for (size_t i = 0; i < words->elements; i++) {
		strcat(text, i ? " " : "");
		strcat(text, words->element[i]->str);
	}
	fake_reply(connection, text);
}

static inline void fake_on_readable(evutil_socket_t fd, short what, void *arg)
{
	(void)what;
	struct fake_connection *connection = arg;
	char bytes[4096];
	const ssize_t n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	if (n <= 0) {
		fake_close(connection);
		return;
	}
	redisReaderFeed(connection->reader, bytes, (size_t)n);
	void *words = NULL;
	while (connection->event && redisReaderGetReply(connection->reader, &words) == REDIS_OK && words) {
		fake_take(connection, words);
		freeReplyObject(words);
	}
}

static inline void fake_on_accept(evutil_socket_t fd, short what, void *arg)
{
	(void)what;
	struct fake_store *fake = arg;
	const int accepted = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	assert_true(accepted >= 0);
	struct fake_connection *connection = &fake->connections[fake->n_connections++ % FAKE_CONNECTIONS];
	fake_close(connection);
	*connection = (struct fake_connection){.fake = fake, .reader = redisReaderCreate()};
	connection->event = event_new(fake->base, accepted, EV_READ | EV_PERSIST, fake_on_readable, connection);
	event_add(connection->event, NULL);
}

/* It listens, and answers as an empty Redis. */
static inline struct fake_store *fake_new(struct event_base *base)
{
	struct fake_store *fake = calloc(1, sizeof(*fake));
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(at);
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, length), 0);
	assert_int_equal(listen(fd, 16), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &length), 0);
	fake->base = base;
	fake->port = ntohs(at.sin_port);
	fake->listener = event_new(base, fd, EV_READ | EV_PERSIST, fake_on_accept, fake);
	event_add(fake->listener, NULL);
	fake_answer(fake, "GETRANGE ", "$0\r\n\r\n");
	fake_answer(fake, "SADD ", ":1\r\n");
	fake_answer(fake, "SREM ", ":1\r\n");
	fake_answer(fake, "SET ", "+OK\r\n");
	fake_answer(fake, "SRANDMEMBER ", "*0\r\n");
	fake_answer(fake, "AUTH ", "+OK\r\n");
	return fake;
}

static inline void fake_stop_listening(struct fake_store *fake)
{
	if (!fake->listener)
		return;
	close(event_get_fd(fake->listener));
	event_free(fake->listener);
	fake->listener = NULL;
}

static inline void fake_free(struct fake_store *fake)
{
	fake_stop_listening(fake);
	for (int i = 0; i < FAKE_CONNECTIONS; i++)
		fake_close(&fake->connections[i]);
	free(fake);
}

/* How often a command that begins so came. */
static inline size_t fake_count(const struct fake_store *fake, const char *begin)
{
	size_t n = 0;
	for (size_t i = 0; i < fake->n_commands && i < FAKE_COMMANDS; i++)
		n += strncmp(fake->commands[i], begin, strlen(begin)) == 0;
	return n;
}
