/* SPDX-License-Identifier: BSD-3-Clause */
/* A DNS server on loopback in the test's event loop. The test defines its answers, over UDP and TCP. */
#pragma once

#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	DNS_BYTES = 65535,
	DNS_A = 1,
	DNS_CNAME = 5,
	DNS_AAAA = 28,
	DNS_HEADER = 12,
};

struct dns_message {
	uint8_t byte[DNS_BYTES];
	size_t n;
};

/* Completes an answer; header and question are already in it. `name` is the question's. Returns false for no
 * answer. */
typedef bool dns_server_fn(void *arg, const char *name, uint16_t type, bool tcp, struct dns_message *answer);

struct dns_server {
	int udp;
	int tcp;
	uint16_t port;
	struct event *events[2];
	dns_server_fn *answer;
	void *arg;
	unsigned int questions;
};

static inline void dns_put16(struct dns_message *m, unsigned int value)
{
	m->byte[m->n++] = (uint8_t)(value >> 8);
	m->byte[m->n++] = (uint8_t)value;
}

/* A record whose owner is the name of the question. */
static inline void dns_put_record(struct dns_message *m, uint16_t type, uint32_t ttl, const void *data,
				  size_t length)
{
	dns_put16(m, 0xc000 | DNS_HEADER);
	dns_put16(m, type);
	dns_put16(m, 1);
	dns_put16(m, ttl >> 16);
	dns_put16(m, ttl & 0xffff);
	dns_put16(m, (unsigned int)length);
	memcpy(m->byte + m->n, data, length);
	m->n += length;
	m->byte[7]++;
	m->byte[6] = (uint8_t)(m->byte[6] + (m->byte[7] == 0));
}

static inline void dns_put_address(struct dns_message *m, const char *text, uint32_t ttl)
{
	uint8_t address[16];
	bool is4 = inet_pton(AF_INET, text, address) == 1;
	if (!is4)
		inet_pton(AF_INET6, text, address);
	dns_put_record(m, is4 ? DNS_A : DNS_AAAA, ttl, address, is4 ? 4 : 16);
}

static inline void dns_set_code(struct dns_message *m, unsigned int code)
{
	m->byte[3] = (uint8_t)((m->byte[3] & 0xf0) | code);
}

/* Turns a question into an answer. Returns false for no answer. */
static inline bool dns_serve(struct dns_server *server, const uint8_t *question, size_t length, bool tcp,
			     struct dns_message *m)
{
	char name[256] = "";
	size_t at = DNS_HEADER;
	while (at < length && question[at]) {
		strncat(name, (const char *)question + at + 1, question[at]);
		at += question[at] + 1u;
		strcat(name, question[at] ? "." : "");
	}
	uint16_t type = (uint16_t)(question[at + 1] << 8 | question[at + 2]);
	m->n = at + 5;
	memcpy(m->byte, question, m->n);
	m->byte[2] = 0x81;
	m->byte[3] = 0x80;
	memset(m->byte + 6, 0, 6); /* no records and no EDNS */
	server->questions++;
	return server->answer(server->arg, name, type, tcp, m);
}

static inline void dns_on_udp(evutil_socket_t fd, short what, void *arg)
{
	static struct dns_message m;
	struct sockaddr_storage from;
	socklen_t length = sizeof(from);
	uint8_t question[512];
	(void)what;
	ssize_t n = recvfrom(fd, question, sizeof(question), 0, (struct sockaddr *)&from, &length);
	if (n > DNS_HEADER && dns_serve(arg, question, (size_t)n, false, &m))
		sendto(fd, m.byte, m.n, 0, (struct sockaddr *)&from, length);
}

/* A connection may carry several questions; the client closes it. */
static inline void dns_on_question(struct bufferevent *client, void *arg)
{
	static struct dns_message m;
	struct evbuffer *in = bufferevent_get_input(client);
	uint8_t question[2 + 512];
	while (evbuffer_copyout(in, question, 2) == 2) {
		size_t length = (size_t)question[0] << 8 | question[1];
		if (length > sizeof(question) - 2 || evbuffer_get_length(in) < 2 + length)
			return;
		evbuffer_remove(in, question, 2 + length);
		if (!dns_serve(arg, question + 2, length, true, &m))
			continue;
		const uint8_t head[2] = {(uint8_t)(m.n >> 8), (uint8_t)m.n};
		bufferevent_write(client, head, 2);
		bufferevent_write(client, m.byte, m.n);
	}
}

static inline void dns_on_end(struct bufferevent *client, short what, void *arg)
{
	(void)what;
	(void)arg;
	bufferevent_free(client);
}

static inline void dns_on_tcp(evutil_socket_t fd, short what, void *arg)
{
	struct dns_server *server = arg;
	int socket = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	(void)what;
	if (socket < 0)
		return;
	struct bufferevent *client = bufferevent_socket_new(event_get_base(server->events[1]), socket,
							    BEV_OPT_CLOSE_ON_FREE);
	bufferevent_setcb(client, dns_on_question, NULL, dns_on_end, server);
	bufferevent_enable(client, EV_READ | EV_WRITE);
}

/* Returns false without sockets. */
static inline bool dns_server_open(struct dns_server *server, struct event_base *base, dns_server_fn *answer,
				   void *arg)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(at);
	*server = (struct dns_server){.answer = answer, .arg = arg};
	server->udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	server->tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(server->udp, (struct sockaddr *)&at, sizeof(at)) ||
	    getsockname(server->udp, (struct sockaddr *)&at, &length) ||
	    bind(server->tcp, (struct sockaddr *)&at, sizeof(at)) || listen(server->tcp, 64))
		return false;
	server->port = ntohs(at.sin_port);
	server->events[0] = event_new(base, server->udp, EV_READ | EV_PERSIST, dns_on_udp, server);
	server->events[1] = event_new(base, server->tcp, EV_READ | EV_PERSIST, dns_on_tcp, server);
	return event_add(server->events[0], NULL) == 0 && event_add(server->events[1], NULL) == 0;
}

static inline void dns_server_close(struct dns_server *server)
{
	for (int i = 0; i < 2; i++)
		event_free(server->events[i]);
	close(server->udp);
	close(server->tcp);
}
