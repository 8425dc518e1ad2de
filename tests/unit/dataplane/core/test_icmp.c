// SPDX-License-Identifier: BSD-3-Clause
/* parse.h: an ICMP error is parsed as a packet of its flow. */
#include "tests/unit/dataplane/core/icmp.h"

#include "tests/unit/dataplane/core/edge.h"

static enum berth_verdict parse_error(const struct wire_error *error, struct berth_packet *packet)
{
	struct fixture_frame frame;
	wire_build_error(&frame, error);
	return parse_at_edge(frame.frame.data, frame.bytes, packet);
}

/* Extension headers and options, outer and quoted. */
static const uint8_t long_ext[] = {BERTH_PROTO_HOP_BY_HOP, BERTH_PROTO_ROUTING, BERTH_PROTO_DEST_OPTIONS,
				   FIXTURE_EXT_END};
static const uint8_t short_ext[] = {BERTH_PROTO_DEST_OPTIONS, FIXTURE_EXT_END};

static void an_error_is_parsed_as_a_packet_of_its_flow(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 3 * 2 * 3 * 3; i++) {
		const struct fixture_packet *flow = flow_to(i % 3 == 0	 ? FLOW_TCP
							    : i % 3 == 1 ? FLOW_UDP
									 : FLOW_TCP6);
		struct wire_error error = error_about(flow);
		uint32_t outer = i / 3 % 2, inner = i / 6 % 3;
		struct fixture_frame frame;
		struct berth_packet packet;
		error.outer.tags = (uint8_t)(i / 18);
		error.outer.options = outer ? 10 : 0;
		error.outer.ext = outer ? long_ext : NULL;
		error.outer.traffic_class = 0xc0;
		error.outer.trailer = 3;
		error.quoted.options = (uint8_t)(inner * 5);
		error.quoted.ext = inner == 0 ? NULL : inner == 1 ? short_ext : long_ext;
		error.quoted.tcp_flags = SYN | FIN | RST;
		wire_build_error(&frame, &error);
		assert_int_equal(parse_at_edge(frame.frame.data, frame.bytes, &packet), NONE);
		union berth_addr client = fixture_addr(flow->src), service = fixture_addr(flow->dst);
		assert_memory_equal(&packet.src, &client, 16);
		assert_memory_equal(&packet.dst, &service, 16);
		assert_int_equal(berth_from_be16(packet.sport), flow->sport);
		assert_int_equal(berth_from_be16(packet.dport), flow->dport);
		assert_int_equal(packet.protocol, flow->protocol);
		assert_int_equal(packet.traits, BERTH_ICMP_ERROR);
		assert_int_equal(packet.tcp_flags, 0); /* the quoted ones are the backend's */
		assert_int_equal(packet.network, frame.network);
		assert_int_equal(packet.transport, frame.transport);
		assert_int_equal(packet.length, frame.bytes - frame.network - 3);
		assert_int_equal(packet.traffic_class, 0xc0);
	}
}

/* Every type of both families: source quench and redirect report no loss, echo belongs to no flow. */
static void only_errors_about_lost_packets_are_parsed(void **state)
{
	(void)state;
	for (uint32_t type = 0; type < 256; type++) {
		for (uint32_t code = 0; code < 256; code += 51) {
			struct wire_error error = error_about(&to_service[FLOW_TCP]);
			struct berth_packet packet;
			error.type = (uint8_t)type;
			error.code = (uint8_t)code;
			check_verdict("ICMP", parse_error(&error, &packet),
				      type == 3 || type == 11 || type == 12 ? NONE : NOT_TCP_UDP);
			error = error_about(&to_flow_tcp6);
			error.type = (uint8_t)type;
			error.code = (uint8_t)code;
			check_verdict("ICMPv6", parse_error(&error, &packet),
				      type >= 1 && type <= 4 ? NONE : NOT_TCP_UDP);
		}
	}
}

/* ICMP in IPv6 and ICMPv6 in IPv4 are invalid. */
static void icmp_of_the_other_family_is_not_parsed(void **state)
{
	(void)state;
	for (uint32_t is6 = 0; is6 < 2; is6++) {
		struct wire_error error = error_about(flow_to(is6 ? FLOW_TCP6 : FLOW_TCP));
		struct fixture_frame frame;
		struct berth_packet packet;
		error.type = 3;
		wire_build_error(&frame, &error);
		frame.frame.data[frame.network + (is6 ? 6 : 9)] = is6 ? BERTH_PROTO_ICMP : BERTH_PROTO_ICMP6;
		check_verdict("other family", parse_at_edge(frame.frame.data, frame.bytes, &packet), NOT_TCP_UDP);
	}
}

/* The error is truncated after each byte, as its IP header says, with quotes of several lengths. */
static void an_error_must_quote_all_headers_and_eight_bytes(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 2 * 3; i++) {
		bool is6 = i % 2;
		struct wire_error error = error_about(flow_to(is6 ? FLOW_TCP6 : FLOW_UDP));
		struct berth_packet packet;
		uint32_t headers = is6 ? 40 : 20;
		if (i / 2 == 1) {
			error.quoted.options = 10;
			error.quoted.ext = short_ext;
			headers += is6 ? 8 : 40;
		} else if (i / 2 == 2) {
			error.quoted.options = 1;
			error.quoted.ext = long_ext;
			headers += is6 ? 24 : 4;
		}
		struct fixture_frame frame;
		wire_build_error(&frame, &error);
		uint8_t *ip = frame.frame.data + frame.network;
		for (uint32_t icmp = 0; icmp <= frame.bytes - frame.transport; icmp++) {
			enum berth_verdict expected = icmp < 8		       ? NOT_TCP_UDP
						      : icmp < 8 + headers + 8 ? BAD_ICMP
									       : NONE;
			fixture_put16(ip + (is6 ? 4 : 2), is6 ? icmp : 20 + icmp);
			check_verdict("cut", parse_at_edge(frame.frame.data, frame.transport + icmp, &packet),
				      expected);
			/* The same if the frame continues with padding. */
			check_verdict("short", parse_at_edge(frame.frame.data, frame.bytes, &packet), expected);
		}
	}
}

/* The rest of the frame is in another buffer. */
static void an_error_that_continues_in_another_buffer_is_bad(void **state)
{
	(void)state;
	for (uint32_t is6 = 0; is6 < 2; is6++) {
		struct wire_error error = error_about(flow_to(is6 ? FLOW_TCP6 : FLOW_TCP));
		struct fixture_frame frame;
		struct berth_packet packet;
		wire_build_error(&frame, &error);
		uint32_t needed = frame.transport + 8 + (is6 ? 40 : 20) + 8;
		for (uint32_t there = frame.transport + 8; there <= frame.bytes; there++)
			check_verdict("piece", parse_piece(frame.frame.data, there, frame.bytes, &packet),
				      there < needed ? BAD_ICMP : NONE);
	}
}

/* Invalid quoted packets; an offset counts from the quoted IP header. */
struct fault {
	const char *name;
	bool is6;
	uint8_t at;
	uint8_t bytes;
	uint16_t value;
	uint16_t quoted; /* bytes; 0: all */
	enum berth_verdict verdict;
};

static const struct fault faults[] = {
	{"IPv6 in ICMP", false, 0, 1, 0x60, 0, BAD_ICMP},
	{"IPv4 in ICMPv6", true, 0, 1, 0x45, 0, BAD_ICMP},
	{"version 0", false, 0, 1, 0x05, 0, BAD_ICMP},
	{"IHL 4", false, 0, 1, 0x44, 0, BAD_ICMP},
	{"IHL 0", false, 0, 1, 0x40, 0, BAD_ICMP},
	{"IHL past the end", false, 0, 1, 0x4f, 0, BAD_ICMP},
	{"IHL to the last 8 bytes", false, 0, 1, 0x4e, 0, NONE},
	/* Sent by another host: its sender is not informed. */
	{"quoted source is not the destination", false, 15, 1, 11, 0, BAD_ICMP},
	{"quoted source is not the destination, in IPv6", true, 23, 1, 0x11, 0, BAD_ICMP},
	{"quoted source is not the destination, in its first byte", true, 8, 1, 0x21, 0, BAD_ICMP},
	/* An error about an error, and about a packet without a flow. */
	{"about ICMP", false, 9, 1, 1, 0, NOT_TCP_UDP},
	{"about ICMPv6", true, 6, 1, 58, 0, NOT_TCP_UDP},
	{"about ESP", true, 6, 1, 50, 0, NOT_TCP_UDP},
	{"about protocol 0", false, 9, 1, 0, 0, NOT_TCP_UDP},
	{"about IPv6 in IPv4", false, 9, 1, 41, 0, NOT_TCP_UDP},
	{"about no next header", true, 6, 1, 59, 0, NOT_TCP_UDP},
	{"about a first fragment", false, 6, 2, 0x2000, 0, NONE},
	{"about a middle fragment", false, 6, 2, 0x2010, 0, NOT_TCP_UDP},
	{"about a last fragment", false, 6, 2, 0x0010, 0, NOT_TCP_UDP},
	{"about a packet that must not be fragmented", false, 6, 2, 0x4000, 0, NONE},
	/* Its length, TTL and checksum are ignored: routers change them before they quote. */
	{"total length 0", false, 2, 2, 0, 0, NONE},
	{"total length 65535", false, 2, 2, 65535, 0, NONE},
	{"payload 0", true, 4, 2, 0, 0, NONE},
	{"payload 65535", true, 4, 2, 65535, 0, NONE},
	{"TTL 0", false, 8, 1, 0, 0, NONE},
	{"hop limit 0", true, 7, 1, 0, 0, NONE},
	{"wrong checksum", false, 10, 2, 0xdead, 0, NONE},
	{"TCP's data offset 0", false, 32, 1, 0, 0, NONE},
	{"8 bytes of TCP, as RFC 792 has it", false, 8, 1, 1, 28, NONE},
	{"8 bytes of TCP in IPv6", true, 7, 1, 1, 48, NONE},
};

static void an_error_must_quote_a_packet_of_a_flow(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(faults); i++) {
		const struct fault *fault = &faults[i];
		struct wire_error error = error_about(flow_to(fault->is6 ? FLOW_TCP6 : FLOW_TCP));
		struct fixture_frame frame;
		struct berth_packet packet;
		error.bytes = fault->quoted;
		wire_build_error(&frame, &error);
		uint8_t *at = frame.frame.data + frame.transport + 8 + fault->at;
		if (fault->bytes == 1)
			*at = (uint8_t)fault->value;
		else
			fixture_put16(at, fault->value);
		check_verdict(fault->name, parse_at_edge(frame.frame.data, frame.bytes, &packet), fault->verdict);
	}
}

/* Fewer than 8 bytes behind the quoted headers are bad, of any protocol, later fragment or not. */
static void fewer_than_eight_bytes_behind_the_quoted_headers_are_bad(void **state)
{
	(void)state;
	static const uint8_t protocols[] = {1, 6, 17, 50, 58, 59, 255};
	static const uint8_t ext[] = {BERTH_PROTO_FRAGMENT, FIXTURE_EXT_END};
	for (uint32_t i = 0; i < COUNT(protocols) * 4; i++) {
		bool is6 = i % 2, is_later = i / 2 % 2;
		struct wire_error error = error_about(flow_to(is6 ? FLOW_TCP6 : FLOW_TCP));
		struct fixture_frame frame;
		struct berth_packet packet;
		error.quoted.ext = ext;
		error.quoted.ext_fragment = is_later ? 0x10 : 0;
		error.quoted.fragment = is_later ? 0x02 : 0;
		error.bytes = is6 ? 48 + 7 : 20 + 7;
		wire_build_error(&frame, &error);
		frame.frame.data[frame.transport + 8 + (is6 ? 40 : 9)] = protocols[i / 4];
		bool has_ports = !is_later && (protocols[i / 4] == 6 || protocols[i / 4] == 17);
		check_verdict("7 bytes", parse_at_edge(frame.frame.data, frame.bytes, &packet),
			      has_ports ? BAD_ICMP : NOT_TCP_UDP);
	}
}

static void extension_headers_of_the_quoted_packet_are_skipped_like_outer_ones(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		uint8_t ext[12];
		uint16_t fragment;
		uint8_t length;
		enum berth_verdict verdict;
	} cases[] = {
		{"one", {60, FIXTURE_EXT_END}, 0, 0, NONE},
		{"eight", {0, 60, 43, 60, 43, 60, 0, 60, FIXTURE_EXT_END}, 0, 0, NONE},
		{"nine", {0, 60, 43, 60, 43, 60, 0, 60, 60, FIXTURE_EXT_END}, 0, 0, BAD_ICMP},
		{"atomic fragment", {44, FIXTURE_EXT_END}, 0, 0, NONE},
		{"first fragment", {60, 44, FIXTURE_EXT_END}, 1, 0, NONE},
		{"two fragment headers", {44, 44, FIXTURE_EXT_END}, 1, 0, BAD_ICMP},
		{"later fragment", {44, FIXTURE_EXT_END}, 0x100, 0, NOT_TCP_UDP},
		{"later fragment, more behind", {44, 60, FIXTURE_EXT_END}, 0x101, 0, NOT_TCP_UDP},
		{"long", {60, 60, FIXTURE_EXT_END}, 0, 50, NONE},
		{"too long", {60, 60, FIXTURE_EXT_END}, 0, 60, BAD_ICMP},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct wire_error error = error_about(&to_flow_tcp6);
		struct berth_packet packet;
		error.quoted.ext = cases[i].ext;
		error.quoted.ext_fragment = cases[i].fragment;
		error.quoted.ext_length = cases[i].length;
		check_verdict(cases[i].name, parse_error(&error, &packet), cases[i].verdict);
	}
}

static void a_fragmented_error_is_not_parsed(void **state)
{
	(void)state;
	static const uint8_t ext[] = {BERTH_PROTO_FRAGMENT, FIXTURE_EXT_END};
	static const uint16_t fragment[] = {0x2000, 0x2008, 0x0008}; /* first, middle, last */
	for (uint32_t i = 0; i < 3; i++) {
		struct wire_error error = error_about(&to_service[FLOW_TCP]);
		struct berth_packet packet;
		error.quoted.payload = 16; /* a multiple of 8 bytes */
		error.outer.fragment = fragment[i];
		error.bytes = 48;
		check_verdict("ICMP", parse_error(&error, &packet), NOT_TCP_UDP);
		error = error_about(&to_flow_tcp6);
		error.outer.ext = ext;
		error.outer.ext_fragment = (uint16_t)(fragment[i] * 8 | fragment[i] >> 13);
		error.bytes = 64;
		check_verdict("ICMPv6", parse_error(&error, &packet), NOT_TCP_UDP);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_error_is_parsed_as_a_packet_of_its_flow),
		cmocka_unit_test(only_errors_about_lost_packets_are_parsed),
		cmocka_unit_test(icmp_of_the_other_family_is_not_parsed),
		cmocka_unit_test(an_error_must_quote_all_headers_and_eight_bytes),
		cmocka_unit_test(an_error_that_continues_in_another_buffer_is_bad),
		cmocka_unit_test(an_error_must_quote_a_packet_of_a_flow),
		cmocka_unit_test(fewer_than_eight_bytes_behind_the_quoted_headers_are_bad),
		cmocka_unit_test(extension_headers_of_the_quoted_packet_are_skipped_like_outer_ones),
		cmocka_unit_test(a_fragmented_error_is_not_parsed),
	};
	return cmocka_run_group_tests_name("icmp", tests, map_pages, unmap_pages);
}
