// SPDX-License-Identifier: BSD-3-Clause
#include "tests/golden/golden.h"

static const struct golden_group *const groups[] = {
	&golden_link,	 &golden_ip4,	      &golden_ip6,	&golden_transport, &golden_icmp,    &golden_errors,
	&golden_errors6, &golden_errors_back, &golden_fragment, &golden_fragment6, &golden_address, &golden_service,
	&golden_size,	 &golden_hop,	      &golden_state,	&golden_gue,	   &golden_nat,	    &golden_returns,
	&golden_answer,	 &golden_protocol,    &golden_limits,
};

enum {
	GROUPS = sizeof(groups) / sizeof(groups[0]),
	ANY_PORT = 5353, /* destination port of clients of a service on any port */
	CLIENT_PORT = 1025,
	SET = sizeof(((struct golden_case *)NULL)->set) / sizeof(struct golden_edit),
	EDITS = sizeof(((struct golden_case *)NULL)->edit) / sizeof(struct golden_edit),
};

uint32_t golden_count(void)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < GROUPS; i++)
		n += groups[i]->n;
	return n;
}

const struct golden_case *golden_at(uint32_t i, const char **group)
{
	uint32_t at = 0;
	while (i >= groups[at]->n)
		i -= groups[at++]->n;
	if (group)
		*group = groups[at]->name;
	return &groups[at]->cases[i];
}

/* Fills in the fields that a case leaves 0. */
static void complete(struct fixture_packet *packet, const char *src, const char *dst, uint16_t sport,
		     uint16_t dport, uint8_t protocol)
{
	packet->src = packet->src ? packet->src : src;
	packet->dst = packet->dst ? packet->dst : dst;
	packet->sport = packet->sport ? packet->sport : sport;
	packet->dport = packet->dport ? packet->dport : dport;
	packet->protocol = packet->protocol ? packet->protocol : protocol;
}

/* Both ends of a case's flow. `dst` is the service's address, or the backend's. */
struct ends {
	const char *client;
	const char *service;
	const char *backend;
	uint16_t port;
	uint16_t backend_port;
};

static struct ends ends_of(const struct golden_case *c)
{
	static char backend[INET6_ADDRSTRLEN];
	const struct world_shape *shape = &world_shapes[c->service];
	struct ends ends = {
		.client = world_is6(shape) ? "2001:db8:2::7" : "198.51.100.7",
		.service = shape->address,
		.backend = backend,
		.port = shape->port ? shape->port : ANY_PORT,
	};
	ends.backend_port = shape->dport ? shape->dport : ends.port;
	world_backend_address(backend, world_backend(c->service, 0), world_is6(shape) ? 6 : 4);
	return ends;
}

/* A packet from a client to the service. */
static void complete_asked(struct fixture_packet *packet, const struct golden_case *c)
{
	const struct ends ends = ends_of(c);
	const char *client = ends.client;
	if (packet->dst && !packet->src)
		client = strchr(packet->dst, ':') ? "2001:db8:2::7" : "198.51.100.7";
	complete(packet, client, ends.service, CLIENT_PORT, ends.port, world_shapes[c->service].protocol);
}

/* A packet from the service's backend to the client; in mode nat from the backend's own address. */
static void complete_answered(struct fixture_packet *packet, const struct golden_case *c)
{
	const struct ends ends = ends_of(c);
	complete(packet, ends.backend, ends.client, ends.backend_port, CLIENT_PORT,
		 world_shapes[c->service].protocol);
}

/* The packet inside an ICMP error. */
static struct fixture_packet quoted_of(const struct golden_case *c)
{
	const struct ends ends = ends_of(c);
	const uint8_t protocol = world_shapes[c->service].protocol;
	struct fixture_packet inner = c->error.inner;
	if (c->from_backend)
		complete(&inner, ends.client, ends.backend, CLIENT_PORT, ends.backend_port, protocol);
	else
		complete(&inner, ends.service, ends.client, ends.port, CLIENT_PORT, protocol);
	return inner;
}

/* Sets the checksums. The packet ends before the trailer. */
static void sum_up(uint8_t *ip, uint32_t bytes)
{
	const struct golden_parts parts = golden_parts_of(ip, bytes);
	uint32_t at;
	if (!parts.is6) {
		fixture_put16(ip + 10, 0);
		fixture_put16(ip + 10, fixture_checksum(ip, parts.transport));
	}
	bool has_one = parts.protocol == BERTH_PROTO_TCP || parts.protocol == BERTH_PROTO_UDP ||
		       parts.protocol == (parts.is6 ? BERTH_PROTO_ICMP6 : BERTH_PROTO_ICMP);
	if (parts.is_later_fragment || !has_one || parts.transport > bytes)
		return;
	uint32_t sum = golden_checksum(ip, bytes, &parts, &at);
	if (at + 2 > bytes)
		return;
	/* In UDP 0 means no checksum (RFC 768). */
	fixture_put16(ip + at, sum == 0 && parts.protocol == BERTH_PROTO_UDP ? 0xffff : sum);
}

static void apply(struct fixture_frame *to, const struct golden_edit *edits, uint32_t n)
{
	uint32_t base[] = {0, to->network, to->transport, to->transport + BERTH_ICMP_BYTES, 0};
	const uint8_t *quoted = to->frame.data + base[GOLDEN_QUOTED];
	if (base[GOLDEN_QUOTED] < to->bytes)
		base[GOLDEN_QUOTED_TRANSPORT] = base[GOLDEN_QUOTED] +
						golden_parts_of(quoted, to->bytes - base[GOLDEN_QUOTED]).transport;
	for (uint32_t i = 0; i < n && edits[i].bytes; i++) {
		uint8_t *at = to->frame.data + base[edits[i].base] + edits[i].at;
		if (edits[i].bytes == 1)
			*at = (uint8_t)edits[i].value;
		else
			fixture_put16(at, edits[i].value);
	}
}

static void build_error(struct fixture_frame *to, const struct golden_case *c)
{
	static struct fixture_frame quoted;
	const struct fixture_packet inner = quoted_of(c);
	const struct ends ends = ends_of(c);
	const bool is6 = world_is6(&world_shapes[c->service]);
	struct fixture_packet packet = c->packet;
	fixture_build(&quoted, &inner);
	uint8_t *ip = quoted.frame.data + quoted.network;
	uint32_t bytes = quoted.bytes - quoted.network;
	sum_up(ip, bytes);
	if (c->error.quoted && c->error.quoted < bytes)
		bytes = c->error.quoted;
	complete(&packet, is6 ? "2001:db8:9::1" : "192.0.2.250", c->from_backend ? ends.client : ends.service, 0, 0,
		 is6 ? BERTH_PROTO_ICMP6 : BERTH_PROTO_ICMP);
	packet.payload = (uint16_t)(BERTH_ICMP_BYTES + bytes);
	fixture_build(to, &packet);
	uint8_t *icmp = to->frame.data + to->transport;
	icmp[0] = c->error.type;
	icmp[1] = c->error.code;
	memset(icmp + 2, 0, 4);
	fixture_put16(icmp + 6, c->error.rest);
	memcpy(icmp + BERTH_ICMP_BYTES, ip, bytes);
}

void golden_build(struct fixture_frame *to, const struct golden_case *c)
{
	struct fixture_packet packet = c->packet;
	if (c->error.type) {
		build_error(to, c);
	} else {
		if (c->from_backend)
			complete_answered(&packet, c);
		else
			complete_asked(&packet, c);
		fixture_build(to, &packet);
	}
	apply(to, c->set, SET);
	sum_up(to->frame.data + to->network, to->bytes - to->network - packet.trailer);
	apply(to, c->edit, EDITS);
	if (c->cut) {
		to->bytes = c->cut;
		to->frame.end = to->frame.data + c->cut;
	}
}

/* The text of the address at `at`. */
static const char *text_of(const uint8_t *at, bool is6, char text[INET6_ADDRSTRLEN])
{
	return inet_ntop(is6 ? AF_INET6 : AF_INET, at, text, INET6_ADDRSTRLEN);
}

void golden_build_opening(struct fixture_frame *to, const struct golden_case *c, const struct fixture_frame *frame)
{
	static char client[INET6_ADDRSTRLEN];
	const struct world_shape *shape = &world_shapes[c->service];
	const uint8_t *ip = frame->frame.data + frame->network;
	bool is6 = world_is6(shape);
	struct fixture_packet packet = {.protocol = shape->protocol};
	packet.tcp_flags = packet.protocol == BERTH_PROTO_TCP ? BERTH_TCP_SYN : 0;
	packet.src = text_of(ip + (is6 ? 24 : 16), is6, client);
	struct golden_parts parts = golden_parts_of(ip, frame->bytes - frame->network);
	bool has_ports = !parts.is_later_fragment && parts.transport + 4 <= frame->bytes - frame->network;
	const uint8_t *ports = ip + parts.transport; /* the backend's, the client's */
	uint32_t backend_at = 0;
	if (c->error.type) {
		/* About a packet of the client: the client's, the backend's. */
		ip += parts.transport + BERTH_ICMP_BYTES;
		packet.src = text_of(ip + (is6 ? 8 : 12), is6, client);
		parts = golden_parts_of(ip, frame->bytes - (uint32_t)(ip - frame->frame.data));
		ports = ip + parts.transport;
		backend_at = 2;
	}
	const struct ends ends = ends_of(c);
	uint16_t backend_port = ends.backend_port;
	packet.sport = CLIENT_PORT;
	if (has_ports) {
		backend_port = (uint16_t)(ports[backend_at] << 8 | ports[backend_at + 1]);
		packet.sport = (uint16_t)(ports[2 - backend_at] << 8 | ports[3 - backend_at]);
	}
	packet.dport = backend_port == ends.backend_port ? ends.port : backend_port;
	packet.dst = shape->address;
	fixture_build(to, &packet);
	sum_up(to->frame.data + to->network, to->bytes - to->network);
}

bool golden_build_first(struct fixture_frame *to, const struct golden_case *c, const struct fixture_frame *frame)
{
	const uint8_t *ip = frame->frame.data + frame->network;
	struct fixture_packet packet = c->packet;
	if (c->error.type || !golden_parts_of(ip, frame->bytes - frame->network).is_later_fragment)
		return false;
	complete_answered(&packet, c);
	packet.protocol = world_shapes[c->service].protocol;
	packet.fragment = 0x2000;
	packet.ext_fragment = 1;
	packet.payload = packet.protocol == BERTH_PROTO_TCP ? 60 : 64;
	packet.trailer = 0;
	fixture_build(to, &packet);
	sum_up(to->frame.data + to->network, to->bytes - to->network);
	return true;
}

bool golden_build_before(struct fixture_frame *to, const struct golden_case *c, uint32_t i)
{
	const struct golden_before *before = &c->before[i];
	if (i >= 3 || !before->kind)
		return false;
	struct fixture_packet packet = {0};
	/* Before an error about the client's flow, the client's packet came. */
	if (!c->error.type && !c->from_backend)
		packet = c->packet;
	complete_asked(&packet, c);
	bool is_first = before->kind == GOLDEN_FIRST_FRAGMENT || before->kind == GOLDEN_OTHER_DATAGRAM;
	packet.tcp_flags = before->tcp_flags;
	packet.sport = (uint16_t)(packet.sport + before->other_port);
	packet.fragment = is_first ? 0x2000 : 0;
	packet.ext_fragment = is_first ? 1 : 0;
	packet.payload = is_first ? (packet.protocol == BERTH_PROTO_TCP ? 60 : 64) : 0;
	if (before->kind == GOLDEN_DATA)
		packet.payload = 9;
	packet.trailer = 0;
	fixture_build(to, &packet);
	uint8_t *ip = to->frame.data + to->network;
	/* The last bytes of the identification. */
	if (before->kind == GOLDEN_OTHER_DATAGRAM)
		ip[ip[0] >> 4 == 4 ? 5 : 47] ^= 1;
	sum_up(ip, to->bytes - to->network);
	return true;
}
