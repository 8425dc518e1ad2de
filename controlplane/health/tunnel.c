/* SPDX-License-Identifier: BSD-3-Clause */
#include "controlplane/health/tunnel.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "controlplane/health/room.h"
#include "controlplane/health/state.h"
#include "controlplane/util/address.h"
#include "dataplane/core/image.h"
#include "dataplane/core/packet.h"

/* A frame's handle is the first byte of its buffer. */
static inline bool berth_frame_push(struct berth_frame *frame, uint32_t bytes)
{
	if (frame->data - (uint8_t *)frame->handle < (ptrdiff_t)bytes)
		return false;
	frame->data -= bytes;
	return true;
}

static inline __attribute__((unused)) bool berth_frame_trim(struct berth_frame *frame, uint32_t bytes)
{
	if (frame->end - frame->data < (ptrdiff_t)bytes)
		return false;
	frame->end = frame->data + bytes;
	return true;
}

#include "dataplane/core/stages.h"

enum {
	/* Probes' source ports, one for each that is under way: above those that this host's kernel gives to its
	 * own connections unless told otherwise (net.ipv4.ip_local_port_range), so that few packets but answers to
	 * probes have one as their destination. */
	FIRST_PORT = 61000,
	LAST_PORT = UINT16_MAX,
	PORTS = LAST_PORT - FIRST_PORT + 1,
	HEADROOM = 128,
	PACKET_BYTES = 65536 + BERTH_ETH_BYTES,
	PACKETS_A_TURN = 64,
};

struct flow {
	struct berth_tunnel *tunnel;
	const struct berth_probe *probe;
	struct berth_health_way way;
	uint16_t port;
};

struct berth_tunnel {
	struct berth_health_ways ways;
	struct berth_room room;
	int sender;	       /* a packet socket that receives nothing */
	struct event *leaving; /* readable: the TUN device */
	struct event *coming;  /* a packet socket */
	struct flow *flows[PORTS];
	unsigned int last; /* index of the last port given */
	uint8_t buffer[HEADROOM + PACKET_BYTES];
};

/* TCP and UDP to a probe's port, seen from the network header on; of fragments the first only. */
static const struct sock_filter filter[] = {
	BPF_STMT(BPF_LD | BPF_H | BPF_ABS, (__u32)(SKF_AD_OFF + SKF_AD_PROTOCOL)),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETHERTYPE_IPV6, 8, 0),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETHERTYPE_IP, 0, 15),
	BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 9),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_TCP, 1, 0),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_UDP, 0, 12),
	BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 6),
	BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x1fff, 10, 0),
	BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),
	BPF_JUMP(BPF_JMP | BPF_JA, 4, 0, 0),
	BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 6),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_TCP, 1, 0),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_UDP, 0, 5),
	BPF_STMT(BPF_LDX | BPF_IMM, 40),
	BPF_STMT(BPF_LD | BPF_H | BPF_IND, 2),
	BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, FIRST_PORT, 0, 2),
	BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	BPF_STMT(BPF_RET | BPF_K, 0),
	BPF_STMT(BPF_RET | BPF_K, 0),
};

/* -errno, or a socket that receives what the filter lets through, from the network header on. It receives nothing
 * before the filter is there. */
static int open_receiver(void)
{
	const struct sock_fprog program = {sizeof(filter) / sizeof(filter[0]), (struct sock_filter *)filter};
	const struct sockaddr_ll all = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	const int yes = 1;
	int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) ||
	    setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &yes, sizeof(yes)) ||
	    bind(fd, (const struct sockaddr *)&all, sizeof(all))) {
		int err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

static struct flow *flow_of(const struct berth_tunnel *tunnel, struct berth_be16 port)
{
	uint16_t number = berth_from_be16(port);
	return number < FIRST_PORT ? NULL : tunnel->flows[number - FIRST_PORT];
}

/* The packet in the buffer as a frame, parsed: behind a link header that nobody reads. */
static bool parse(struct berth_tunnel *tunnel, size_t bytes, struct berth_frame *frame, struct berth_packet *packet)
{
	uint8_t *network = tunnel->buffer + HEADROOM + BERTH_ETH_BYTES;
	struct berth_be16 type = berth_to_be16(network[0] >> 4 == 6 ? BERTH_ETHERTYPE_IP6 : BERTH_ETHERTYPE_IP4);

	*frame = (struct berth_frame){network - BERTH_ETH_BYTES, network + bytes, tunnel->buffer};
	memset(frame->data, 0, BERTH_ETH_BYTES);
	memcpy(network - sizeof(type), &type, sizeof(type));
	return berth_parse(frame, packet, (uint32_t)bytes + BERTH_ETH_BYTES) == BERTH_NO_VERDICT;
}

/* A packet of the kernel's in the room, rewritten as the engines do, and sent as they do. */
static void send_out(struct berth_tunnel *tunnel, size_t bytes)
{
	struct berth_frame frame;
	struct berth_packet packet;
	struct berth_egress way;

	if (!parse(tunnel, bytes, &frame, &packet))
		return;
	const struct flow *flow = flow_of(tunnel, packet.sport);
	if (!flow || !berth_addr_equal(&packet.dst, &flow->probe->key.address))
		return;
	/* Where the outer header varies by flow it varies by probe, too. */
	packet.hash = berth_health_random(flow->port + flow->probe->started_us);
	if (berth_emit(&frame, &packet, &flow->way.backend, &way) != BERTH_NO_VERDICT)
		return;
	const struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_ifindex = (int)flow->way.ifindex};
	sendto(tunnel->sender, frame.data, (size_t)(frame.end - frame.data), 0, (const struct sockaddr *)&to,
	       sizeof(to));
}

static void on_leaving(evutil_socket_t fd, short events, void *arg)
{
	(void)events;
	struct berth_tunnel *tunnel = arg;
	struct virtio_net_hdr header;
	struct iovec pieces[] = {
		{&header, sizeof(header)},
		{tunnel->buffer + HEADROOM + BERTH_ETH_BYTES, PACKET_BYTES - BERTH_ETH_BYTES},
	};

	for (int i = 0; i < PACKETS_A_TURN; i++) {
		ssize_t n = readv(fd, pieces, 2);
		if (n < 0)
			return;
		if (n > (ssize_t)sizeof(header))
			send_out(tunnel, (size_t)n - sizeof(header));
	}
}

/* What came in to a probe's port, if it is the probe's answer. */
static void carry_in(struct berth_tunnel *tunnel, size_t bytes)
{
	/* The sender's checksum may not be there yet (a veth cable's), and was looked at where it is. */
	struct virtio_net_hdr header = {.flags = VIRTIO_NET_HDR_F_DATA_VALID};
	struct berth_frame frame;
	struct berth_packet packet;

	if (!parse(tunnel, bytes, &frame, &packet))
		return;
	const struct flow *flow = flow_of(tunnel, packet.dport);
	if (!flow || !berth_addr_equal(&packet.src, &flow->probe->key.address) ||
	    !berth_addr_equal(&packet.dst, &flow->way.source) ||
	    berth_from_be16(packet.sport) != flow->probe->key.port)
		return;
	struct iovec pieces[] = {{&header, sizeof(header)}, {frame.data + packet.network, packet.length}};
	/* Lost like any packet, if there is no room. */
	if (writev(tunnel->room.tun, pieces, 2) < 0)
		return;
}

static void on_coming(evutil_socket_t fd, short events, void *arg)
{
	(void)events;
	struct berth_tunnel *tunnel = arg;

	for (int i = 0; i < PACKETS_A_TURN; i++) {
		ssize_t n = recv(fd, tunnel->buffer + HEADROOM + BERTH_ETH_BYTES, PACKET_BYTES - BERTH_ETH_BYTES,
				 0);
		if (n < 0)
			return;
		carry_in(tunnel, (size_t)n);
	}
}

static struct event *watch(struct berth_tunnel *tunnel, struct event_base *base, int fd, event_callback_fn fn)
{
	struct event *event = event_new(base, fd, EV_READ | EV_PERSIST, fn, tunnel);

	if (event && event_add(event, NULL)) {
		event_free(event);
		return NULL;
	}
	return event;
}

/* 0 or -errno. What was opened, berth_tunnel_free closes. */
static int open_all(struct berth_tunnel *tunnel, struct event_base *base)
{
	int err = berth_room_open(&tunnel->room);

	if (err)
		return err;
	tunnel->leaving = watch(tunnel, base, tunnel->room.tun, on_leaving);
	tunnel->sender = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (tunnel->sender < 0)
		return -errno;
	int receiver = open_receiver();
	if (receiver < 0)
		return receiver;
	tunnel->coming = watch(tunnel, base, receiver, on_coming);
	if (!tunnel->coming)
		close(receiver);
	return tunnel->leaving && tunnel->coming ? 0 : -ENOMEM;
}

struct berth_tunnel *berth_tunnel_new(struct event_base *base, const struct berth_health_ways *ways,
				      char why[BERTH_PROBE_WHY_BYTES])
{
	struct berth_tunnel *tunnel = calloc(1, sizeof(*tunnel));
	int err = -ENOMEM;

	if (tunnel) {
		tunnel->sender = -1;
		tunnel->ways = *ways;
		err = open_all(tunnel, base);
	}
	if (!err)
		return tunnel;
	snprintf(why, BERTH_PROBE_WHY_BYTES, "no namespace with a TUN device for probes via tunnel: %s",
		 strerror(-err));
	berth_tunnel_free(tunnel);
	return NULL;
}

void berth_tunnel_free(struct berth_tunnel *tunnel)
{
	if (!tunnel)
		return;
	if (tunnel->leaving)
		event_free(tunnel->leaving);
	if (tunnel->coming) {
		close(event_get_fd(tunnel->coming));
		event_free(tunnel->coming);
	}
	if (tunnel->sender >= 0)
		close(tunnel->sender);
	berth_room_close(&tunnel->room);
	free(tunnel);
}

static struct flow *flow_new(struct berth_tunnel *tunnel, const struct berth_probe *probe)
{
	for (unsigned int i = 1; i <= PORTS; i++) {
		unsigned int at = (tunnel->last + i) % PORTS;
		if (tunnel->flows[at])
			continue;
		struct flow *flow = calloc(1, sizeof(*flow));
		if (!flow)
			return NULL;
		flow->tunnel = tunnel;
		flow->probe = probe;
		flow->port = (uint16_t)(FIRST_PORT + at);
		tunnel->flows[at] = flow;
		tunnel->last = at;
		return flow;
	}
	return NULL;
}

/* Whether this host has an address. */
static bool is_own(const union berth_addr *address)
{
	struct sockaddr_storage at;
	socklen_t length = berth_address_to_socket(address, 0, &at);
	int fd = socket(at.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool own = fd < 0 || bind(fd, (struct sockaddr *)&at, length) == 0 || errno != EADDRNOTAVAIL;

	if (fd >= 0)
		close(fd);
	return own;
}

enum berth_probe_result berth_tunnel_begin(struct berth_tunnel *tunnel, struct berth_probe *probe)
{
	char text[BERTH_ADDRESS_TEXT];
	struct flow *flow;
	int err;

	berth_address_format(&probe->key.address, text);
	if (!is_own(&probe->key.address)) {
		berth_probe_say(probe, "a check via tunnel needs %s on berth's host: ip addr add %s dev lo", text,
				text);
		return BERTH_PROBE_UNSURE;
	}
	flow = flow_new(tunnel, probe);
	if (!flow)
		return berth_probe_error(probe, ENOBUFS);
	probe->flow = flow;
	if (!tunnel->ways.find(tunnel->ways.arg, probe->key.way, &flow->way)) {
		berth_tunnel_end(probe);
		berth_probe_say(probe, "the next hop to it is not known");
		return BERTH_PROBE_FAILURE;
	}
	err = berth_room_add(&tunnel->room, &flow->way.source);
	if (!err)
		return BERTH_PROBE_UNDER_WAY;
	berth_tunnel_end(probe);
	berth_probe_say(probe, "this host's address for probes via tunnel cannot be used: %s", strerror(-err));
	return BERTH_PROBE_UNSURE;
}

void berth_tunnel_end(struct berth_probe *probe)
{
	struct flow *flow = probe->flow;

	if (!flow)
		return;
	/* Its last word, the reset of its connection, is to reach the backend. */
	on_leaving(flow->tunnel->room.tun, EV_READ, flow->tunnel);
	flow->tunnel->flows[flow->port - FIRST_PORT] = NULL;
	free(flow);
	probe->flow = NULL;
}

int berth_tunnel_socket(const struct berth_probe *probe, int family, int type, int protocol)
{
	const struct flow *flow = probe->flow;
	struct sockaddr_storage from;
	socklen_t length = berth_address_to_socket(&flow->way.source, flow->port, &from);
	int fd = berth_room_socket(&flow->tunnel->room, family, type, protocol);

	if (fd < 0 || bind(fd, (struct sockaddr *)&from, length) == 0)
		return fd;
	int error = errno;
	close(fd);
	errno = error;
	return -1;
}
