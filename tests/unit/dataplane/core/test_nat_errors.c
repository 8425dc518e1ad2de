// SPDX-License-Identifier: BSD-3-Clause
/* nat.h: ICMP errors about packets in mode nat, and fragments. */
#include "tests/unit/dataplane/core/nat.h"

/* An ICMP error about the packet with a quote of this many bytes. */
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

/* A partly quoted TCP checksum in `expected` stays as in `before`. */
static void keep_half_a_checksum(struct fixture_frame *expected, const uint8_t *before, uint32_t header)
{
	uint8_t *ip = expected->frame.data + expected->network, *icmp = expected->frame.data + expected->transport;
	uint32_t at = expected->transport + 8 + header + 16;
	if (at + 1 != expected->network + wire_length(ip))
		return;
	expected->frame.data[at] = before[at];
	wire_set_checksum(ip, icmp, ip[0] >> 4 == 4 ? BERTH_PROTO_ICMP : BERTH_PROTO_ICMP6);
}

/* With each quote length that a router can use. */
static void errors_to_a_backend_are_rewritten_like_its_packets(void **state)
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

static void errors_to_a_client_are_rewritten_like_its_packets(void **state)
{
	(void)state;
	open_flows();
	for (uint32_t i = 0; i < WAYS * 60 * 2; i++) {
		uint32_t way = i % WAYS, port = 9, header = is6(way) ? 40 : 20;
		uint16_t bytes = (uint16_t)(header + 8 + i / WAYS / 2);
		bool by_backend = i / WAYS % 2;
		struct fixture_packet got = inside(&ways[way]), sent = ways[way].to;
		struct fixture_frame frame, expected;
		uint8_t before[FIXTURE_ROOM];
		/* The address of a router on the path to the backend stays. */
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

/* Quoted options and extension headers; quoted UDP without a checksum. */
static void quoted_headers_can_be_long_and_without_checksum(void **state)
{
	(void)state;
	open_flows();
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
		assert_true(wire_checksums_valid(ip, icmp, protocol));
		assert_true(wire_checksums_valid(inner, l4, one.protocol));
		assert_int_equal(wire_read16(l4), other.sport);
		assert_int_equal(wire_read16(l4 + 2), other.dport);
		if (one.protocol == BERTH_PROTO_UDP)
			assert_int_equal(wire_read16(l4 + 6) == 0, plain);
	}
}

static void an_error_about_an_unknown_packet_passes_to_the_kernel(void **state)
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

/* Builds the first or second fragment of the transport packet at `l4`, with these ends. */
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

/* The reassembled datagram has a valid checksum; payload is never taken for ports. */
static void rewritten_fragments_give_a_valid_datagram(void **state)
{
	(void)state;
	open_flows();
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
				assert_int_equal(verdict, is_first ? BERTH_VERDICT_FLOW : BERTH_VERDICT_FRAGMENT);
			hop(&expected_piece, back ? route_macs(way) : backend_macs(way));
			check_leaves(&piece, &expected_piece);
		}
	}
}

/* A later fragment without its first one passes, as of no flow. */
static void fragments_return_behind_their_first_one(void **state)
{
	(void)state;
	open_flows();
	for (uint32_t i = 0; i < WAYS; i++) {
		struct fixture_packet back = wire_reply(inside(&ways[i]));
		struct fixture_frame whole, piece;
		uint8_t before[FIXTURE_ROOM];
		uint32_t port;
		back.payload = 61;
		wire_build(&whole, &back);
		for (uint32_t turn = 0; turn < 3; turn++) {
			build_fragment(&piece, &back, whole.frame.data + whole.transport,
				       whole.bytes - whole.transport, turn == 1);
			assert_int_equal(forward(&piece, before, &port), turn ? RETURNED : BERTH_VERDICT_NO_FLOW);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(errors_to_a_backend_are_rewritten_like_its_packets),
		TEST(errors_to_a_client_are_rewritten_like_its_packets),
		TEST(quoted_headers_can_be_long_and_without_checksum),
		TEST(an_error_about_an_unknown_packet_passes_to_the_kernel),
		TEST(rewritten_fragments_give_a_valid_datagram),
		TEST(fragments_return_behind_their_first_one),
	};
	return cmocka_run_group_tests_name("nat_errors", tests, NULL, NULL);
}
