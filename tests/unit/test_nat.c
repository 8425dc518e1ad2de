// SPDX-License-Identifier: BSD-3-Clause
/* nat.h, emit.h: mode nat, both ways. What leaves is compared with the same packet built for its new ends,
 * checksums computed anew. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/wire.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define RETURNED BERTH_VERDICT_RETURNED
#define RETURNED_PASS BERTH_VERDICT_RETURNED_PASS

/* A service, one backend of it, and a client's packet. Backends have the numbers of their services. */
struct way {
	struct fixture_packet to; /* from the client to the service */
	const char *backend;
	uint16_t port; /* that it listens on; 0: the one asked for, of a service with a range */
};

static const struct way ways[] = {
	{{.src = "198.51.100.7", .dst = "203.0.113.10", .sport = 1025, .dport = 80, .protocol = 6},
	 "192.0.2.1",
	 8080},
	{{.src = "198.51.100.7", .dst = "203.0.113.20", .sport = 1026, .dport = 5353, .protocol = 17},
	 "192.0.2.2",
	 0},
	{{.src = "2001:db8:2::7", .dst = "2001:db8:1::10", .sport = 1025, .dport = 80, .protocol = 17},
	 "2001:db8:3::1",
	 8080},
	{{.src = "2001:db8:2::7", .dst = "2001:db8:1::20", .sport = 1026, .dport = 5353, .protocol = 6},
	 "2001:db8:3::2",
	 0},
};

enum {
	WAYS = COUNT(ways),
};

static struct berth_image image;

static bool is6(uint32_t way)
{
	return way >= 2;
}

static void add_route(uint32_t at, const char *prefix, uint8_t bits, enum berth_route_kind kind)
{
	image.globals[1].route[at] = (struct berth_route){
		.prefix = fixture_addr(prefix),
		.bits = (uint8_t)(strchr(prefix, ':') ? bits : bits + 96),
		.kind = (uint8_t)kind,
		.port = 1,
		.dst_mac = {2, 0, 0, 0, 3, (uint8_t)at},
		.src_mac = {2, 0, 0, 0, 1, 1},
		.mtu = 1400,
	};
}

static void add_way(uint32_t number, const struct way *way)
{
	const struct fixture_packet *to = &way->to;
	const uint16_t backends[] = {(uint16_t)number};
	struct berth_service *service;
	if (way->port) {
		service = fixture_service(&image, number, to->dst, to->protocol, to->dport, BERTH_AFFINITY_FLOW);
		service->port = berth_to_be16(to->dport);
		fixture_slot(&image, (struct berth_vip){.addr = fixture_addr(way->backend),
							.port = berth_to_be16(way->port),
							.protocol = to->protocol,
							.kind = BERTH_VIP_RETURN,
							.service = number});
	} else {
		service = fixture_service(&image, number, to->dst, to->protocol, 0, BERTH_AFFINITY_FLOW);
		fixture_vip_kind(&image, BERTH_VIP_RETURN_RANGE, way->backend, to->protocol, 0, UINT16_MAX, number);
	}
	service->address = fixture_addr(to->dst);
	fixture_vip_kind(&image, BERTH_VIP_RETURN_ADDRESS, way->backend, 0, 0, 0, number);
	fixture_backend(&image, number, number, BERTH_MODE_NAT, way->backend)->dport = berth_to_be16(way->port);
	fixture_rows(&image, number, backends, 1);
}

static int set_up(void **state)
{
	(void)state;
	fixture_new(&image, &fixture_geometry);
	for (uint32_t i = 0; i < WAYS; i++)
		add_way(i + 1, &ways[i]);
	image.globals[1].has_returns = 1;
	add_route(0, "2001:db8:2::", 48, BERTH_ROUTE_HOP);
	add_route(1, "198.51.100.0", 24, BERTH_ROUTE_HOP);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	fixture_free(&image);
	return 0;
}

/* The ends of a packet as they are on the backend's side: after berth on the way there, before it on the way back.
 */
static struct fixture_packet inside(const struct way *way)
{
	struct fixture_packet packet = way->to;
	packet.dst = way->backend;
	packet.dport = way->port ? way->port : packet.dport;
	return packet;
}

/* Sends a frame; what it was like before is in `before`. */
static enum berth_verdict forward(struct fixture_frame *frame, uint8_t *before, uint32_t *port)
{
	struct berth_view view = fixture_view(&image, FIXTURE_NOW);
	memcpy(before, frame->frame.data, frame->bytes);
	return berth_forward(&view, &frame->frame, frame->bytes, port);
}

/* What a packet's next hop makes of it: 12 bytes of link addresses, TTL. */
static void hop(struct fixture_frame *frame, const uint8_t *macs)
{
	uint8_t *ip = frame->frame.data + frame->network;
	memcpy(frame->frame.data, macs, 12);
	if (ip[0] >> 4 == 6) {
		ip[7]--;
		return;
	}
	ip[8]--;
	fixture_put16(ip + 10, 0);
	fixture_put16(ip + 10, fixture_checksum(ip, (ip[0] & 15u) * 4));
}

static void check_leaves(const struct fixture_frame *frame, const struct fixture_frame *expected)
{
	assert_int_equal(frame->frame.end - frame->frame.data, expected->bytes);
	assert_memory_equal(frame->frame.data, expected->frame.data, expected->bytes);
}

static const uint8_t *backend_macs(uint32_t way)
{
	return fixture_backend_at(&image, way + 1)->dst_mac;
}

static const uint8_t *route_macs(uint32_t way)
{
	return image.globals[1].route[is6(way) ? 0 : 1].dst_mac;
}

/* The same ends and another shape: tags, options, extension headers, lengths. */
static void shape(struct fixture_packet *packet, uint32_t i)
{
	static const uint8_t ext[] = {BERTH_PROTO_HOP_BY_HOP, BERTH_PROTO_DEST_OPTIONS, FIXTURE_EXT_END};
	packet->tags = (uint8_t)(i % 3);
	packet->options = (uint8_t)(i % 11);
	packet->tcp_options = (uint8_t)(i % 5);
	packet->ext = i % 2 ? ext : NULL;
	packet->payload = (uint16_t)(i * 7 % 200); /* odd ones, too */
	packet->tcp_flags = BERTH_TCP_ACK;
	packet->trailer = (uint16_t)(i % 4);
	packet->traffic_class = (uint8_t)i;
}

static void the_destination_becomes_the_backends(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < WAYS * 100; i++) {
		uint32_t way = i % WAYS, port = 9;
		struct fixture_packet to = ways[way].to, there = inside(&ways[way]);
		struct fixture_frame frame, expected;
		uint8_t before[FIXTURE_ROOM];
		shape(&to, i / WAYS);
		shape(&there, i / WAYS);
		wire_build(&frame, &to);
		wire_build(&expected, &there);
		hop(&expected, backend_macs(way));
		assert_int_equal(BERTH_VERDICT_CLASS(forward(&frame, before, &port)), BERTH_CLASS_FORWARD);
		assert_int_equal(port, 0);
		check_leaves(&frame, &expected);
	}
}

static void what_a_backend_answers_comes_from_the_service(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < WAYS * 100; i++) {
		uint32_t way = i % WAYS, port = 9;
		struct fixture_packet back = wire_reply(inside(&ways[way])), out = wire_reply(ways[way].to);
		struct fixture_frame frame, expected;
		uint8_t before[FIXTURE_ROOM];
		shape(&back, i / WAYS);
		shape(&out, i / WAYS);
		wire_build(&frame, &back);
		wire_build(&expected, &out);
		hop(&expected, route_macs(way));
		assert_int_equal(forward(&frame, before, &port), RETURNED);
		assert_int_equal(port, 1);
		check_leaves(&frame, &expected);
	}
}

/* Nothing but the configuration says where it goes: another berth, or this one after a restart, does the same. */
static void returns_need_no_flow_and_leave_none(void **state)
{
	(void)state;
	struct berth_bucket none[16] = {0};
	for (uint32_t way = 0; way < WAYS; way++) {
		struct fixture_packet back = wire_reply(inside(&ways[way]));
		struct fixture_frame frame;
		uint8_t before[FIXTURE_ROOM];
		uint32_t port;
		back.tcp_flags = BERTH_TCP_SYN | BERTH_TCP_ACK;
		wire_build(&frame, &back);
		assert_int_equal(forward(&frame, before, &port), RETURNED);
	}
	assert_memory_equal(image.flows, none, sizeof(none));
	assert_memory_equal(image.sessions, none, sizeof(none));
	for (uint32_t i = 0; i < image.geometry.services + image.geometry.backends; i++)
		assert_int_equal(image.tallies[image.geometry.services + image.geometry.backends + i].packets, 0);
}

/* Each sum that data may have: never 0, which in UDP means that there is none (RFC 768). */
static void a_udp_checksum_is_right_for_every_sum_and_never_0(void **state)
{
	(void)state;
	for (uint32_t is_v6 = 0; is_v6 < 2; is_v6++) {
		struct fixture_packet to = ways[is_v6 ? 2 : 1].to;
		uint32_t ones = 0;
		to.payload = 2;
		for (uint32_t word = 0; word <= 0xffff; word++) {
			struct fixture_frame frame;
			uint8_t before[FIXTURE_ROOM];
			uint32_t port;
			fixture_build(&frame, &to);
			uint8_t *ip = frame.frame.data + frame.network, *udp = frame.frame.data + frame.transport;
			fixture_put16(udp + 8, word);
			wire_set_checksum(ip, udp, BERTH_PROTO_UDP);
			forward(&frame, before, &port);
			assert_int_not_equal(wire_read16(udp + 6), 0);
			assert_true(wire_is_right(ip, udp, BERTH_PROTO_UDP));
			ones += wire_read16(udp + 6) == 0xffff;
		}
		assert_in_range(ones, 1, 2); /* where it would have been 0 */
	}
}

static void without_a_udp_checksum_there_is_none_afterwards(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 4; i++) {
		uint32_t way = i % 2 ? 2 : 1, port;
		struct fixture_packet packet = i / 2 ? wire_reply(inside(&ways[way])) : ways[way].to;
		struct fixture_frame frame;
		uint8_t before[FIXTURE_ROOM];
		packet.payload = 9;
		fixture_build(&frame, &packet);
		const uint8_t *udp = frame.frame.data + frame.transport;
		assert_int_equal(BERTH_VERDICT_CLASS(forward(&frame, before, &port)), BERTH_CLASS_FORWARD);
		assert_int_equal(wire_read16(udp + 6), 0);
		assert_memory_not_equal(frame.frame.data + frame.network, before + frame.network, 40);
	}
}

/* The receiver finds out, not we. */
static void a_wrong_checksum_stays_as_wrong_as_it_was(void **state)
{
	(void)state;
	for (uint32_t way = 0; way < WAYS; way++) {
		struct fixture_packet to = ways[way].to;
		struct fixture_frame frame;
		uint8_t before[FIXTURE_ROOM];
		uint32_t port;
		to.payload = 33;
		wire_build(&frame, &to);
		uint8_t *ip = frame.frame.data + frame.network, *l4 = frame.frame.data + frame.transport;
		uint32_t bytes = frame.bytes - frame.transport;
		l4[wire_checksum_at(to.protocol)] ^= 0x40;
		uint16_t wrong = wire_checksum(ip, l4, bytes, to.protocol);
		forward(&frame, before, &port);
		assert_int_not_equal(wrong, 0);
		assert_int_equal(wire_checksum(ip, l4, bytes, to.protocol), wrong);
	}
}

struct reach {
	const char *client;
	enum berth_verdict verdict;
	uint32_t route; /* RETURNED: by which */
};

/* Longest first, as they are published. */
static void the_longest_route_to_the_client_is_taken(void **state)
{
	(void)state;
	static const struct reach reaches[] = {
		{"198.51.100.7", RETURNED, 4},	    {"198.51.100.8", RETURNED_PASS, 0},
		{"198.51.100.127", RETURNED, 7},    {"198.51.100.128", RETURNED_PASS, 0},
		{"198.51.101.1", RETURNED, 9},	    {"203.0.113.77", RETURNED, 9},
		{"2001:db8:2::7", RETURNED, 0},	    {"2001:db8:2::8", RETURNED_PASS, 0},
		{"2001:db8:2:1::", RETURNED, 2},    {"2001:db8:3::1", RETURNED_PASS, 0},
		{"2001:db8:2:ffff::", RETURNED, 2},
	};
	memset(image.globals[1].route, 0, sizeof(image.globals[1].route));
	add_route(0, "2001:db8:2::7", 128, BERTH_ROUTE_HOP);
	add_route(1, "2001:db8:2::", 64, BERTH_ROUTE_KERNEL);
	add_route(2, "2001:db8:2::", 48, BERTH_ROUTE_HOP);
	add_route(3, "2001:db8::", 32, BERTH_ROUTE_KERNEL);
	add_route(4, "198.51.100.7", 32, BERTH_ROUTE_HOP);
	add_route(5, "198.51.100.8", 32, BERTH_ROUTE_KERNEL);
	add_route(6, "198.51.100.128", 25, BERTH_ROUTE_KERNEL);
	add_route(7, "198.51.100.0", 24, BERTH_ROUTE_HOP);
	add_route(8, "198.51.100.0", 23, BERTH_ROUTE_KERNEL);
	add_route(9, "0.0.0.0", 0, BERTH_ROUTE_HOP);
	image.globals[1].route[8] = image.globals[1].route[9];
	image.globals[1].route[8].dst_mac[5] = 9;
	for (size_t i = 0; i < COUNT(reaches); i++) {
		struct fixture_packet back = wire_reply(inside(&ways[strchr(reaches[i].client, ':') ? 2 : 0]));
		struct fixture_frame frame;
		uint8_t before[FIXTURE_ROOM];
		uint32_t port = 9;
		back.dst = reaches[i].client;
		wire_build(&frame, &back);
		enum berth_verdict verdict = forward(&frame, before, &port);
		if (verdict != reaches[i].verdict)
			fail_msg("%s: %s", back.dst, fixture_verdict_name(verdict));
		if (verdict == RETURNED)
			assert_int_equal(frame.frame.data[5], reaches[i].route);
	}
}

/* It routes the packet as if it were its own: link addresses, TTL and size are its to judge. */
static void the_kernel_gets_what_has_no_route_rewritten(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < WAYS * 2; i++) {
		uint32_t way = i % WAYS, port;
		struct fixture_packet back = wire_reply(inside(&ways[way])), out = wire_reply(ways[way].to);
		struct fixture_frame frame, expected;
		uint8_t before[FIXTURE_ROOM];
		back.payload = 1440;
		out.payload = 1440;
		memset(image.globals[1].route, 0, sizeof(image.globals[1].route));
		if (i / WAYS)
			add_route(0, is6(way) ? "2001:db8:2::" : "198.51.100.0", is6(way) ? 64 : 24,
				  BERTH_ROUTE_KERNEL);
		wire_build(&frame, &back);
		wire_build(&expected, &out);
		assert_int_equal(forward(&frame, before, &port), RETURNED_PASS);
		check_leaves(&frame, &expected);
	}
}

static void the_longest_return_is_the_routes_mtu(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < WAYS * 2; i++) {
		uint32_t way = i % WAYS, port;
		struct fixture_packet back = wire_reply(inside(&ways[way]));
		uint32_t headers = (is6(way) ? 40 : 20) + fixture_transport_bytes(&back);
		struct fixture_frame frame;
		uint8_t before[FIXTURE_ROOM];
		back.payload = (uint16_t)(1400 - headers + i / WAYS);
		wire_build(&frame, &back);
		assert_int_equal(forward(&frame, before, &port),
				 i / WAYS ? BERTH_VERDICT_ANSWERED_TOO_BIG : RETURNED);
		if (!(i / WAYS))
			continue;
		/* The backend is told, by the service, how large it may be, about the packet that it sent. */
		uint8_t expected[FIXTURE_ROOM];
		union berth_addr service = fixture_addr(ways[way].to.dst);
		uint32_t bytes = wire_answer(expected, before, frame.network, UINT32_MAX, &service, 1400);
		assert_int_equal(frame.frame.end - frame.frame.data, bytes);
		assert_memory_equal(frame.frame.data, expected, bytes);
	}
}

static void a_return_on_its_last_hop_expires_in_silence(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < WAYS * 3; i++) {
		uint32_t way = i % WAYS, ttl = i / WAYS, port;
		struct fixture_packet back = wire_reply(inside(&ways[way]));
		struct fixture_frame frame;
		uint8_t before[FIXTURE_ROOM];
		wire_build(&frame, &back);
		frame.frame.data[frame.network + (is6(way) ? 7 : 8)] = (uint8_t)ttl;
		assert_int_equal(forward(&frame, before, &port), ttl < 2 ? BERTH_VERDICT_EXPIRED : RETURNED);
		if (ttl < 2)
			assert_memory_equal(frame.frame.data, before, frame.bytes);
	}
}

/* What a backend does beside its service is the kernel's, and unchanged. */
static void what_is_no_answer_of_the_service_is_left_alone(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 2; i++) {
		struct fixture_packet back = wire_reply(inside(&ways[i ? 2 : 0]));
		struct fixture_frame frame;
		uint8_t before[FIXTURE_ROOM];
		uint32_t port;
		back.sport = 22;
		wire_build(&frame, &back);
		assert_int_equal(forward(&frame, before, &port), BERTH_VERDICT_NO_SERVICE);
		assert_memory_equal(frame.frame.data, before, frame.bytes);
	}
}

/* An error of that family about the packet, quoting so much of it. */
static struct wire_error error_about(const struct fixture_packet *quoted, const char *from, uint16_t bytes)
{
	bool v6 = strchr(quoted->dst, ':') != NULL;
	struct wire_error error = {
		.outer = {.src = from, .dst = quoted->src},
		.quoted = *quoted,
		.type = v6 ? BERTH_ICMP6_PACKET_TOO_BIG : BERTH_ICMP_UNREACHABLE,
		.code = v6 ? 0 : BERTH_ICMP_FRAGMENTATION_NEEDED,
		.rest = 1300,
		.bytes = bytes,
	};
	return error;
}

/* What `expected` quotes of a TCP checksum that is not all there stays as it was in `before`. */
static void keep_half_a_checksum(struct fixture_frame *expected, const uint8_t *before, uint32_t header)
{
	uint8_t *ip = expected->frame.data + expected->network, *icmp = expected->frame.data + expected->transport;
	uint32_t at = expected->transport + 8 + header + 16;
	if (at + 1 != expected->network + wire_length(ip))
		return;
	expected->frame.data[at] = before[at];
	wire_set_checksum(ip, icmp, ip[0] >> 4 == 4 ? BERTH_PROTO_ICMP : BERTH_PROTO_ICMP6);
}

/* With each number of bytes that a router may quote, from the least on. */
static void errors_on_the_way_to_a_backend_are_about_what_it_sent(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < WAYS * 60; i++) {
		uint32_t way = i % WAYS, port = 9, header = is6(way) ? 40 : 20;
		uint16_t bytes = (uint16_t)(header + 8 + i / WAYS);
		struct fixture_packet seen = wire_reply(ways[way].to), sent = wire_reply(inside(&ways[way]));
		struct fixture_frame frame, expected;
		uint8_t before[FIXTURE_ROOM];
		const char *router = is6(way) ? "2001:db8:f::1" : "198.18.0.1";
		seen.payload = 31;
		sent.payload = 31;
		struct wire_error from = error_about(&seen, router, bytes), to = error_about(&sent, router, bytes);
		from.outer.trailer = to.outer.trailer = 5; /* padding is no checksum */
		wire_build_error(&frame, &from);
		wire_build_error(&expected, &to);
		assert_int_equal(forward(&frame, before, &port), BERTH_VERDICT_ICMP_ERROR);
		keep_half_a_checksum(&expected, before, header);
		hop(&expected, backend_macs(way));
		check_leaves(&frame, &expected);
	}
}

static void errors_on_the_way_to_a_client_are_about_what_it_sent(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < WAYS * 60 * 2; i++) {
		uint32_t way = i % WAYS, port = 9, header = is6(way) ? 40 : 20;
		uint16_t bytes = (uint16_t)(header + 8 + i / WAYS / 2);
		bool by_backend = i / WAYS % 2;
		struct fixture_packet got = inside(&ways[way]), sent = ways[way].to;
		struct fixture_frame frame, expected;
		uint8_t before[FIXTURE_ROOM];
		/* A router on the way to the backend keeps its own address. */
		const char *router = is6(way) ? "2001:db8:f::1" : "198.18.0.1";
		got.payload = 31;
		sent.payload = 31;
		struct wire_error from = error_about(&got, by_backend ? ways[way].backend : router, bytes);
		struct wire_error to = error_about(&sent, by_backend ? ways[way].to.dst : router, bytes);
		from.outer.trailer = to.outer.trailer = 5; /* padding is no checksum */
		wire_build_error(&frame, &from);
		wire_build_error(&expected, &to);
		assert_int_equal(forward(&frame, before, &port), RETURNED);
		assert_int_equal(port, 1);
		keep_half_a_checksum(&expected, before, header);
		hop(&expected, route_macs(way));
		check_leaves(&frame, &expected);
	}
}

/* Options and extension headers inside; UDP without a checksum inside. */
static void the_headers_inside_an_error_may_be_long_and_without_checksum(void **state)
{
	(void)state;
	static const uint8_t ext[] = {BERTH_PROTO_DEST_OPTIONS, BERTH_PROTO_ROUTING, FIXTURE_EXT_END};
	for (uint32_t i = 0; i < WAYS * 4; i++) {
		uint32_t way = i % WAYS, port;
		bool back = i / WAYS % 2, plain = i / WAYS / 2;
		struct fixture_packet one = back ? inside(&ways[way]) : wire_reply(ways[way].to);
		struct fixture_packet other = back ? ways[way].to : wire_reply(inside(&ways[way]));
		struct fixture_frame frame;
		uint8_t before[FIXTURE_ROOM];
		one.options = other.options = 7;
		one.ext = other.ext = ext;
		one.payload = other.payload = 20;
		struct wire_error from = error_about(&one, is6(way) ? "2001:db8:f::1" : "198.18.0.1", 0);
		from.outer.options = 3;
		from.outer.ext = ext;
		wire_build_error(&frame, &from);
		uint8_t *ip = frame.frame.data + frame.network, *icmp = frame.frame.data + frame.transport;
		uint8_t *inner = icmp + 8, *l4 = inner + (is6(way) ? 56 : 48);
		uint8_t protocol = is6(way) ? BERTH_PROTO_ICMP6 : BERTH_PROTO_ICMP;
		if (one.protocol == BERTH_PROTO_UDP && plain) {
			fixture_put16(l4 + 6, 0);
			wire_set_checksum(ip, icmp, protocol);
		}
		assert_int_equal(BERTH_VERDICT_CLASS(forward(&frame, before, &port)), BERTH_CLASS_FORWARD);
		assert_true(wire_is_right(ip, icmp, protocol));
		assert_true(wire_is_right(inner, l4, one.protocol));
		assert_int_equal(wire_read16(l4), other.sport);
		assert_int_equal(wire_read16(l4 + 2), other.dport);
		if (one.protocol == BERTH_PROTO_UDP)
			assert_int_equal(wire_read16(l4 + 6) == 0, plain);
	}
}

static void an_error_about_nobodys_packet_is_the_kernels(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < WAYS; i++) {
		struct fixture_packet got = inside(&ways[i]);
		struct fixture_frame frame;
		uint8_t before[FIXTURE_ROOM];
		uint32_t port;
		if (ways[i].port)
			got.dport++;
		else
			got.dst = is6(i) ? "2001:db8:3::9" : "192.0.2.9";
		struct wire_error error = error_about(&got, is6(i) ? "2001:db8:f::1" : "198.18.0.1", 0);
		wire_build_error(&frame, &error);
		assert_int_equal(forward(&frame, before, &port), BERTH_VERDICT_NO_SERVICE);
		assert_memory_equal(frame.frame.data, before, frame.bytes);
	}
}

enum {
	PIECE = 24, /* bytes of the first fragment of a datagram */
};

/* Builds the first or second fragment of what stands at `l4` of a whole packet with these ends. */
static void build_fragment(struct fixture_frame *to, const struct fixture_packet *packet, const uint8_t *l4,
			   uint32_t bytes, bool is_first)
{
	static const uint8_t ext[] = {BERTH_PROTO_FRAGMENT, FIXTURE_EXT_END};
	struct fixture_packet piece = *packet;
	bool v6 = strchr(packet->dst, ':') != NULL;
	piece.protocol = 99;
	piece.payload = (uint16_t)(is_first ? PIECE : bytes - PIECE);
	piece.fragment = is_first ? 0x2000 : PIECE / 8;
	piece.ext = ext;
	piece.ext_fragment = is_first ? 1 : PIECE;
	fixture_build(to, &piece);
	uint8_t *ip = to->frame.data + to->network;
	ip[v6 ? 40 : 9] = packet->protocol;
	if (!v6) {
		fixture_put16(ip + 10, 0);
		fixture_put16(ip + 10, fixture_checksum(ip, 20));
	}
	memcpy(to->frame.data + to->transport, l4 + (is_first ? 0 : PIECE), piece.payload);
}

/* Whoever puts the datagram together again finds its checksum right; payload is never taken for ports. */
static void fragments_are_rewritten_so_that_the_whole_is_right(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < WAYS * 2; i++) {
		uint32_t way = i % WAYS, port;
		bool back = i / WAYS;
		struct fixture_packet one = back ? wire_reply(inside(&ways[way])) : ways[way].to;
		struct fixture_packet other = back ? wire_reply(ways[way].to) : inside(&ways[way]);
		struct fixture_frame whole, expected, piece, expected_piece;
		uint8_t before[FIXTURE_ROOM];
		one.payload = other.payload = 61;
		wire_build(&whole, &one);
		wire_build(&expected, &other);
		uint32_t bytes = whole.bytes - whole.transport;
		for (uint32_t is_first = 1; is_first <= 1; is_first--) {
			build_fragment(&piece, &one, whole.frame.data + whole.transport, bytes, is_first);
			build_fragment(&expected_piece, &other, expected.frame.data + expected.transport, bytes,
				       is_first);
			enum berth_verdict verdict = forward(&piece, before, &port);
			if (back)
				assert_int_equal(verdict, RETURNED);
			else
				assert_int_equal(verdict,
						 is_first ? BERTH_VERDICT_SELECTED : BERTH_VERDICT_FRAGMENT);
			hop(&expected_piece, back ? route_macs(way) : backend_macs(way));
			check_leaves(&piece, &expected_piece);
		}
	}
}

/* The way back has no state, fragments or not: a later one is known by its address. */
static void fragments_return_in_any_order(void **state)
{
	(void)state;
	struct berth_bucket none[16] = {0};
	for (uint32_t i = 0; i < WAYS; i++) {
		struct fixture_packet back = wire_reply(inside(&ways[i]));
		struct fixture_frame whole, piece;
		uint8_t before[FIXTURE_ROOM];
		uint32_t port;
		back.payload = 61;
		wire_build(&whole, &back);
		for (uint32_t is_first = 0; is_first < 2; is_first++) {
			build_fragment(&piece, &back, whole.frame.data + whole.transport,
				       whole.bytes - whole.transport, is_first);
			assert_int_equal(forward(&piece, before, &port), RETURNED);
		}
	}
	assert_memory_equal(image.flows, none, sizeof(none));
}

/* One that is also a client of its own service: the way there and the way back of one packet. */
static void a_backend_may_be_a_client(void **state)
{
	(void)state;
	struct fixture_packet to = ways[0].to;
	struct fixture_frame frame;
	uint8_t before[FIXTURE_ROOM];
	uint32_t port;
	to.src = ways[1].backend;
	wire_build(&frame, &to);
	assert_int_equal(forward(&frame, before, &port), BERTH_VERDICT_SELECTED);
	const uint8_t *ip = frame.frame.data + frame.network;
	union berth_addr backend = fixture_addr(ways[0].backend);
	assert_memory_equal(ip + 16, &backend.byte[12], 4);
	assert_true(wire_is_right(ip, ip + 20, BERTH_PROTO_TCP));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_destination_becomes_the_backends),
		TEST(what_a_backend_answers_comes_from_the_service),
		TEST(returns_need_no_flow_and_leave_none),
		TEST(a_udp_checksum_is_right_for_every_sum_and_never_0),
		TEST(without_a_udp_checksum_there_is_none_afterwards),
		TEST(a_wrong_checksum_stays_as_wrong_as_it_was),
		TEST(the_longest_route_to_the_client_is_taken),
		TEST(the_kernel_gets_what_has_no_route_rewritten),
		TEST(the_longest_return_is_the_routes_mtu),
		TEST(a_return_on_its_last_hop_expires_in_silence),
		TEST(what_is_no_answer_of_the_service_is_left_alone),
		TEST(errors_on_the_way_to_a_backend_are_about_what_it_sent),
		TEST(errors_on_the_way_to_a_client_are_about_what_it_sent),
		TEST(the_headers_inside_an_error_may_be_long_and_without_checksum),
		TEST(an_error_about_nobodys_packet_is_the_kernels),
		TEST(fragments_are_rewritten_so_that_the_whole_is_right),
		TEST(fragments_return_in_any_order),
		TEST(a_backend_may_be_a_client),
	};
	return cmocka_run_group_tests_name("nat", tests, NULL, NULL);
}
