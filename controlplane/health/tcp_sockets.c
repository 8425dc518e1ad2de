/* SPDX-License-Identifier: BSD-3-Clause */
#include "controlplane/health/tcp_sockets.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "controlplane/health/probe_io.h"
#include "controlplane/health/state.h"

enum {
	BATCH = 64,
	TURNS = 64, /* probes that are connected end before others start */
	BUCKETS = 1 << 15,
	MAX_KEPT = 1 << 15,
	/* A socket takes 4 KB of the kernel's memory: for longer intervals it would lie idle for too long. */
	KEPT_INTERVAL_MS = 2000,
	KEPT_INTERVALS = 3,
};

struct socket {
	int fd;
	bool is_kept;
	struct berth_probe *probe; /* NULL: it is idle */
	union berth_addr address;
	uint64_t port;
	uint64_t idle_until_us;
	LIST_ENTRY(socket) in_bucket; /* of idle ones */
	TAILQ_ENTRY(socket) in_idle;
};

LIST_HEAD(bucket, socket);

struct berth_tcp_sockets {
	int epoll;
	struct event *readable; /* of `epoll` */
	struct event *timer;	/* closes what is idle for long */
	void (*ready)(struct berth_probe *probe, int error);
	struct epoll_event events[BATCH];
	int n, next; /* of `events` */
	size_t n_kept, max_kept;
	TAILQ_HEAD(, socket) idle; /* the one that is idle for longest first; looked at each second */
	struct bucket buckets[BUCKETS];
};

static struct bucket *bucket_of(struct berth_tcp_sockets *sockets, const union berth_addr *address, uint64_t port)
{
	uint64_t hash = berth_health_random(address->half[0] ^ port);
	hash = berth_health_random(hash ^ address->half[1]);
	return &sockets->buckets[hash % BUCKETS];
}

/* What was read and not looked at yet is of the probe before. */
static void forget_events(struct berth_tcp_sockets *sockets, const struct socket *socket)
{
	for (int i = sockets->next; i < sockets->n; i++)
		if (sockets->events[i].data.ptr == socket)
			sockets->events[i].data.ptr = NULL;
}

/* A descriptor that came from berthd may be open there, too, so that close() alone would not end the watch. */
static void destroy(struct berth_tcp_sockets *sockets, struct socket *socket)
{
	forget_events(sockets, socket);
	epoll_ctl(sockets->epoll, EPOLL_CTL_DEL, socket->fd, NULL);
	close(socket->fd);
	sockets->n_kept -= socket->is_kept;
	free(socket);
}

/* --- idle sockets --- */

static void add_idle(struct berth_tcp_sockets *sockets, struct socket *socket)
{
	static const struct timeval second = {.tv_sec = 1};
	if (TAILQ_EMPTY(&sockets->idle))
		event_add(sockets->timer, &second);
	LIST_INSERT_HEAD(bucket_of(sockets, &socket->address, socket->port), socket, in_bucket);
	TAILQ_INSERT_TAIL(&sockets->idle, socket, in_idle);
}

static void remove_idle(struct berth_tcp_sockets *sockets, struct socket *socket)
{
	LIST_REMOVE(socket, in_bucket);
	TAILQ_REMOVE(&sockets->idle, socket, in_idle);
}

static struct socket *take_idle(struct berth_tcp_sockets *sockets, const struct berth_probe_key *key)
{
	struct socket *socket;
	LIST_FOREACH(socket, bucket_of(sockets, &key->address, key->port), in_bucket)
	{
		if (socket->port != key->port || !berth_addr_equal(&socket->address, &key->address))
			continue;
		remove_idle(sockets, socket);
		forget_events(sockets, socket);
		return socket;
	}
	return NULL;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct berth_tcp_sockets *sockets = arg;
	const struct timeval second = {.tv_sec = 1};
	const uint64_t now = berth_probe_now_us();
	struct socket *first;
	while ((first = TAILQ_FIRST(&sockets->idle)) && first->idle_until_us < now) {
		remove_idle(sockets, first);
		destroy(sockets, first);
	}
	if (first)
		event_add(sockets->timer, &second);
}

/* --- sockets of probes --- */

/* With EPOLLET a socket that is used again needs no other call of epoll_ctl(). With TCP_DEFER_ACCEPT the kernel
 * waits with the ACK of the handshake for data to be sent with it; the RST takes its place. */
static struct socket *create(struct berth_tcp_sockets *sockets, struct berth_probe *probe)
{
	const int family = berth_addr_is4(&probe->key.address) ? AF_INET : AF_INET6;
	struct socket *socket = calloc(1, sizeof(*socket));
	struct epoll_event event = {.events = EPOLLOUT | EPOLLET, .data.ptr = socket};
	const int seconds = 1;
	if (!socket)
		return NULL;
	socket->fd = berth_probe_socket(probe, family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
	if (socket->fd >= 0 &&
	    setsockopt(socket->fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof(seconds)) == 0 &&
	    epoll_ctl(sockets->epoll, EPOLL_CTL_ADD, socket->fd, &event) == 0)
		return socket;
	const int error = errno;
	if (socket->fd >= 0)
		close(socket->fd);
	free(socket);
	errno = error;
	return NULL;
}

static bool is_keepable(const struct berth_tcp_sockets *sockets, const struct berth_probe *probe)
{
	return !probe->key.tunnel_target && probe->key.check->interval_ms <= KEPT_INTERVAL_MS &&
	       sockets->n_kept < sockets->max_kept;
}

int berth_tcp_sockets_take(struct berth_tcp_sockets *sockets, struct berth_probe *probe)
{
	struct socket *socket = probe->key.tunnel_target ? NULL : take_idle(sockets, &probe->key);
	if (!socket) {
		const bool is_kept = is_keepable(sockets, probe);
		socket = create(sockets, probe);
		if (!socket)
			return errno;
		socket->is_kept = is_kept;
		sockets->n_kept += is_kept;
		socket->address = probe->key.address;
		socket->port = probe->key.port;
	}
	socket->probe = probe;
	probe->own = socket;
	probe->fd = socket->fd;
	return 0;
}

/* The disconnection resets the connection, so that neither side keeps state of it. It is no event of the next
 * probe: when events are read, the kernel looks at the socket's state at that time. */
void berth_tcp_sockets_release(struct berth_tcp_sockets *sockets, struct berth_probe *probe, bool is_good)
{
	const struct sockaddr none = {.sa_family = AF_UNSPEC};
	struct socket *socket = probe->own;
	probe->own = NULL;
	socket->probe = NULL;
	socket->idle_until_us = probe->started_us + UINT64_C(1000) * KEPT_INTERVALS * probe->key.check->interval_ms;
	const bool is_ended = connect(socket->fd, &none, sizeof(none)) == 0;
	if (is_ended && is_good && socket->is_kept)
		add_idle(sockets, socket);
	else
		destroy(sockets, socket);
}

static int error_of(const struct socket *socket)
{
	int error = 0;
	socklen_t length = sizeof(error);
	return getsockopt(socket->fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0 ? errno : error;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct berth_tcp_sockets *sockets = arg;
	for (int turn = 0; turn < TURNS && (turn == 0 || sockets->n == BATCH); turn++) {
		sockets->n = epoll_wait(sockets->epoll, sockets->events, BATCH, 0);
		for (sockets->next = 0; sockets->next < sockets->n;) {
			const struct epoll_event *event = &sockets->events[sockets->next++];
			const struct socket *socket = event->data.ptr;
			if (socket && socket->probe)
				sockets->ready(socket->probe, event->events & EPOLLERR ? error_of(socket) : 0);
		}
	}
	sockets->n = 0;
}

/* --- creation --- */

/* The rest is for probes that run, and for what else needs descriptors. */
static size_t most_kept(void)
{
	struct rlimit files;
	if (getrlimit(RLIMIT_NOFILE, &files))
		return 0;
	const size_t others = 2 * (size_t)berth_probe_slots() + files.rlim_cur / 16;
	const size_t rest = files.rlim_cur > others ? files.rlim_cur - others : 0;
	return rest < MAX_KEPT ? rest : MAX_KEPT;
}

struct berth_tcp_sockets *berth_tcp_sockets_new(struct event_base *base,
						void (*ready)(struct berth_probe *probe, int error))
{
	struct berth_tcp_sockets *sockets = calloc(1, sizeof(*sockets));
	if (!sockets)
		return NULL;
	sockets->ready = ready;
	sockets->max_kept = most_kept();
	TAILQ_INIT(&sockets->idle);
	sockets->epoll = epoll_create1(EPOLL_CLOEXEC);
	sockets->timer = evtimer_new(base, on_timer, sockets);
	sockets->readable = event_new(base, sockets->epoll, EV_READ | EV_PERSIST, on_readable, sockets);
	if (sockets->epoll >= 0 && sockets->timer && sockets->readable && event_add(sockets->readable, NULL) == 0)
		return sockets;
	berth_tcp_sockets_free(sockets);
	return NULL;
}

void berth_tcp_sockets_free(struct berth_tcp_sockets *sockets)
{
	struct socket *next;
	for (struct socket *socket = TAILQ_FIRST(&sockets->idle); socket; socket = next) {
		next = TAILQ_NEXT(socket, in_idle);
		destroy(sockets, socket);
	}
	if (sockets->readable)
		event_free(sockets->readable);
	if (sockets->timer)
		event_free(sockets->timer);
	if (sockets->epoll >= 0)
		close(sockets->epoll);
	free(sockets);
}
