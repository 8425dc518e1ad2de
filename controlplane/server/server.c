// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/server/server.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controlplane/server/access.h"
#include "controlplane/server/format.h"
#include "controlplane/server/listen.h"
#include "controlplane/server/private.h"
#include "controlplane/server/reader.h"
#include "controlplane/util/log.h"

const struct berth_server_limits berth_server_limits = {
	.request_bytes = BERTH_WIRE_REQUEST_BYTES,
	.unread_bytes = 1 << 20,
	.all_unread_bytes = 64 << 20,
	.clients = 64,
	.idle_ms = 300000,
	.parts_ms = 300000,
	.request_ms = 10000,
	.unread_ms = 30000,
};

static const char no_memory[] = "{\"ok\":false,\"error\":\"berthd is out of memory\",\"code\":\"internal\"}";

static struct timeval from_ms(unsigned int ms)
{
	return (struct timeval){.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
}

static struct evbuffer *client_input(const struct server_client *client)
{
	return bufferevent_get_input(client->stream);
}

void berth_server_client_free(struct server_client *client)
{
	if (client->cancel)
		client->cancel(client->cancel_arg);
	berth_server_client_end_parts(client);
	LIST_REMOVE(client, entry);
	client->server->n_clients--;
	json_decref(client->request);
	event_free(client->deadline);
	bufferevent_free(client->stream);
	free(client);
}

/* Reads no more from the client, and frees it after it has read its answers: now, or in on_write(). */
static void client_close(struct server_client *client)
{
	client->closing = true;
	evtimer_del(client->deadline);
	bufferevent_disable(client->stream, EV_READ);
	if (berth_server_unread(client) == 0)
		berth_server_client_free(client);
}

static void client_answer(struct server_client *client, enum berth_code code, json_t *result,
			  char error[BERTH_ERROR_BYTES])
{
	struct evbuffer *output = bufferevent_get_output(client->stream);
	char *line = berth_server_format_answer(code, result, error);
	evbuffer_add_printf(output, "%s\n", line ? line : no_memory);
	free(line);
}

static void client_reject(struct server_client *client, enum berth_code code, const char *reason)
{
	char error[BERTH_ERROR_BYTES];
	snprintf(error, sizeof(error), "%s", reason);
	client_answer(client, code, NULL, error);
	client_close(client);
}

/* Checks the form of a request and runs the server's function. */
static enum berth_code run_request(const struct berth_server *server, json_t *request, json_t **result,
				   char error[BERTH_ERROR_BYTES])
{
	const char *command;
	json_t *arguments = NULL;
	if (json_unpack(request, "{s:s, s?o !}", "command", &command, "arguments", &arguments) != 0 ||
	    (arguments && !json_is_object(arguments))) {
		snprintf(error, BERTH_ERROR_BYTES,
			 "a request is an object with \"command\", a string, and \"arguments\", an object");
		return BERTH_CODE_INVALID;
	}
	json_t *empty = arguments ? NULL : json_object();
	enum berth_code code = server->fn(server->arg, command, arguments ? arguments : empty, result, error);
	json_decref(empty);
	return code;
}

/* Handles the next request in a later turn of the loop, so that one client cannot block the others. */
static void client_continue(struct server_client *client)
{
	bufferevent_trigger(client->stream, EV_READ, BEV_TRIG_DEFER_CALLBACKS | BEV_TRIG_IGNORE_WATERMARKS);
}

void berth_server_client_end_request(struct server_client *client)
{
	json_decref(client->request);
	client->request = NULL;
	client_continue(client);
}

void berth_server_client_finish(struct server_client *client, enum berth_code code, json_t *result,
				char error[BERTH_ERROR_BYTES])
{
	client_answer(client, code, result, error);
	berth_server_client_end_request(client);
}

void berth_server_client_run(struct server_client *client, json_t *request)
{
	char error[BERTH_ERROR_BYTES] = "";
	json_t *result = NULL;
	client->request = request;
	if (!request) {
		client_reject(client, BERTH_CODE_INVALID, "a request is one JSON object on one line");
		return;
	}
	client->server->current = client;
	enum berth_code code = run_request(client->server, request, &result, error);
	client->server->current = NULL;
	if (!client->cancel)
		berth_server_client_finish(client, code, result, error);
}

/* Answers the request in the first `length` bytes of the input. */
static void client_handle(struct server_client *client, size_t length)
{
	struct evbuffer *input = client_input(client);
	client->searched = 0;
	evtimer_del(client->deadline);
	client->has_part = false;
	if (berth_server_reader_take(client->server->reader, client, length))
		return;
	const char *line = (const char *)evbuffer_pullup(input, (ev_ssize_t)length + 1);
	json_t *request = line ? berth_server_parse_request(line, length) : NULL;
	evbuffer_drain(input, length + 1);
	berth_server_client_run(client, request);
}

struct berth_server_peer berth_server_peer(const struct berth_server *server)
{
	return server && server->current ? server->current->peer : berth_server_unknown_peer;
}

/* Bytes before the first newline, or -1. Searches no byte twice, since 8 MiB arrive in about 2,000 reads. */
static ev_ssize_t find_line(struct server_client *client)
{
	struct evbuffer *input = client_input(client);
	size_t length = evbuffer_get_length(input);
	struct evbuffer_ptr from;
	if (length == client->searched || evbuffer_ptr_set(input, &from, client->searched, EVBUFFER_PTR_SET) != 0)
		return -1;
	struct evbuffer_ptr end = evbuffer_search(input, "\n", 1, &from);
	client->searched = length;
	return end.pos;
}

/* Limits the time until the first byte of a request, and from that one until the last. More bytes do not extend it.
 */
static void client_set_deadline(struct server_client *client, bool has_part)
{
	const struct berth_server_limits *limits = &client->server->limits;
	const struct timeval limit = from_ms(has_part ? limits->request_ms : limits->idle_ms);
	if (has_part == client->has_part && evtimer_pending(client->deadline, NULL))
		return;
	client->has_part = has_part;
	evtimer_add(client->deadline, &limit);
}

void berth_server_client_limit_parts(struct server_client *client)
{
	const struct timeval limit = from_ms(client->server->limits.parts_ms);
	evtimer_add(client->deadline, &limit);
}

/* The input has no newline: rejects what can become no request, and limits the time for the rest. */
static void client_wait(struct server_client *client)
{
	size_t length = evbuffer_get_length(client_input(client));
	if (length > client->server->limits.request_bytes)
		client_reject(client, BERTH_CODE_TOO_LARGE, "the request is too long");
	else if (client->at_eof && length > 0)
		client_reject(client, BERTH_CODE_INVALID, "the request does not end with a newline");
	else if (client->at_eof)
		client_close(client);
	else
		client_set_deadline(client, length > 0);
}

/* Whether `a` is disconnected before `b`: root last, then the one with more unread bytes first. */
static bool goes_before(const struct server_client *a, const struct server_client *b)
{
	bool privileged = berth_server_peer_is_privileged(&a->peer);
	if (privileged != berth_server_peer_is_privileged(&b->peer))
		return !privileged;
	return berth_server_unread(a) > berth_server_unread(b);
}

/* Whether the unread answers of all clients leave room for one more. */
static bool has_room(const struct berth_server *server)
{
	size_t sum = 0;
	const struct server_client *client;
	LIST_FOREACH(client, &server->clients, entry)
	sum += berth_server_unread(client);
	return sum <= server->limits.all_unread_bytes;
}

/* The client to disconnect for a request of `client`. NULL: only root has unread answers, and `client` is not root.
 */
static struct server_client *find_victim(const struct server_client *client)
{
	struct server_client *victim = NULL, *other;
	LIST_FOREACH(other, &client->server->clients, entry)
	{
		if (other == client || berth_server_unread(other) == 0 ||
		    (berth_server_peer_is_privileged(&other->peer) &&
		     !berth_server_peer_is_privileged(&client->peer)))
			continue;
		if (!victim || goes_before(other, victim))
			victim = other;
	}
	return victim;
}

/* Disconnects a client that does not read its answers, then checks the request of `client` again. So all unread
 * answers together exceed the limit by one answer at most. */
static void make_room(struct server_client *client)
{
	struct server_client *victim = find_victim(client);
	if (!victim) {
		client_reject(client, BERTH_CODE_BUSY,
			      "other clients have not read their answers; try again later");
		return;
	}
	berth_log("uid %d pid %d: disconnected with %zu unread bytes: the answers to all clients exceed %zu",
		  (int)victim->peer.uid, (int)victim->peer.pid, berth_server_unread(victim),
		  client->server->limits.all_unread_bytes);
	berth_server_client_free(victim);
	client->searched = 0;
	client_continue(client);
}

static void on_read(struct bufferevent *stream, void *arg)
{
	struct server_client *client = arg;
	if (client->closing || client->cancel || berth_server_unread(client) > client->server->limits.unread_bytes)
		return;
	char first;
	if (evbuffer_copyout(bufferevent_get_input(stream), &first, 1) == 1 && first != '{') {
		client_reject(client, BERTH_CODE_INVALID, "a request is one JSON object on one line");
		return;
	}
	ev_ssize_t length = find_line(client);
	if (length < 0)
		client_wait(client);
	else if (!has_room(client->server))
		make_room(client);
	else
		client_handle(client, (size_t)length);
}

/* The client has read all answers. */
static void on_write(struct bufferevent *stream, void *arg)
{
	struct server_client *client = arg;
	if (client->closing)
		berth_server_client_free(client);
	else if (client->part)
		berth_server_client_next_part(client);
	else
		on_read(stream, client);
}

static void on_event(struct bufferevent *stream, short what, void *arg)
{
	struct server_client *client = arg;
	if ((what & BEV_EVENT_EOF) && !client->closing) {
		client->at_eof = true; /* it may still read: `echo ... | nc -U -N ...` */
		on_read(stream, client);
	} else {
		berth_server_client_free(client);
	}
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct server_client *client = arg;
	if (client->part) {
		berth_log("uid %d pid %d: disconnected: it has not read an answer within %u s",
			  (int)client->peer.uid, (int)client->peer.pid, client->server->limits.parts_ms / 1000);
		berth_server_client_free(client);
		return;
	}
	client_reject(client, BERTH_CODE_TIMEOUT,
		      client->has_part ? "the request is incomplete; the rest did not arrive in time"
				       : "the connection was idle for too long; connect again");
}

/* Takes `fd`. */
static int client_new(struct berth_server *server, evutil_socket_t fd, struct berth_server_peer peer)
{
	const struct timeval unread = from_ms(server->limits.unread_ms);
	struct server_client *client = calloc(1, sizeof(*client));
	if (!client)
		goto out_close;
	client->server = server;
	client->peer = peer;
	client->deadline = evtimer_new(server->base, on_deadline, client);
	if (!client->deadline)
		goto out_free;
	client->stream = bufferevent_socket_new(server->base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (!client->stream)
		goto out_timer;
	LIST_INSERT_HEAD(&server->clients, client, entry);
	server->n_clients++;
	bufferevent_setcb(client->stream, on_read, on_write, on_event, client);
	bufferevent_setwatermark(client->stream, EV_READ, 0, server->limits.request_bytes + 1);
	bufferevent_set_timeouts(client->stream, NULL, &unread);
	bufferevent_enable(client->stream, EV_READ | EV_WRITE);
	client_set_deadline(client, false);
	return 0;

out_timer:
	event_free(client->deadline);
out_free:
	free(client);
out_close:
	evutil_closesocket(fd);
	return -ENOMEM;
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address, int length,
		      void *arg)
{
	struct berth_server *server = arg;
	(void)listener;
	(void)address;
	(void)length;
	const struct berth_server_peer peer = berth_server_peer_of(fd);
	/* The last connection is for an administrator, whatever other users do. */
	unsigned int kept = berth_server_peer_is_privileged(&peer) ? 0 : 1;
	if (server->access && !berth_access_role(server->access, &peer))
		berth_listen_refuse(fd, BERTH_CODE_DENIED,
				    "permission denied: `access` in berthd's configuration gives no role");
	else if (server->n_clients + kept >= server->limits.clients)
		berth_listen_refuse(fd, BERTH_CODE_BUSY, "too many clients; try again later");
	else
		client_new(server, fd, peer);
}

void berth_server_set_access(struct berth_server *server, const struct berth_access *access)
{
	server->access = access;
	if (chmod(server->path, access->is_open ? 0660 : 0666))
		berth_log("the mode of %s cannot be set: %s", server->path, strerror(errno));
}

static void on_resume(evutil_socket_t fd, short what, void *arg)
{
	struct berth_server *server = arg;
	(void)fd;
	(void)what;
	evconnlistener_enable(server->listener);
}

/* Out of file descriptors: pauses, because accepting again at once would busy-loop. */
static void on_accept_error(struct evconnlistener *listener, void *arg)
{
	struct berth_server *server = arg;
	const struct timeval pause = {.tv_sec = 1};
	evconnlistener_disable(listener);
	evtimer_add(server->resume, &pause);
}

static void free_parts(struct berth_server *server)
{
	if (server->resume)
		event_free(server->resume);
	berth_server_reader_free(server->reader);
	free(server->path);
	free(server);
}

/* Listens, or returns -errno with one line in `error`. */
static int start_listening(struct berth_server *server, char error[BERTH_ERROR_BYTES])
{
	const int fd = berth_listen(server->path, error);
	if (fd < 0)
		return fd;
	server->listener = evconnlistener_new(server->base, on_accept, server,
					      LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, SOMAXCONN, fd);
	if (!server->listener) {
		const int err = -errno;
		snprintf(error, BERTH_ERROR_BYTES, "cannot listen on %s: %s", server->path, strerror(-err));
		unlink(server->path);
		close(fd);
		return err;
	}
	evconnlistener_set_error_cb(server->listener, on_accept_error);
	return 0;
}

struct berth_server *berth_server_new(struct event_base *base, const char *path,
				      const struct berth_server_limits *limits, berth_server_fn *fn, void *arg,
				      char error[BERTH_ERROR_BYTES])
{
	struct berth_server *server = calloc(1, sizeof(*server));
	int err = -ENOMEM;
	snprintf(error, BERTH_ERROR_BYTES, "out of memory for the socket %s", path);
	if (!server) {
		errno = ENOMEM;
		return NULL;
	}
	*server = (struct berth_server){.limits = *limits, .base = base, .fn = fn, .arg = arg};
	LIST_INIT(&server->clients);
	server->path = strdup(path);
	server->resume = evtimer_new(base, on_resume, server);
	server->reader = berth_server_reader_new(base);
	if (server->path && server->resume && server->reader)
		err = start_listening(server, error);
	if (err) {
		free_parts(server);
		errno = -err;
		return NULL;
	}
	/* libevent writes with writev(), which has no MSG_NOSIGNAL. */
	signal(SIGPIPE, SIG_IGN);
	return server;
}

/* The event loop has ended, and the answer to `shutdown` may still be in the buffer. */
static void client_flush(struct server_client *client)
{
	struct evbuffer *output = bufferevent_get_output(client->stream);
	evbuffer_unfreeze(output, 1);
	evbuffer_write(output, bufferevent_getfd(client->stream));
}

void berth_server_free(struct berth_server *server)
{
	if (!server)
		return;
	for (struct server_client *client = LIST_FIRST(&server->clients), *next; client; client = next) {
		next = LIST_NEXT(client, entry);
		client_flush(client);
		berth_server_client_free(client);
	}
	evconnlistener_free(server->listener);
	unlink(server->path);
	free_parts(server);
}
