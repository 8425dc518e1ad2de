// SPDX-License-Identifier: BSD-3-Clause
/*
 * Not libevent's evhttp: version 2.1 limits neither the number of connections nor the duration of a request, so
 * that a request sent byte by byte would occupy a connection for hours.
 */
#include "controlplane/metrics/http.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "controlplane/metrics/socket.h"
#include "controlplane/util/address.h"
#include "controlplane/util/clock.h"
#include "controlplane/util/log.h"

struct client {
	struct berth_metrics_http *http;
	LIST_ENTRY(client) entry;
	struct bufferevent *stream;
	struct event *timeout;
	struct berth_metrics_body body; /* of the response that is being written */
	uint64_t since_ms;		/* CLOCK_MONOTONIC */
	bool is_answered;
	bool is_half_closed; /* the client has closed its sending side */
};

struct berth_metrics_http {
	struct berth_metrics_http_limits limits;
	struct event_base *base;
	berth_metrics_fn *fn;
	berth_metrics_ready_fn *ready; /* NULL: no such page */
	berth_metrics_page_fn *page;   /* NULL: there are no other pages */
	void *arg;
	struct berth_metrics_config config;
	struct evconnlistener *listener; /* NULL: not listening */
	struct evconnlistener *staged;
	struct berth_metrics_config staged_config;
	struct event *accept_retry; /* resumes accepting after an error */
	struct event *listen_retry; /* while the address is waited for */
	bool is_committed;	    /* once */
	char fault[BERTH_ERROR_BYTES];
	LIST_HEAD(, client) clients;
	unsigned int n_clients;
};

const struct berth_metrics_http_limits berth_metrics_http_limits = {
	.request_bytes = 8192,
	.clients = 16,
	.lifetime_ms = 10000,
	.half_ms = 500,
};

struct page {
	const char *path;
	void (*send)(struct client *client);
};

static void accept_more(struct berth_metrics_http *http)
{
	if (http->listener && http->n_clients < http->limits.clients)
		evconnlistener_enable(http->listener);
}

static void free_client(struct client *client)
{
	struct berth_metrics_http *http = client->http;
	LIST_REMOVE(client, entry);
	http->n_clients--;
	event_free(client->timeout);
	berth_metrics_body_clear(&client->body);
	bufferevent_free(client->stream);
	free(client);
	accept_more(http);
}

static void free_body(const void *bytes, size_t length, void *arg)
{
	(void)bytes;
	(void)length;
	free(arg);
}

/* Takes ownership of `body`, which may be NULL. */
static void send_response(struct client *client, const char *status, const char *more, struct berth_text *body)
{
	struct evbuffer *output = bufferevent_get_output(client->stream);
	client->is_answered = true;
	evbuffer_add_printf(output, "HTTP/1.1 %s\r\n%sContent-Length: %zu\r\nConnection: close\r\n\r\n", status,
			    more, body ? body->length : 0);
	if (body && evbuffer_add_reference(output, body->bytes, body->length, free_body, body->bytes) == 0)
		*body = (struct berth_text){0};
}

static void on_body(void *arg, int err, struct berth_text *body)
{
	struct client *client = arg;
	if (!err)
		send_response(client, "200 OK", "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n", body);
	else
		send_response(client, "503 Service Unavailable", "", NULL);
	berth_metrics_body_clear(&client->body);
}

static void send_page(struct client *client)
{
	struct berth_metrics_http *http = client->http;
	client->body = (struct berth_metrics_body){
		.fn = http->fn, .fn_arg = http->arg, .done = on_body, .done_arg = client};
	berth_metrics_body_write(&client->body, http->base);
}

static void send_ready(struct client *client)
{
	struct berth_text body = {0};
	const bool is_ready = client->http->ready && client->http->ready(client->http->arg, &body);
	send_response(client, is_ready ? "200 OK" : "503 Service Unavailable",
		      "Content-Type: text/plain; charset=utf-8\r\n", body.failed ? NULL : &body);
	berth_text_clear(&body);
}

static const struct page pages[] = {{"/metrics", send_page}, {"/ready", send_ready}};

/* Nothing from elsewhere runs in the page for people, and nobody shows it within another page. */
#define PAGE_HEADERS                                                                                               \
	"Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nX-Frame-Options: DENY\r\n"                  \
	"Referrer-Policy: no-referrer\r\nContent-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; " \
	"script-src 'unsafe-inline'; connect-src 'self'\r\n"

/* Sends one of the other pages. False: there is none for this target. */
static bool send_other(struct client *client, const char *target, size_t length)
{
	const struct berth_metrics_http *http = client->http;
	char path[BERTH_METRICS_TARGET_BYTES], headers[sizeof(PAGE_HEADERS) + 64];
	struct berth_text body = {0};
	if (!http->page || !http->config.page || length >= sizeof(path))
		return false;
	memcpy(path, target, length);
	path[length] = '\0';
	const char *type = http->page(http->arg, path, &body);
	snprintf(headers, sizeof(headers), "Content-Type: %s; charset=utf-8\r\n" PAGE_HEADERS, type ? type : "");
	if (type && !body.failed)
		send_response(client, "200 OK", headers, &body);
	else if (type)
		send_response(client, "503 Service Unavailable", "", NULL);
	berth_text_clear(&body);
	return type != NULL;
}

/* The page of a request target, which may have a query; NULL: not found. */
static const struct page *find_page(const char *target, size_t length)
{
	const char *query = memchr(target, '?', length);
	if (query)
		length = (size_t)(query - target);
	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++)
		if (length == strlen(pages[i].path) && memcmp(target, pages[i].path, length) == 0)
			return &pages[i];
	return NULL;
}

/* `line` is the request line: "GET /metrics HTTP/1.1". */
static void handle_request(struct client *client, const char *line, size_t length)
{
	const char *line_end = line + length;
	const char *target = memchr(line, ' ', length);
	const char *version = target ? memchr(target + 1, ' ', (size_t)(line_end - target - 1)) : NULL;
	const struct page *page = version ? find_page(target + 1, (size_t)(version - target - 1)) : NULL;
	if (!version || line_end - version < 8 || memcmp(version, " HTTP/1.", 8) != 0)
		send_response(client, "400 Bad Request", "", NULL);
	else if (target - line != 3 || memcmp(line, "GET", 3) != 0)
		send_response(client, "405 Method Not Allowed", "Allow: GET\r\n", NULL);
	else if (page)
		page->send(client);
	else if (!send_other(client, target + 1, (size_t)(version - target - 1)))
		send_response(client, "404 Not Found", "", NULL);
}

static void on_read(struct bufferevent *stream, void *arg)
{
	struct client *client = arg;
	struct evbuffer *input = bufferevent_get_input(stream);
	if (!client->is_answered && !client->body.fn) {
		bool is_complete = evbuffer_search(input, "\r\n\r\n", 4, NULL).pos >= 0;
		ev_ssize_t line = evbuffer_search(input, "\r\n", 2, NULL).pos;
		if (!is_complete && evbuffer_get_length(input) <= client->http->limits.request_bytes)
			return;
		if (is_complete)
			/* With the end of the line: an empty one is no NULL. */
			handle_request(client, (const char *)evbuffer_pullup(input, line + 2), (size_t)line);
		else
			send_response(client, "431 Request Header Fields Too Large", "", NULL);
	}
	/* Discards a body or further requests: unread bytes at close would reset the connection and lose the
	 * response. */
	evbuffer_drain(input, evbuffer_get_length(input));
}

/* The response is written. The client closes first, so that no TIME_WAIT stays here. */
static void on_write(struct bufferevent *stream, void *arg)
{
	struct client *client = arg;
	if (client->is_half_closed)
		free_client(client);
	else if (client->is_answered)
		shutdown(bufferevent_getfd(stream), SHUT_WR);
}

static void on_event(struct bufferevent *stream, short what, void *arg)
{
	struct client *client = arg;
	bool unread = evbuffer_get_length(bufferevent_get_output(stream)) > 0;
	if ((what & BEV_EVENT_EOF) && (unread || client->body.fn))
		client->is_half_closed = true;
	else
		free_client(client);
}

static void on_timeout(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	free_client(arg);
}

/* Takes ownership of `fd`. */
static int create_client(struct berth_metrics_http *http, evutil_socket_t fd)
{
	const struct timeval is_complete = {.tv_sec = http->limits.lifetime_ms / 1000,
					    .tv_usec = http->limits.lifetime_ms % 1000 * 1000};
	struct client *client = calloc(1, sizeof(*client));
	if (!client)
		goto out_close;
	client->http = http;
	client->since_ms = berth_clock_ms();
	client->timeout = evtimer_new(http->base, on_timeout, client);
	if (!client->timeout)
		goto out_free;
	client->stream = bufferevent_socket_new(http->base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (!client->stream)
		goto out_timer;
	LIST_INSERT_HEAD(&http->clients, client, entry);
	http->n_clients++;
	bufferevent_setcb(client->stream, on_read, on_write, on_event, client);
	bufferevent_setwatermark(client->stream, EV_READ, 0, http->limits.request_bytes + 1);
	bufferevent_enable(client->stream, EV_READ | EV_WRITE);
	event_add(client->timeout, &is_complete);
	return 0;

out_timer:
	event_free(client->timeout);
out_free:
	free(client);
out_close:
	evutil_closesocket(fd);
	return -ENOMEM;
}

/* The oldest connection whose request is not complete; NULL: all have been answered. */
static struct client *oldest_half(const struct berth_metrics_http *http)
{
	struct client *oldest = NULL, *client;
	LIST_FOREACH(client, &http->clients, entry)
	if (!client->is_answered && !client->body.fn)
		oldest = client;
	return oldest;
}

/* At the limit of connections: ends the oldest one with half a request, at once or when it has had its time. So
 * half requests cannot delay a scrape for longer than that. */
static void make_room(struct berth_metrics_http *http)
{
	struct client *half = oldest_half(http);
	const uint64_t age_ms = half ? berth_clock_ms() - half->since_ms : 0;
	if (half && age_ms >= http->limits.half_ms) {
		free_client(half);
		return;
	}
	evconnlistener_disable(http->listener);
	if (!half)
		return;
	const uint64_t wait_ms = http->limits.half_ms - age_ms;
	const struct timeval wait = {.tv_sec = (time_t)(wait_ms / 1000),
				     .tv_usec = (suseconds_t)(wait_ms % 1000 * 1000)};
	evtimer_add(http->accept_retry, &wait);
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address, int length,
		      void *arg)
{
	struct berth_metrics_http *http = arg;
	(void)listener;
	(void)address;
	(void)length;
	create_client(http, fd);
	if (http->n_clients >= http->limits.clients)
		make_room(http);
}

static void on_accept_retry(evutil_socket_t fd, short what, void *arg)
{
	struct berth_metrics_http *http = arg;
	(void)fd;
	(void)what;
	if (http->listener && http->n_clients >= http->limits.clients)
		make_room(http);
	else
		accept_more(http);
}

/* Out of descriptors: a pause prevents a busy loop. */
static void on_accept_error(struct evconnlistener *listener, void *arg)
{
	struct berth_metrics_http *http = arg;
	const struct timeval pause = {.tv_sec = 1};
	evconnlistener_disable(listener);
	evtimer_add(http->accept_retry, &pause);
}

static void stop(struct berth_metrics_http *http)
{
	for (struct client *client = LIST_FIRST(&http->clients), *next; client; client = next) {
		next = LIST_NEXT(client, entry);
		free_client(client);
	}
	if (http->listener)
		evconnlistener_free(http->listener);
	http->listener = NULL;
	http->config = (struct berth_metrics_config){0};
	http->fault[0] = '\0';
	event_del(http->listen_retry);
}

/* Whether both are the same place. */
static bool is_same(const struct berth_metrics_config *a, const struct berth_metrics_config *b)
{
	return a->port == b->port && (!a->port || berth_addr_equal(&a->address, &b->address));
}

/* The socket in use that has the same port; -1: none. */
static int socket_with_port(const struct berth_metrics_http *http, const struct berth_metrics_config *config)
{
	return http->listener && config->port == http->config.port ? evconnlistener_get_fd(http->listener) : -1;
}

static struct evconnlistener *listen_at(struct berth_metrics_http *http, const struct berth_metrics_config *config,
					int *err)
{
	int sharing = socket_with_port(http, config);
	int fd = berth_metrics_bind(config, sharing);
	*err = fd < 0 ? fd : 0;
	if (fd < 0)
		return NULL;
	struct evconnlistener *listener = evconnlistener_new(http->base, on_accept, http,
							     LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 16, fd);
	int listen_err = errno;
	berth_metrics_share_port(sharing, fd, false);
	if (!listener) {
		*err = listen_err ? -listen_err : -ENOMEM;
		close(fd);
		return NULL;
	}
	evconnlistener_set_error_cb(listener, on_accept_error);
	return listener;
}

static void await_address(struct berth_metrics_http *http)
{
	const struct timeval pause = {.tv_sec = 1};
	evtimer_add(http->listen_retry, &pause);
}

static void on_listen_retry(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct berth_metrics_http *http = arg;
	int err = 0;
	http->listener = listen_at(http, &http->config, &err);
	if (!http->listener) {
		await_address(http);
		return;
	}
	berth_log("alarm over: metrics: the address is there");
	http->fault[0] = '\0';
}

int berth_metrics_http_stage(struct berth_metrics_http *http, const struct berth_metrics_config *config,
			     char error[BERTH_ERROR_BYTES])
{
	int err = 0;
	http->staged = NULL;
	http->staged_config = *config;
	if (!config->port || is_same(config, &http->config))
		return 0;
	http->staged = listen_at(http, config, &err);
	/* At the start an address may be late, for instance that of an interface that is not up yet. */
	if (http->staged || (err == -EADDRNOTAVAIL && !http->is_committed))
		return 0;
	berth_metrics_explain(config, err, "give `listen` an address of this host and a free port", error);
	return err;
}

void berth_metrics_http_drop(struct berth_metrics_http *http)
{
	if (http->staged)
		evconnlistener_free(http->staged);
	http->staged = NULL;
}

void berth_metrics_http_commit(struct berth_metrics_http *http)
{
	const struct berth_metrics_config config = http->staged_config;
	http->is_committed = true;
	if (is_same(&config, &http->config)) {
		http->config = config;
		return;
	}
	stop(http);
	http->listener = http->staged;
	http->config = config;
	http->staged = NULL;
	if (http->listener || !config.port)
		return;
	berth_metrics_explain(&config, -EADDRNOTAVAIL, "waiting for the address", http->fault);
	berth_log("ALARM: %s", http->fault);
	await_address(http);
}

const char *berth_metrics_http_fault(const struct berth_metrics_http *http)
{
	return http->fault;
}

int berth_metrics_http_listen(struct berth_metrics_http *http, const struct berth_metrics_config *config,
			      char error[BERTH_ERROR_BYTES])
{
	int err = berth_metrics_http_stage(http, config, error);
	if (!err)
		berth_metrics_http_commit(http);
	return err;
}

void berth_metrics_http_set_ready(struct berth_metrics_http *http, berth_metrics_ready_fn *fn)
{
	http->ready = fn;
}

void berth_metrics_http_set_page(struct berth_metrics_http *http, berth_metrics_page_fn *fn)
{
	http->page = fn;
}

static void free_events(struct berth_metrics_http *http)
{
	if (http->accept_retry)
		event_free(http->accept_retry);
	if (http->listen_retry)
		event_free(http->listen_retry);
}

struct berth_metrics_http *berth_metrics_http_new(struct event_base *base,
						  const struct berth_metrics_http_limits *limits,
						  berth_metrics_fn *fn, void *arg)
{
	struct berth_metrics_http *http = calloc(1, sizeof(*http));
	if (!http)
		return NULL;
	*http = (struct berth_metrics_http){.limits = *limits, .base = base, .fn = fn, .arg = arg};
	LIST_INIT(&http->clients);
	http->accept_retry = evtimer_new(base, on_accept_retry, http);
	http->listen_retry = evtimer_new(base, on_listen_retry, http);
	if (http->accept_retry && http->listen_retry)
		return http;
	free_events(http);
	free(http);
	return NULL;
}

void berth_metrics_http_free(struct berth_metrics_http *http)
{
	if (!http)
		return;
	stop(http);
	free_events(http);
	free(http);
}
