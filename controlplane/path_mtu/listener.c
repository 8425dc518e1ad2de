// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/path_mtu/listener.h"

#include <errno.h>
#include <event2/event.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "controlplane/path_mtu/parse.h"

enum {
	PACKET_BYTES = 2048, /* errors have at most 576 bytes (RFC 1812 section 4.3.2.3) or 1280 (RFC 4443) */
	/* Anyone can send errors: of each family at most 64 in 100 ms are read, the kernel drops what its queue
	 * does not hold. One that is lost comes again with the next packet that is too big. */
	PACKETS_PER_CALL = 64,
	PAUSE_MS = 100,
	SOCKETS = 2,
};

struct berth_path_mtu_listener {
	berth_path_mtu_fn *fn;
	void *arg;
	struct listener_socket {
		struct berth_path_mtu_listener *listener;
		struct event *readable;
		struct event *pause;
	} sockets[SOCKETS];
};

/* Offsets start at the IP header. ICMP, no fragment, unreachable, fragmentation needed; quoted: ipip or UDP. */
static const struct sock_filter filter4[] = {
	BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 9),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_ICMP, 0, 10),
	BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 6),
	BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x3fff, 8, 0),
	BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),
	BPF_STMT(BPF_LD | BPF_H | BPF_IND, 0),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x0304, 0, 5),
	BPF_STMT(BPF_LD | BPF_B | BPF_IND, 8 + 9),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_IPIP, 2, 0),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_IPV6, 1, 0),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_UDP, 0, 1),
	BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	BPF_STMT(BPF_RET | BPF_K, 0),
};

static const struct sock_filter filter6[] = {
	BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 6),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_ICMPV6, 0, 7),
	BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 40),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 2, 0, 5),
	BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 48 + 6),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_IPIP, 2, 0),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_IPV6, 1, 0),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_UDP, 0, 1),
	BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	BPF_STMT(BPF_RET | BPF_K, 0),
};

static void on_pause_end(evutil_socket_t fd, short events, void *arg)
{
	(void)fd;
	(void)events;
	event_add(((struct listener_socket *)arg)->readable, NULL);
}

static void on_readable(evutil_socket_t fd, short events, void *arg)
{
	(void)events;
	const struct timeval pause = {.tv_usec = PAUSE_MS * 1000};
	const struct listener_socket *socket = arg;
	const struct berth_path_mtu_listener *listener = socket->listener;
	uint8_t packet[PACKET_BYTES];
	for (int i = 0; i < PACKETS_PER_CALL; i++) {
		struct berth_too_big report;
		ssize_t n = recv(fd, packet, sizeof(packet), MSG_TRUNC);
		if (n < 0)
			break;
		if (n <= (ssize_t)sizeof(packet) && berth_path_mtu_parse(packet, (size_t)n, &report))
			listener->fn(listener->arg, &report);
	}
	event_add(socket->pause, &pause);
}

/* Protocol 0 until bind: nothing arrives before the filter is attached. 0 or -errno. */
static int attach(int fd, uint16_t protocol, const struct sock_fprog *program)
{
	const struct sockaddr_ll all = {.sll_family = AF_PACKET, .sll_protocol = htons(protocol)};
	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, program, sizeof(*program)) ||
	    bind(fd, (const struct sockaddr *)&all, sizeof(all)))
		return -errno;
	return 0;
}

/* 0 or -errno. What was opened is closed by berth_path_mtu_listener_free. */
static int open_socket(struct berth_path_mtu_listener *listener, struct listener_socket *socket_,
		       struct event_base *base, uint16_t protocol, const struct sock_fprog *program)
{
	int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	int err = attach(fd, protocol, program);
	socket_->listener = listener;
	socket_->readable = err ? NULL : event_new(base, fd, EV_READ, on_readable, socket_);
	if (!socket_->readable) {
		close(fd);
		return err ? err : -ENOMEM;
	}
	socket_->pause = evtimer_new(base, on_pause_end, socket_);
	return socket_->pause && event_add(socket_->readable, NULL) == 0 ? 0 : -ENOMEM;
}

struct berth_path_mtu_listener *berth_path_mtu_listen(struct event_base *base, berth_path_mtu_fn *fn, void *arg,
						      char error[BERTH_ERROR_BYTES])
{
	const struct sock_fprog program4 = {sizeof(filter4) / sizeof(filter4[0]), (struct sock_filter *)filter4};
	const struct sock_fprog program6 = {sizeof(filter6) / sizeof(filter6[0]), (struct sock_filter *)filter6};
	struct berth_path_mtu_listener *listener = calloc(1, sizeof(*listener));
	int err = -ENOMEM;
	if (listener) {
		listener->fn = fn;
		listener->arg = arg;
		err = open_socket(listener, &listener->sockets[0], base, ETH_P_IP, &program4);
	}
	if (!err)
		err = open_socket(listener, &listener->sockets[1], base, ETH_P_IPV6, &program6);
	if (!err)
		return listener;
	snprintf(error, BERTH_ERROR_BYTES, "cannot open a packet socket: %s", strerror(-err));
	berth_path_mtu_listener_free(listener);
	return NULL;
}

void berth_path_mtu_listener_free(struct berth_path_mtu_listener *listener)
{
	for (int i = 0; listener && i < SOCKETS; i++) {
		struct listener_socket *socket = &listener->sockets[i];
		if (socket->readable) {
			close(event_get_fd(socket->readable));
			event_free(socket->readable);
		}
		if (socket->pause)
			event_free(socket->pause);
	}
	free(listener);
}
