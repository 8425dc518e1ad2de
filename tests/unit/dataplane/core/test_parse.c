// SPDX-License-Identifier: BSD-3-Clause
/* parse.h: parses bytes to a packet or a verdict; reads no byte outside the frame. */
#include "tests/unit/dataplane/core/parse.h"

static void every_field_of_a_valid_packet_is_filled(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(valid); i++) {
		for (uint8_t tags = 0; tags <= 2; tags++) {
			struct fixture_packet from = valid[i];
			struct fixture_frame frame;
			struct berth_packet packet;
			from.tags = tags;
			from.trailer = i % 2 ? 11 : 0;
			fixture_build(&frame, &from);
			assert_int_equal(parse_at_edge(frame.frame.data, frame.bytes, &packet), BERTH_NO_VERDICT);
			union berth_addr src = fixture_addr(from.src), dst = fixture_addr(from.dst);
			assert_memory_equal(&packet.src, &src, 16);
			assert_memory_equal(&packet.dst, &dst, 16);
			assert_int_equal(berth_from_be16(packet.sport), from.sport);
			assert_int_equal(berth_from_be16(packet.dport), from.dport);
			assert_int_equal(packet.network, 14 + 4 * tags);
			assert_int_equal(packet.transport, frame.transport);
			assert_int_equal(packet.length, frame.bytes - frame.network - from.trailer);
			assert_int_equal(packet.bytes, frame.bytes);
			assert_int_equal(packet.protocol, from.protocol);
			assert_int_equal(packet.tcp_flags, from.tcp_flags);
			assert_int_equal(packet.traffic_class, from.traffic_class);
			assert_int_equal(packet.is6, strchr(from.dst, ':') != NULL);
			assert_int_equal(packet.traits & ~BERTH_HAS_PAYLOAD, 0);
			assert_int_equal(packet.service, 0);
			assert_int_equal(packet.backend, 0);
		}
	}
}

/* The frame is truncated; its headers have the full length. */
static void every_truncation_is_bad_and_reads_no_byte_outside_the_frame(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(valid); i++) {
		for (uint8_t tags = 0; tags <= 2; tags++) {
			struct fixture_packet from = valid[i];
			struct fixture_frame frame;
			struct berth_packet packet;
			from.tags = tags;
			fixture_build(&frame, &from);
			bool is6 = strchr(from.dst, ':') != NULL;
			for (uint32_t bytes = 0; bytes < frame.bytes; bytes++) {
				enum berth_verdict expected = bytes < frame.network ? BERTH_VERDICT_BAD_FRAME
							      : is6		    ? BERTH_VERDICT_BAD_IP6
										    : BERTH_VERDICT_BAD_IP4;
				check_verdict("cut", parse_at_edge(frame.frame.data, bytes, &packet), expected);
			}
		}
	}
}

/* The frame is truncated, and so is the length in its IP header. */
static void every_truncation_of_the_transport_header_is_bad(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(valid); i++) {
		struct fixture_packet from = valid[i];
		struct fixture_frame frame;
		struct berth_packet packet;
		from.payload = 0;
		fixture_build(&frame, &from);
		uint8_t *data = frame.frame.data;
		bool is6 = strchr(from.dst, ':') != NULL;
		bool tcp = from.protocol == BERTH_PROTO_TCP;
		for (uint32_t l4 = 0; frame.transport + l4 < frame.bytes; l4++) {
			fixture_put16(data + frame.network + (is6 ? 4 : 2), is6 ? l4 : 20 + l4);
			check_verdict("header cut", parse_at_edge(data, frame.transport + l4, &packet),
				      tcp ? BERTH_VERDICT_BAD_TCP : BERTH_VERDICT_BAD_UDP);
			/* The same if the frame continues with padding. */
			check_verdict("header short", parse_at_edge(data, frame.bytes, &packet),
				      tcp ? BERTH_VERDICT_BAD_TCP : BERTH_VERDICT_BAD_UDP);
		}
	}
}

/* The rest of the frame is in another buffer: only contiguous bytes can be read. */
static void a_header_that_continues_in_another_buffer_is_bad(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(valid); i++) {
		struct fixture_frame frame;
		struct berth_packet packet;
		fixture_build(&frame, &valid[i]);
		uint32_t headers = frame.transport + fixture_transport_bytes(&valid[i]);
		for (uint32_t there = 0; there <= frame.bytes; there++) {
			enum berth_verdict verdict = parse_piece(frame.frame.data, there, frame.bytes, &packet);
			assert_int_equal(verdict == BERTH_NO_VERDICT, there >= headers);
		}
	}
}

struct fault {
	const char *name;
	struct fixture_packet packet;
	uint32_t at; /* offset from the IP header, or from the transport header */
	bool in_transport;
	uint8_t bytes; /* number of bytes */
	uint16_t value;
	enum berth_verdict verdict;
};

#define TCP4 .packet = {.src = CLIENT4, .dst = VIP4, .sport = 9, .dport = 80, .protocol = 6, .payload = 20}
#define UDP4 .packet = {.src = CLIENT4, .dst = VIP4, .sport = 9, .dport = 80, .protocol = 17, .payload = 20}
#define TCP6 .packet = {.src = CLIENT6, .dst = VIP6, .sport = 9, .dport = 80, .protocol = 6, .payload = 20}
#define UDP6 .packet = {.src = CLIENT6, .dst = VIP6, .sport = 9, .dport = 80, .protocol = 17, .payload = 20}

/* The IPv4 packet is of 20 + 20 + 20 bytes with TCP, 20 + 8 + 20 with UDP. */
static const struct fault faults[] = {
	{"version 5 in IPv4", TCP4, 0, false, 1, 0x55, BERTH_VERDICT_BAD_IP4},
	{"version 6 in IPv4", TCP4, 0, false, 1, 0x65, BERTH_VERDICT_BAD_IP4},
	{"version 0 in IPv4", TCP4, 0, false, 1, 0x05, BERTH_VERDICT_BAD_IP4},
	{"IHL 0", TCP4, 0, false, 1, 0x40, BERTH_VERDICT_BAD_IP4},
	{"IHL 4", TCP4, 0, false, 1, 0x44, BERTH_VERDICT_BAD_IP4},
	{"IHL past the packet", UDP4, 0, false, 1, 0x4d, BERTH_VERDICT_BAD_IP4},
	{"IHL to the packet's end", UDP4, 0, false, 1, 0x4c, BERTH_VERDICT_BAD_UDP},
	{"total length 0", TCP4, 2, false, 2, 0, BERTH_VERDICT_BAD_IP4},
	{"total length under the header", TCP4, 2, false, 2, 19, BERTH_VERDICT_BAD_IP4},
	{"total length of the header alone", TCP4, 2, false, 2, 20, BERTH_VERDICT_BAD_TCP},
	{"total length over the frame by one", TCP4, 2, false, 2, 61, BERTH_VERDICT_BAD_IP4},
	{"total length 65535", TCP4, 2, false, 2, 65535, BERTH_VERDICT_BAD_IP4},
	{"total length under the frame", TCP4, 2, false, 2, 41, BERTH_NO_VERDICT},
	{"total length cuts the TCP header", TCP4, 2, false, 2, 39, BERTH_VERDICT_BAD_TCP},
	{"total length cuts the UDP data", UDP4, 2, false, 2, 47, BERTH_VERDICT_BAD_UDP},
	{"wrong header checksum", TCP4, 10, false, 2, 0, BERTH_NO_VERDICT},
	{"TTL 0", TCP4, 8, false, 1, 0, BERTH_NO_VERDICT},
	{"protocol 0", TCP4, 9, false, 1, 0, BERTH_VERDICT_NOT_TCP_UDP},
	{"protocol ICMP", TCP4, 9, false, 1, 1, BERTH_VERDICT_NOT_TCP_UDP},
	{"protocol 44, which in IPv4 is no fragment", TCP4, 9, false, 1, 44, BERTH_VERDICT_NOT_TCP_UDP},
	{"protocol 255", TCP4, 9, false, 1, 255, BERTH_VERDICT_NOT_TCP_UDP},
	{"do not fragment", TCP4, 6, false, 2, 0x4000, BERTH_NO_VERDICT},
	{"reserved flag", TCP4, 6, false, 2, 0x8000, BERTH_NO_VERDICT},
	{"data offset 0", TCP4, 12, true, 1, 0x00, BERTH_VERDICT_BAD_TCP},
	{"data offset 4", TCP4, 12, true, 1, 0x40, BERTH_VERDICT_BAD_TCP},
	{"data offset to the end", TCP4, 12, true, 1, 0xa0, BERTH_NO_VERDICT},
	{"data offset past the end", TCP4, 12, true, 1, 0xb0, BERTH_VERDICT_BAD_TCP},
	{"UDP length 0", UDP4, 4, true, 2, 0, BERTH_VERDICT_BAD_UDP},
	{"UDP length 7", UDP4, 4, true, 2, 7, BERTH_VERDICT_BAD_UDP},
	{"UDP length 8", UDP4, 4, true, 2, 8, BERTH_NO_VERDICT},
	{"UDP length past the packet", UDP4, 4, true, 2, 29, BERTH_VERDICT_BAD_UDP},
	{"UDP checksum 0", UDP4, 6, true, 2, 0, BERTH_NO_VERDICT},
	{"version 4 in IPv6", TCP6, 0, false, 1, 0x40, BERTH_VERDICT_BAD_IP6},
	{"version 7 in IPv6", TCP6, 0, false, 1, 0x70, BERTH_VERDICT_BAD_IP6},
	{"payload 0", TCP6, 4, false, 2, 0, BERTH_VERDICT_BAD_TCP},
	{"payload over the frame by one", TCP6, 4, false, 2, 41, BERTH_VERDICT_BAD_IP6},
	{"payload 65535", TCP6, 4, false, 2, 65535, BERTH_VERDICT_BAD_IP6},
	{"payload cuts the TCP header", TCP6, 4, false, 2, 19, BERTH_VERDICT_BAD_TCP},
	{"payload under the frame", TCP6, 4, false, 2, 20, BERTH_NO_VERDICT},
	{"no next header", TCP6, 6, false, 1, 59, BERTH_VERDICT_NOT_TCP_UDP},
	{"ICMPv6", TCP6, 6, false, 1, 58, BERTH_VERDICT_NOT_TCP_UDP},
	{"ICMP, which in IPv6 is nothing", TCP6, 6, false, 1, 1, BERTH_VERDICT_NOT_TCP_UDP},
	{"ESP", TCP6, 6, false, 1, 50, BERTH_VERDICT_NOT_TCP_UDP},
	{"IPv6 data offset 4", TCP6, 12, true, 1, 0x40, BERTH_VERDICT_BAD_TCP},
	{"IPv6 UDP length 7", UDP6, 4, true, 2, 7, BERTH_VERDICT_BAD_UDP},
	{"IPv6 UDP length past the packet", UDP6, 4, true, 2, 29, BERTH_VERDICT_BAD_UDP},
	{"IPv6 UDP checksum 0", UDP6, 6, true, 2, 0, BERTH_NO_VERDICT},
};

static void invalid_lengths_and_versions_are_bad_and_unusual_fields_are_not(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(faults); i++) {
		const struct fault *fault = &faults[i];
		struct fixture_frame frame;
		struct berth_packet packet;
		fixture_build(&frame, &fault->packet);
		uint8_t *at = frame.frame.data + fault->at +
			      (fault->in_transport ? frame.transport : frame.network);
		if (fault->bytes == 1)
			*at = (uint8_t)fault->value;
		else
			fixture_put16(at, fault->value);
		check_verdict(fault->name, parse_at_edge(frame.frame.data, frame.bytes, &packet), fault->verdict);
	}
}

/* CVE-2023-1668 (OVS): protocol 0 matched too much. Every number but two is no transport protocol. */
static void only_tcp_and_udp_are_parsed_as_transport(void **state)
{
	(void)state;
	struct fixture_frame frame;
	struct berth_packet packet;
	fixture_build(&frame, &valid[0]);
	for (uint32_t protocol = 0; protocol < 256; protocol++) {
		frame.frame.data[frame.network + 9] = (uint8_t)protocol;
		enum berth_verdict verdict = parse_at_edge(frame.frame.data, frame.bytes, &packet);
		if (protocol != BERTH_PROTO_TCP && protocol != BERTH_PROTO_UDP)
			check_verdict("protocol", verdict, BERTH_VERDICT_NOT_TCP_UDP);
	}
}

static void ip4_options_of_any_length_are_skipped(void **state)
{
	(void)state;
	for (uint8_t options = 0; options <= 10; options++) {
		for (uint8_t tcp_options = 0; tcp_options <= 10; tcp_options++) {
			struct fixture_packet from = valid[0];
			struct berth_packet packet;
			from.options = options;
			from.tcp_options = tcp_options;
			assert_int_equal(parse(&from, &packet), BERTH_NO_VERDICT);
			assert_int_equal(packet.transport, 14 + 20 + 4 * options);
			assert_int_equal(berth_from_be16(packet.dport), 80);
		}
	}
}

static void all_tcp_flags_are_kept(void **state)
{
	(void)state;
	for (uint32_t flags = 0; flags < 256; flags++) {
		struct fixture_packet from = valid[2];
		struct berth_packet packet;
		from.tcp_flags = (uint8_t)flags;
		assert_int_equal(parse(&from, &packet), BERTH_NO_VERDICT);
		assert_int_equal(packet.tcp_flags, flags);
	}
}

static void data_behind_a_tcp_header_is_a_trait(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(valid); i++) {
		for (uint16_t bytes = 0; bytes < 3; bytes++) {
			struct fixture_packet from = valid[i];
			struct berth_packet packet;
			from.payload = bytes;
			from.tcp_options = (uint8_t)(bytes + i);
			from.trailer = 7; /* padding is no data */
			check_verdict("data", parse(&from, &packet), BERTH_NO_VERDICT);
			bool has = packet.protocol == BERTH_PROTO_TCP && bytes;
			assert_int_equal(packet.traits, has ? BERTH_HAS_PAYLOAD : 0);
		}
	}
}

static void an_expiring_ttl_is_a_trait(void **state)
{
	(void)state;
	for (uint32_t ttl = 0; ttl < 256; ttl++) {
		for (size_t i = 0; i < COUNT(valid); i++) {
			struct fixture_frame frame;
			struct berth_packet packet;
			fixture_build(&frame, &valid[i]);
			frame.frame.data[frame.network + (i < 2 ? 8 : 7)] = (uint8_t)ttl;
			check_verdict("TTL", parse_at_edge(frame.frame.data, frame.bytes, &packet),
				      BERTH_NO_VERDICT);
			assert_int_equal(packet.traits & ~BERTH_HAS_PAYLOAD, ttl <= 1 ? BERTH_TTL_EXPIRES : 0);
		}
	}
}

/* RFC 4942 section 2.2: an IPv4-mapped address at either end would equal that of an IPv4 packet. */
static void ip4_mapped_addresses_are_bad(void **state)
{
	(void)state;
	static const struct {
		const char *src;
		const char *dst;
		enum berth_verdict verdict;
	} cases[] = {
		{"::ffff:198.51.100.7", VIP6, BERTH_VERDICT_BAD_IP6},
		{CLIENT6, "::ffff:203.0.113.10", BERTH_VERDICT_BAD_IP6},
		{"::ffff:0.0.0.0", "::ffff:203.0.113.10", BERTH_VERDICT_BAD_IP6},
		{CLIENT6, "::ffff:255.255.255.255", BERTH_VERDICT_BAD_IP6},
		{CLIENT6, "::203.0.113.10", BERTH_NO_VERDICT},
		{CLIENT6, "::fffe:203.0.113.10", BERTH_NO_VERDICT},
		{CLIENT6, "::1:ffff:203.0.113.10", BERTH_NO_VERDICT},
		{CLIENT6, "64:ff9b::203.0.113.10", BERTH_NO_VERDICT},
		{"1::ffff:198.51.100.7", VIP6, BERTH_NO_VERDICT},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct fixture_frame frame;
		struct berth_packet packet;
		union berth_addr src, dst;
		fixture_build(&frame, &valid[2]);
		assert_int_equal(inet_pton(AF_INET6, cases[i].src, &src), 1);
		assert_int_equal(inet_pton(AF_INET6, cases[i].dst, &dst), 1);
		memcpy(frame.frame.data + frame.network + 8, &src, 16);
		memcpy(frame.frame.data + frame.network + 24, &dst, 16);
		check_verdict(cases[i].dst, parse_at_edge(frame.frame.data, frame.bytes, &packet),
			      cases[i].verdict);
		/* Dropped for any destination: it has no valid addresses. */
		assert_int_equal(packet.length == 0, cases[i].verdict != BERTH_NO_VERDICT);
	}
}

static void frames_without_ip_pass(void **state)
{
	(void)state;
	static const uint16_t types[] = {0x0806, 0x0000, 0x05dc, 0x0801, 0x86dc, 0x8847, 0x88cc, 0x9100, 0xffff};
	struct fixture_frame frame;
	struct berth_packet packet;
	for (uint8_t tags = 0; tags <= 2; tags++) {
		struct fixture_packet from = valid[0];
		from.tags = tags;
		fixture_build(&frame, &from);
		for (size_t i = 0; i < COUNT(types); i++) {
			fixture_put16(frame.frame.data + frame.network - 2, types[i]);
			check_verdict("type", parse_at_edge(frame.frame.data, frame.bytes, &packet),
				      BERTH_VERDICT_NOT_IP);
		}
	}
	struct fixture_packet from = valid[0];
	from.tags = 3;
	check_verdict("three tags", parse(&from, &packet), BERTH_VERDICT_NOT_IP);
}

/* Its length is 40 above 16 bits: it must not be taken as short. Only chained buffers and generic XDP have such
 * frames. */
static void the_longest_ip6_packet_keeps_its_length(void **state)
{
	(void)state;
	struct fixture_frame frame;
	struct berth_packet packet;
	fixture_build(&frame, &valid[2]);
	fixture_put16(frame.frame.data + frame.network + 4, 65535);
	assert_int_equal(berth_parse(&frame.frame, &packet, 14 + 40 + 65535), BERTH_NO_VERDICT);
	assert_int_equal(packet.length, 65575);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_field_of_a_valid_packet_is_filled),
		cmocka_unit_test(every_truncation_is_bad_and_reads_no_byte_outside_the_frame),
		cmocka_unit_test(every_truncation_of_the_transport_header_is_bad),
		cmocka_unit_test(a_header_that_continues_in_another_buffer_is_bad),
		cmocka_unit_test(invalid_lengths_and_versions_are_bad_and_unusual_fields_are_not),
		cmocka_unit_test(only_tcp_and_udp_are_parsed_as_transport),
		cmocka_unit_test(ip4_options_of_any_length_are_skipped),
		cmocka_unit_test(all_tcp_flags_are_kept),
		cmocka_unit_test(data_behind_a_tcp_header_is_a_trait),
		cmocka_unit_test(an_expiring_ttl_is_a_trait),
		cmocka_unit_test(ip4_mapped_addresses_are_bad),
		cmocka_unit_test(frames_without_ip_pass),
		cmocka_unit_test(the_longest_ip6_packet_keeps_its_length),
	};
	return cmocka_run_group_tests_name("parse", tests, map_pages, unmap_pages);
}
