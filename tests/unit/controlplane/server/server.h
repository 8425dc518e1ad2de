/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The real server on a real socket. Its loop and its clients take turns in one thread; a function of the test
 * answers in place of the commands.
 */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "controlplane/server/server.h"

#include "tests/support/loop.h"
#include "tests/support/unit.h"

enum {
	PATIENCE_MS = 5000,
};

struct fixture {
	char dir[32];
	char path[64];
	struct event_base *base;
	struct berth_server *server;
	berth_server_fn *fn; /* answers instead of answer(), if set; its first argument is the fixture */
	unsigned int answered;
	unsigned int before_five; /* requests before the one with n = 5 */
	int close_in_answer;	  /* a peer to close while its request is answered; -1: none */
	struct berth_server_pending *pending;
	unsigned int cancelled; /* deferred requests */
};

struct peer {
	struct fixture *f;
	int fd;
	char *text; /* received */
	size_t length;
	bool ended;
};

static void on_cancel(void *arg)
{
	struct fixture *f = arg;
	f->cancelled++;
	f->pending = NULL;
}

static enum berth_code answer(void *arg, const char *command, const json_t *arguments, json_t **result,
			      char error[BERTH_ERROR_BYTES])
{
	struct fixture *f = arg;
	if (f->fn)
		return f->fn(f, command, arguments, result, error);
	if (json_integer_value(json_object_get(arguments, "n")) == 5)
		f->before_five = f->answered;
	f->answered++;
	if (f->close_in_answer >= 0) {
		close(f->close_in_answer);
		f->close_in_answer = -1;
	}
	if (strcmp(command, "defer") == 0) {
		f->pending = berth_server_defer(f->server, on_cancel, f);
		assert_non_null(f->pending);
	} else if (strcmp(command, "echo") == 0) {
		*result = json_deep_copy(arguments);
	} else if (strcmp(command, "big") == 0) {
		size_t length = (size_t)json_integer_value(json_object_get(arguments, "bytes"));
		char *text = malloc(length);
		assert_non_null(text);
		memset(text, 'x', length);
		*result = json_pack("{s:s%}", "text", text, length);
		free(text);
	} else if (strcmp(command, "nothing") != 0) {
		snprintf(error, BERTH_ERROR_BYTES, "%s", command);
		return BERTH_CODE_NOT_FOUND;
	}
	return BERTH_CODE_OK;
}

static void turn(struct fixture *f)
{
	event_base_loop(f->base, EVLOOP_NONBLOCK);
}

static int set_up_with(void **state, const struct berth_server_limits *limits)
{
	char error[BERTH_ERROR_BYTES];
	struct fixture *f = calloc(1, sizeof(*f));
	assert_non_null(f);
	strcpy(f->dir, "/tmp/berth-test-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->path, sizeof(f->path), "%s/berth.sock", f->dir);
	f->close_in_answer = -1;
	f->base = event_base_new();
	f->server = berth_server_new(f->base, f->path, limits, answer, f, error);
	assert_non_null(f->server);
	*state = f;
	return 0;
}

static int set_up(void **state)
{
	return set_up_with(state, &berth_server_limits);
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	berth_server_free(f->server);
	event_base_free(f->base);
	/* Fails unless the server has removed its socket. */
	assert_int_equal(rmdir(f->dir), 0);
	free(f);
	return 0;
}

static int connect_to(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	strcpy(address.sun_path, path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
		close(fd);
		return -1;
	}
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

static struct peer join(struct fixture *f)
{
	struct peer peer = {.f = f, .fd = connect_to(f->path)};
	assert_true(peer.fd >= 0);
	turn(f);
	return peer;
}

static void disconnect(struct peer *peer)
{
	close(peer->fd);
	free(peer->text);
	turn(peer->f);
	turn(peer->f);
}

/* Sends a text. Returns the bytes that the server accepted before it closed the connection. */
static size_t send_bytes(struct peer *peer, const char *text, size_t length)
{
	size_t sent = 0;
	uint64_t end = berth_clock_ms() + PATIENCE_MS;
	while (sent < length && berth_clock_ms() < end) {
		ssize_t n = send(peer->fd, text + sent, length - sent, MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN)
			break;
		sent += n > 0 ? (size_t)n : 0;
		turn(peer->f);
	}
	return sent;
}

static void send_text(struct peer *peer, const char *text)
{
	assert_int_equal(send_bytes(peer, text, strlen(text)), strlen(text));
}

/* Reads without waiting. */
static void receive_once(struct peer *peer)
{
	char bytes[65536];
	ssize_t n = recv(peer->fd, bytes, sizeof(bytes), 0);
	if (n == 0 || (n < 0 && errno != EAGAIN))
		peer->ended = true;
	if (n <= 0)
		return;
	peer->text = realloc(peer->text, peer->length + (size_t)n);
	assert_non_null(peer->text);
	memcpy(peer->text + peer->length, bytes, (size_t)n);
	peer->length += (size_t)n;
}

/* The next answer; NULL: the server closed the connection, or no answer in time. */
static json_t *receive(struct peer *peer)
{
	for (uint64_t end = berth_clock_ms() + PATIENCE_MS; berth_clock_ms() < end;) {
		char *newline = peer->text ? memchr(peer->text, '\n', peer->length) : NULL;
		if (newline) {
			size_t length = (size_t)(newline - peer->text);
			json_t *reply = json_loadb(peer->text, length, JSON_REJECT_DUPLICATES, NULL);
			assert_non_null(reply);
			peer->length -= length + 1;
			memmove(peer->text, newline + 1, peer->length);
			return reply;
		}
		if (peer->ended)
			return NULL;
		turn(peer->f);
		receive_once(peer);
		usleep(100);
	}
	return NULL;
}

/* Expects that the server closes the connection without another answer. */
__attribute__((unused)) static void expect_end(struct peer *peer)
{
	assert_null(receive(peer));
	assert_true(peer->ended);
	assert_int_equal(peer->length, 0);
}

static void expect_number(struct peer *peer, json_int_t number)
{
	json_t *reply = receive(peer);
	assert_non_null(reply);
	assert_true(json_is_true(json_object_get(reply, "ok")));
	assert_int_equal(json_integer_value(json_object_get(json_object_get(reply, "result"), "n")), number);
	json_decref(reply);
}

__attribute__((unused)) static void expect_error(struct peer *peer, const char *code)
{
	json_t *reply = receive(peer);
	assert_non_null(reply);
	assert_true(json_is_false(json_object_get(reply, "ok")));
	assert_string_equal(json_string_value(json_object_get(reply, "code")), code);
	assert_true(json_string_length(json_object_get(reply, "error")) > 0);
	assert_null(json_object_get(reply, "result"));
	json_decref(reply);
}

/* Expects that the server answers another client. */
static void others_are_served(struct fixture *f)
{
	struct peer other = join(f);
	send_text(&other, "{\"command\":\"echo\",\"arguments\":{\"n\":7}}\n");
	expect_number(&other, 7);
	disconnect(&other);
}
