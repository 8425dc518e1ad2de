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

#include "controlplane/health/netns.h"
#include "controlplane/health/state.h"
#include "controlplane/util/address.h"
#include "controlplane/util/frame.h"
#include "dataplane/core/image.h"
#include "dataplane/core/packet.h"

#include "dataplane/core/stages.h"

enum {
	/* Each pending probe has its own source port. They lie above the default of net.ipv4.ip_local_port_range,
	 * so that few packets besides answers to probes pass the filter. */
	FIRST_PORT = 61000,
	LAST_PORT = UINT16_MAX,
	PORTS = LAST_PORT - FIRST_PORT + 1,
	HEADROOM = 128,
	PACKET_BYTES = 65536 + BERTH_ETH_BYTES,
	PACKETS_PER_CALL = 64,
};

struct probe_flow {
	struct berth_tunnel *tunnel;
	const struct berth_probe *probe;
	struct berth_health_next_hop next_hop;
	uint16_t port; /* source port */
};

struct berth_tunnel {
	struct berth_health_next_hops next_hops;
	struct berth_probe_netns netns;
	int sender;		/* packet socket, receives nothing */
	struct event *tun;	/* the TUN device is readable */
	struct event *receiver; /* the receiving packet socket is readable */
	struct probe_flow *flows[PORTS];
	unsigned int last; /* index of the port assigned last */
	uint8_t buffer[HEADROOM + PACKET_BYTES];
};

/* Accepts TCP and UDP to the probes' ports; of fragments only the first. Offsets start at the network header. */
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

/* Returns a packet socket with the filter, or -errno. Protocol 0 until bind: nothing arrives before the filter is
 * attached. */
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

static struct probe_flow *find_flow(const struct berth_tunnel *tunnel, struct berth_be16 port)
{
	uint16_t number = berth_from_be16(port);
	return number < FIRST_PORT ? NULL : tunnel->flows[number - FIRST_PORT];
}

/* Parses the packet in the buffer, with an empty link header in front. */
static bool parse(struct berth_tunnel *tunnel, size_t bytes, struct berth_frame *frame, struct berth_packet *packet)
{
	uint8_t *network = tunnel->buffer + HEADROOM + BERTH_ETH_BYTES;
	struct berth_be16 type = berth_to_be16(network[0] >> 4 == 6 ? BERTH_ETHERTYPE_IP6 : BERTH_ETHERTYPE_IP4);

	*frame = (struct berth_frame){
		.data = network - BERTH_ETH_BYTES, .end = network + bytes, .handle = tunnel->buffer};
	memset(frame->data, 0, BERTH_ETH_BYTES);
	memcpy(network - sizeof(type), &type, sizeof(type));
	return berth_parse(frame, packet, (uint32_t)bytes + BERTH_ETH_BYTES) == BERTH_NO_VERDICT;
}

/* Rewrites a packet from the TUN device as the engines do, and sends it to the next hop. */
static void send_to_backend(struct berth_tunnel *tunnel, size_t bytes)
{
	struct berth_frame frame;
	struct berth_packet packet;
	struct berth_egress egress;

	if (!parse(tunnel, bytes, &frame, &packet))
		return;
	const struct probe_flow *flow = find_flow(tunnel, packet.sport);
	if (!flow || !berth_addr_equal(&packet.dst, &flow->probe->key.address))
		return;
	/* Outer ports and addresses vary by flow; here each probe is a flow. */
	packet.hash = berth_health_random(flow->port + flow->probe->started_us);
	if (berth_emit(&frame, &packet, &flow->next_hop.backend, &egress) != BERTH_NO_VERDICT)
		return;
	const struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_ifindex = (int)flow->next_hop.ifindex};
	sendto(tunnel->sender, frame.data, (size_t)(frame.end - frame.data), 0, (const struct sockaddr *)&to,
	       sizeof(to));
}

static void on_tun(evutil_socket_t fd, short events, void *arg)
{
	(void)events;
	struct berth_tunnel *tunnel = arg;
	struct virtio_net_hdr header;
	struct iovec pieces[] = {
		{&header, sizeof(header)},
		{tunnel->buffer + HEADROOM + BERTH_ETH_BYTES, PACKET_BYTES - BERTH_ETH_BYTES},
	};

	for (int i = 0; i < PACKETS_PER_CALL; i++) {
		ssize_t n = readv(fd, pieces, 2);
		if (n < 0)
			return;
		if (n > (ssize_t)sizeof(header))
			send_to_backend(tunnel, (size_t)n - sizeof(header));
	}
}

/* Writes a received packet to the TUN device if it answers a probe. */
static void deliver_answer(struct berth_tunnel *tunnel, size_t bytes)
{
	/* The checksum may not be filled in yet (veth with offload), so the kernel must not verify it. */
	struct virtio_net_hdr header = {.flags = VIRTIO_NET_HDR_F_DATA_VALID};
	struct berth_frame frame;
	struct berth_packet packet;

	if (!parse(tunnel, bytes, &frame, &packet))
		return;
	const struct probe_flow *flow = find_flow(tunnel, packet.dport);
	if (!flow || !berth_addr_equal(&packet.src, &flow->probe->key.address) ||
	    !berth_addr_equal(&packet.dst, &flow->next_hop.source) ||
	    berth_from_be16(packet.sport) != flow->probe->key.port)
		return;
	struct iovec pieces[] = {{&header, sizeof(header)}, {frame.data + packet.network, packet.length}};
	/* A full queue loses the packet, like any link. */
	if (writev(tunnel->netns.tun_fd, pieces, 2) < 0)
		return;
}

static void on_receiver(evutil_socket_t fd, short events, void *arg)
{
	(void)events;
	struct berth_tunnel *tunnel = arg;

	for (int i = 0; i < PACKETS_PER_CALL; i++) {
		ssize_t n = recv(fd, tunnel->buffer + HEADROOM + BERTH_ETH_BYTES, PACKET_BYTES - BERTH_ETH_BYTES,
				 0);
		if (n < 0)
			return;
		deliver_answer(tunnel, (size_t)n);
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

/* Returns 0 or -errno; berth_tunnel_free closes what was opened. */
static int open_all(struct berth_tunnel *tunnel, struct event_base *base)
{
	int err = berth_probe_netns_open(&tunnel->netns);

	if (err)
		return err;
	tunnel->tun = watch(tunnel, base, tunnel->netns.tun_fd, on_tun);
	tunnel->sender = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (tunnel->sender < 0)
		return -errno;
	int receiver = open_receiver();
	if (receiver < 0)
		return receiver;
	tunnel->receiver = watch(tunnel, base, receiver, on_receiver);
	if (!tunnel->receiver)
		close(receiver);
	return tunnel->tun && tunnel->receiver ? 0 : -ENOMEM;
}

struct berth_tunnel *berth_tunnel_new(struct event_base *base, const struct berth_health_next_hops *next_hops,
				      char reason[BERTH_PROBE_REASON_BYTES])
{
	struct berth_tunnel *tunnel = calloc(1, sizeof(*tunnel));
	int err = -ENOMEM;

	if (tunnel) {
		tunnel->sender = -1;
		tunnel->next_hops = *next_hops;
		err = open_all(tunnel, base);
	}
	if (!err)
		return tunnel;
	snprintf(reason, BERTH_PROBE_REASON_BYTES,
		 "cannot create a network namespace with a TUN device for checks via tunnel: %s", strerror(-err));
	berth_tunnel_free(tunnel);
	return NULL;
}

void berth_tunnel_free(struct berth_tunnel *tunnel)
{
	if (!tunnel)
		return;
	if (tunnel->tun)
		event_free(tunnel->tun);
	if (tunnel->receiver) {
		close(event_get_fd(tunnel->receiver));
		event_free(tunnel->receiver);
	}
	if (tunnel->sender >= 0)
		close(tunnel->sender);
	berth_probe_netns_close(&tunnel->netns);
	free(tunnel);
}

static struct probe_flow *create_flow(struct berth_tunnel *tunnel, const struct berth_probe *probe)
{
	for (unsigned int i = 1; i <= PORTS; i++) {
		unsigned int at = (tunnel->last + i) % PORTS;
		if (tunnel->flows[at])
			continue;
		struct probe_flow *flow = calloc(1, sizeof(*flow));
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

/* Tests by bind(2) if this host has the address. Without a socket it is taken as true. */
static bool is_local(const union berth_addr *address)
{
	struct sockaddr_storage at;
	socklen_t length = berth_address_to_socket(address, 0, &at);
	int fd = socket(at.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool local = fd < 0 || bind(fd, (struct sockaddr *)&at, length) == 0 || errno != EADDRNOTAVAIL;

	if (fd >= 0)
		close(fd);
	return local;
}

enum berth_probe_result berth_tunnel_begin(struct berth_tunnel *tunnel, struct berth_probe *probe)
{
	char text[BERTH_ADDRESS_TEXT];
	struct probe_flow *flow;
	int err;

	berth_address_format(&probe->key.address, text);
	if (!is_local(&probe->key.address)) {
		berth_probe_set_reason(
			probe, "a check via tunnel needs address %s on this host; fix: ip addr add %s dev lo", text,
			text);
		return BERTH_PROBE_HOST_ERROR;
	}
	flow = create_flow(tunnel, probe);
	if (!flow)
		return berth_probe_fail(probe, ENOBUFS);
	probe->flow = flow;
	if (!tunnel->next_hops.find(tunnel->next_hops.arg, probe->key.tunnel_target, &flow->next_hop)) {
		berth_tunnel_end(probe);
		berth_probe_set_reason(probe, "next hop unresolved");
		return BERTH_PROBE_FAILURE;
	}
	err = berth_probe_netns_add_address(&tunnel->netns, &flow->next_hop.source);
	if (!err)
		return BERTH_PROBE_PENDING;
	berth_tunnel_end(probe);
	berth_probe_set_reason(probe, "cannot use this host's address for checks via tunnel: %s", strerror(-err));
	return BERTH_PROBE_HOST_ERROR;
}

void berth_tunnel_end(struct berth_probe *probe)
{
	struct probe_flow *flow = probe->flow;

	if (!flow)
		return;
	/* The reset of the probe's connection is still in the TUN device and must reach the backend. */
	on_tun(flow->tunnel->netns.tun_fd, EV_READ, flow->tunnel);
	flow->tunnel->flows[flow->port - FIRST_PORT] = NULL;
	free(flow);
	probe->flow = NULL;
}

int berth_tunnel_socket(const struct berth_probe *probe, int family, int type, int protocol)
{
	const struct probe_flow *flow = probe->flow;
	struct sockaddr_storage from;
	socklen_t length = berth_address_to_socket(&flow->next_hop.source, flow->port, &from);
	int fd = berth_probe_netns_socket(&flow->tunnel->netns, family, type, protocol);

	if (fd < 0 || bind(fd, (struct sockaddr *)&from, length) == 0)
		return fd;
	int error = errno;
	close(fd);
	errno = error;
	return -1;
}
