// SPDX-License-Identifier: BSD-3-Clause
/* parse.h: bytes to a packet or a verdict; nothing is read past the frame. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/edge.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define CLIENT4 "198.51.100.7"
#define CLIENT6 "2001:db8:2::7"
#define VIP4 "203.0.113.10"
#define VIP6 "2001:db8:1::10"

static void check_verdict(const char *name, enum berth_verdict got, enum berth_verdict expected)
{
	if (got != expected)
		fail_msg("%s: %s, not %s", name, fixture_verdict_name(got), fixture_verdict_name(expected));
}

/* Both families, both protocols, 0 to 2 tags. */
static const struct fixture_packet valid[] = {
	{.src = CLIENT4, .dst = VIP4, .sport = 1025, .dport = 80, .protocol = 6, .tcp_flags = 0x12, .payload = 9},
	{.src = CLIENT4, .dst = VIP4, .sport = 1025, .dport = 53, .protocol = 17, .payload = 9, .traffic_class = 3},
	{.src = CLIENT6,
	 .dst = VIP6,
	 .sport = 1025,
	 .dport = 80,
	 .protocol = 6,
	 .traffic_class = 0xb9,
	 .payload = 9},
	{.src = CLIENT6, .dst = VIP6, .sport = 1025, .dport = 53, .protocol = 17, .payload = 9},
};

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
			assert_int_equal(packet.traits, 0);
			assert_int_equal(packet.service, 0);
			assert_int_equal(packet.backend, 0);
		}
	}
}

/* The frame ends early and its headers do not say so. */
static void every_truncation_is_bad_and_reads_nothing_past_the_end(void **state)
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

/* The frame ends early and its IP header says so. */
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
			/* The same where the frame goes on, as padding. */
			check_verdict("header short", parse_at_edge(data, frame.bytes, &packet),
				      tcp ? BERTH_VERDICT_BAD_TCP : BERTH_VERDICT_BAD_UDP);
		}
	}
}

/* The rest of the frame is in another buffer: only what is contiguous may be read. */
static void a_header_that_goes_on_in_another_buffer_is_bad(void **state)
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
	uint32_t at; /* what byte, counted from the IP header, or from the transport header */
	bool in_transport;
	uint8_t bytes; /* how many */
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
	{"protocol 0", TCP4, 9, false, 1, 0, BERTH_VERDICT_NOT_TRANSPORT},
	{"protocol ICMP", TCP4, 9, false, 1, 1, BERTH_VERDICT_NOT_TRANSPORT},
	{"protocol 44, which in IPv4 is no fragment", TCP4, 9, false, 1, 44, BERTH_VERDICT_NOT_TRANSPORT},
	{"protocol 255", TCP4, 9, false, 1, 255, BERTH_VERDICT_NOT_TRANSPORT},
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
	{"no next header", TCP6, 6, false, 1, 59, BERTH_VERDICT_NOT_TRANSPORT},
	{"ICMPv6", TCP6, 6, false, 1, 58, BERTH_VERDICT_NOT_TRANSPORT},
	{"ICMP, which in IPv6 is nothing", TCP6, 6, false, 1, 1, BERTH_VERDICT_NOT_TRANSPORT},
	{"ESP", TCP6, 6, false, 1, 50, BERTH_VERDICT_NOT_TRANSPORT},
	{"IPv6 data offset 4", TCP6, 12, true, 1, 0x40, BERTH_VERDICT_BAD_TCP},
	{"IPv6 UDP length 7", UDP6, 4, true, 2, 7, BERTH_VERDICT_BAD_UDP},
	{"IPv6 UDP length past the packet", UDP6, 4, true, 2, 29, BERTH_VERDICT_BAD_UDP},
	{"IPv6 UDP checksum 0", UDP6, 6, true, 2, 0, BERTH_NO_VERDICT},
};

static void a_wrong_length_or_version_is_told_from_a_harmless_oddity(void **state)
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

/* OVS had protocol 0 match too widely (CVE-2023-1668): every number but two is no transport. */
static void only_tcp_and_udp_are_transports(void **state)
{
	(void)state;
	struct fixture_frame frame;
	struct berth_packet packet;
	fixture_build(&frame, &valid[0]);
	for (uint32_t protocol = 0; protocol < 256; protocol++) {
		frame.frame.data[frame.network + 9] = (uint8_t)protocol;
		enum berth_verdict verdict = parse_at_edge(frame.frame.data, frame.bytes, &packet);
		if (protocol != BERTH_PROTO_TCP && protocol != BERTH_PROTO_UDP)
			check_verdict("protocol", verdict, BERTH_VERDICT_NOT_TRANSPORT);
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

/* What the IP header says of a fragment, and what it makes of a packet; payloads in bytes behind the headers of IP.
 */
struct fragment {
	const char *name;
	uint32_t offset; /* bytes */
	bool more;
	uint8_t protocol;
	uint16_t payload; /* of it, those behind 20 bytes of TCP or 8 of UDP */
	enum berth_verdict verdict;
	uint8_t traits;
};

#define HOP BERTH_PROTO_HOP_BY_HOP
#define FRAG BERTH_PROTO_FRAGMENT
#define DEST BERTH_PROTO_DEST_OPTIONS
#define END FIXTURE_EXT_END

#define WHOLE 0
#define FIRST BERTH_FIRST_FRAGMENT
#define LATER BERTH_LATER_FRAGMENT
#define NONE BERTH_NO_VERDICT
#define BAD_IP BERTH_VERDICT_BAD_IP4 /* or 6 */

static const struct fragment fragments[] = {
	{"whole", 0, false, 6, 33, NONE, WHOLE},
	{"first", 0, true, 6, 32, NONE, FIRST},
	{"first of UDP", 0, true, 17, 32, NONE, FIRST},
	{"first, header alone", 0, true, 17, 8, NONE, FIRST},
	{"middle", 128, true, 6, 32, NONE, LATER},
	{"middle, of 8 bytes", 8, true, 6, 8, NONE, LATER},
	{"last", 128, false, 6, 32, NONE, LATER},
	{"last, of no whole 8 bytes", 128, false, 17, 33, NONE, LATER},
	{"last, of one byte", 8, false, 6, 1, NONE, LATER},
	{"last, empty", 8, false, 6, 0, NONE, LATER},
	{"last that ends at the limit", 65528, false, 17, 7, NONE, LATER},
	{"last that ends past the limit", 65528, false, 17, 8, BAD_IP, LATER},
	{"last that ends far past the limit", 65528, false, 6, 1400, BAD_IP, LATER},
	{"middle that ends past the limit", 65528, true, 6, 8, BAD_IP, LATER},
	{"middle that ends before the limit", 65520, true, 6, 8, NONE, LATER},
	{"first of no whole 8 bytes", 0, true, 6, 33, BAD_IP, FIRST},
	{"middle of no whole 8 bytes", 128, true, 6, 31, BAD_IP, LATER},
	{"middle of one byte", 128, true, 17, 1, BAD_IP, LATER},
	{"first, empty", 0, true, 6, 0, BAD_IP, FIRST},
	{"middle, empty", 8, true, 6, 0, BAD_IP, LATER},
	/* RFC 1858: a first one without all of the header that it is known by. */
	{"tiny first of TCP", 0, true, 6, 16, BERTH_VERDICT_BAD_TCP, FIRST},
	{"tiny first of TCP, 8 bytes", 0, true, 6, 8, BERTH_VERDICT_BAD_TCP, FIRST},
	{"first of ICMP", 0, true, 1, 32, BERTH_VERDICT_NOT_TRANSPORT, FIRST},
	{"first of ICMPv6", 0, true, 58, 32, BERTH_VERDICT_NOT_TRANSPORT, FIRST},
	{"later of ICMP", 128, false, 1, 32, BERTH_VERDICT_NOT_TRANSPORT, LATER},
	{"later of ICMPv6", 128, false, 58, 32, BERTH_VERDICT_NOT_TRANSPORT, LATER},
	{"later of ESP", 128, true, 50, 32, BERTH_VERDICT_NOT_TRANSPORT, LATER},
};

/* `payload` bytes behind the IP headers, the transport header among them. */
static void build_fragment(struct fixture_frame *frame, const struct fragment *f, bool is6)
{
	static const uint8_t ext[] = {BERTH_PROTO_FRAGMENT, FIXTURE_EXT_END};
	struct fixture_packet from = valid[is6 ? 2 : 0];
	from.protocol = 99; /* no transport header of its own */
	from.payload = f->payload;
	from.fragment = (uint16_t)(f->offset / 8 | (f->more ? 0x2000 : 0));
	from.ext_fragment = (uint16_t)(f->offset | f->more);
	from.ext = ext;
	fixture_build(frame, &from);
	uint8_t *ip = frame->frame.data + frame->network, *l4 = frame->frame.data + frame->transport;
	ip[is6 ? 40 : 9] = f->protocol;
	fixture_put16(l4, 1025); /* into the room behind the packet, where that is shorter */
	fixture_put16(l4 + 2, 80);
	if (f->protocol == BERTH_PROTO_UDP)
		fixture_put16(l4 + 4, 1400); /* of the whole datagram */
	else
		l4[12] = 0x50;
}

static void fragments_are_told_from_whole_packets_and_must_be_sound(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(fragments) * 2; i++) {
		const struct fragment *f = &fragments[i / 2];
		bool is6 = i % 2;
		struct fixture_frame frame;
		struct berth_packet packet;
		build_fragment(&frame, f, is6);
		enum berth_verdict expected = f->verdict == BAD_IP && is6 ? BERTH_VERDICT_BAD_IP6 : f->verdict;
		check_verdict(f->name, parse_at_edge(frame.frame.data, frame.bytes, &packet), expected);
		if (packet.traits != f->traits)
			fail_msg("%s: traits %u", f->name, packet.traits);
		assert_int_not_equal(packet.length, 0); /* its IP header is sound */
		if (expected != BERTH_NO_VERDICT)
			continue;
		assert_int_equal(berth_from_be16(packet.sport), f->traits == LATER ? 0 : 1025);
		assert_int_equal(berth_from_be16(packet.dport), f->traits == LATER ? 0 : 80);
		assert_int_equal(packet.protocol, f->protocol);
		assert_int_equal(packet.length, (is6 ? 48u : 20u) + f->payload);
	}
}

/* Other flags of IPv4, and reserved bits of IPv6, do not make a fragment. */
static void only_offset_and_more_fragments_make_a_fragment(void **state)
{
	(void)state;
	static const uint16_t ip4_flags[] = {0x4000, 0x8000, 0xc000};
	static const uint8_t ext[] = {BERTH_PROTO_FRAGMENT, FIXTURE_EXT_END};
	for (uint32_t i = 0; i < 3; i++) {
		struct fixture_packet from = valid[0], from6 = valid[2];
		struct berth_packet packet;
		from.fragment = ip4_flags[i];
		check_verdict("flags", parse(&from, &packet), BERTH_NO_VERDICT);
		assert_int_equal(packet.traits, 0);
		from6.ext = ext;
		from6.ext_fragment = (uint16_t)(i * 2);
		check_verdict("reserved bits", parse(&from6, &packet), BERTH_NO_VERDICT);
		assert_int_equal(packet.traits, 0);
		assert_int_equal(berth_from_be16(packet.dport), 80);
	}
}

/* A last fragment's length in UDP, and the first one's that is short of it. */
static void a_udp_length_may_exceed_a_first_fragment_only(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 4; i++) {
		const struct fragment f = {.offset = 0, .more = i % 2, .protocol = BERTH_PROTO_UDP, .payload = 32};
		struct fixture_frame frame;
		struct berth_packet packet;
		build_fragment(&frame, &f, i / 2);
		check_verdict("longer", parse_at_edge(frame.frame.data, frame.bytes, &packet),
			      f.more ? BERTH_NO_VERDICT : BERTH_VERDICT_BAD_UDP);
		fixture_put16(frame.frame.data + frame.transport + 4, 7);
		check_verdict("too short", parse_at_edge(frame.frame.data, frame.bytes, &packet),
			      BERTH_VERDICT_BAD_UDP);
	}
}

static void the_last_hop_is_known(void **state)
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
			assert_int_equal(packet.traits, ttl <= 1 ? BERTH_LAST_HOP : 0);
		}
	}
}

/* RFC 4942 section 2.2: an IPv4 address written as an IPv6 one, of either end, would be the IPv4 packet's twin. */
static void ip4_mapped_addresses_are_no_addresses_on_a_link(void **state)
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
		/* So that it is dropped whatever service there is: it has no addresses to look for. */
		assert_int_equal(packet.length == 0, cases[i].verdict != BERTH_NO_VERDICT);
	}
}

static void up_to_eight_ip6_extension_headers_are_walked(void **state)
{
	(void)state;
	static const uint8_t kinds[] = {BERTH_PROTO_HOP_BY_HOP, BERTH_PROTO_DEST_OPTIONS, BERTH_PROTO_ROUTING,
					BERTH_PROTO_FRAGMENT};
	for (uint32_t n = 0; n <= 16; n++) {
		for (uint32_t first = 0; first < COUNT(kinds); first++) {
			uint8_t ext[17];
			for (uint32_t i = 0; i < n; i++)
				ext[i] = kinds[(first + i) % COUNT(kinds)];
			ext[n] = FIXTURE_EXT_END;
			struct fixture_packet from = valid[2 + n % 2];
			struct berth_packet packet;
			from.ext = ext;
			from.ext_length = (uint8_t)(n % 3);
			enum berth_verdict verdict = parse(&from, &packet);
			check_verdict("headers", verdict, n <= 8 ? BERTH_NO_VERDICT : BERTH_VERDICT_BAD_IP6);
			if (n > 8)
				continue;
			assert_int_equal(berth_from_be16(packet.dport), from.dport);
			assert_int_equal(packet.protocol, from.protocol);
			assert_int_equal(packet.traits, 0); /* atomic fragments are whole (RFC 6946) */
		}
	}
}

static void every_truncation_of_extension_headers_is_bad(void **state)
{
	(void)state;
	static const uint8_t ext[] = {BERTH_PROTO_HOP_BY_HOP, BERTH_PROTO_FRAGMENT, BERTH_PROTO_ROUTING,
				      BERTH_PROTO_DEST_OPTIONS, FIXTURE_EXT_END};
	struct fixture_packet from = valid[2];
	struct fixture_frame frame;
	struct berth_packet packet;
	from.ext = ext;
	from.ext_length = 1;
	fixture_build(&frame, &from);
	uint8_t *data = frame.frame.data;
	for (uint32_t bytes = frame.network + 40; bytes < frame.transport; bytes++) {
		fixture_put16(data + frame.network + 4, bytes - frame.network - 40);
		check_verdict("frame cut", parse_at_edge(data, bytes, &packet), BERTH_VERDICT_BAD_IP6);
		check_verdict("packet cut", parse_at_edge(data, frame.bytes, &packet), BERTH_VERDICT_BAD_IP6);
	}
}

static void an_extension_header_longer_than_its_packet_is_bad(void **state)
{
	(void)state;
	static const uint8_t ext[] = {BERTH_PROTO_DEST_OPTIONS, FIXTURE_EXT_END};
	struct fixture_packet from = valid[2];
	struct fixture_frame frame;
	struct berth_packet packet;
	from.ext = ext;
	fixture_build(&frame, &from);
	uint8_t *length = frame.frame.data + frame.network + 41;
	/* 8 + 20 + 9 bytes: one more unit ends inside the TCP header, four or more end past the packet. */
	*length = 1;
	check_verdict("into TCP", parse_at_edge(frame.frame.data, frame.bytes, &packet), BERTH_VERDICT_BAD_TCP);
	*length = 4;
	check_verdict("past the end", parse_at_edge(frame.frame.data, frame.bytes, &packet), BERTH_VERDICT_BAD_IP6);
	*length = 255;
	check_verdict("far past it", parse_at_edge(frame.frame.data, frame.bytes, &packet), BERTH_VERDICT_BAD_IP6);
}

static void a_transport_header_too_far_in_is_not_looked_for(void **state)
{
	(void)state;
	static const uint8_t ext[] = {BERTH_PROTO_DEST_OPTIONS, BERTH_PROTO_DEST_OPTIONS, FIXTURE_EXT_END};
	static const struct {
		uint8_t length;
		enum berth_verdict verdict;
	} cases[] = {
		{59, BERTH_NO_VERDICT},	      /* 14 + 40 + 2 * 480 = 1014 bytes in */
		{60, BERTH_VERDICT_BAD_IP6},  /* 1030 */
		{119, BERTH_VERDICT_BAD_IP6}, /* the second header is 1014 bytes in, what follows 1974 */
		{120, BERTH_VERDICT_BAD_IP6}, {200, BERTH_VERDICT_BAD_IP6},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct fixture_packet from = valid[2];
		struct berth_packet packet;
		from.ext = ext;
		from.ext_length = cases[i].length;
		check_verdict("far", parse(&from, &packet), cases[i].verdict);
	}
}

/* What stands before and behind an IPv6 fragment header, and further fragment headers. */
static void an_ip6_fragment_header_may_stand_anywhere_but_once(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		uint8_t ext[5];
		uint16_t fragment[2]; /* of the first and the second fragment header */
		enum berth_verdict verdict;
		uint8_t traits;
	} cases[] = {
		{"behind another", {HOP, FRAG, END}, {1}, NONE, FIRST},
		{"before another", {FRAG, DEST, END}, {1}, NONE, FIRST},
		{"later, before another", {FRAG, DEST, END}, {128}, NONE, LATER},
		{"atomic twice", {FRAG, FRAG, END}, {0, 0}, NONE, WHOLE},
		{"first, then atomic", {FRAG, FRAG, END}, {1, 0}, NONE, FIRST},
		{"first twice", {FRAG, FRAG, END}, {1, 1}, BERTH_VERDICT_BAD_IP6, 0},
		{"first, then later", {FRAG, DEST, FRAG, END}, {1, 128}, BERTH_VERDICT_BAD_IP6, 0},
		/* What is behind a later one's header is payload. */
		{"later, then whatever", {FRAG, FRAG, END}, {128, 1}, NONE, LATER},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct fixture_packet from = valid[2];
		struct fixture_frame frame;
		struct berth_packet packet;
		uint32_t seen = 0, at = 40;
		from.ext = cases[i].ext;
		from.payload = 12; /* 32 with TCP */
		fixture_build(&frame, &from);
		for (const uint8_t *ext = cases[i].ext; *ext != END; ext++, at += 8) {
			if (*ext == FRAG)
				fixture_put16(frame.frame.data + frame.network + at + 2, cases[i].fragment[seen++]);
		}
		check_verdict(cases[i].name, parse_at_edge(frame.frame.data, frame.bytes, &packet),
			      cases[i].verdict);
		if (cases[i].verdict != BERTH_NO_VERDICT)
			continue;
		assert_int_equal(packet.traits, cases[i].traits);
		assert_int_equal(packet.sport.raw != 0, cases[i].traits != LATER);
		/* A later one's protocol is what its header announces. */
		assert_int_equal(packet.protocol, cases[i].traits == LATER ? cases[i].ext[1] : BERTH_PROTO_TCP);
	}
}

/* One that cannot be believed makes no fragment of its packet. */
static void an_ip6_fragment_header_too_far_in_or_past_the_end_is_bad(void **state)
{
	(void)state;
	static const uint8_t ext[] = {DEST, FRAG, END};
	struct fixture_packet from = valid[2];
	struct fixture_frame frame;
	struct berth_packet packet;
	from.ext = ext;
	from.ext_fragment = 0x0001;
	from.payload = 12;
	from.ext_length = 119; /* 14 + 40 + 960 = 1014 bytes in, and TCP 1022 */
	check_verdict("near", parse(&from, &packet), BERTH_NO_VERDICT);
	from.ext_length = 120;
	check_verdict("TCP far", parse(&from, &packet), BERTH_VERDICT_BAD_IP6);
	from.ext_length = 121;
	check_verdict("far", parse(&from, &packet), BERTH_VERDICT_BAD_IP6);
	from.ext_length = 0;
	from.ext_fragment = 0x0100;
	fixture_build(&frame, &from);
	for (uint16_t payload = 0; payload <= 16; payload++) {
		fixture_put16(frame.frame.data + frame.network + 4, payload);
		check_verdict("past the end", parse_at_edge(frame.frame.data, frame.bytes, &packet),
			      payload < 16 ? BERTH_VERDICT_BAD_IP6 : BERTH_NO_VERDICT);
	}
}

static void what_is_neither_ip4_nor_ip6_is_passed(void **state)
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

/* Its length is 40 more than 16 bits hold: it must not seem short. Frames like this come from chained buffers
 * and generic XDP alone. */
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
		cmocka_unit_test(every_truncation_is_bad_and_reads_nothing_past_the_end),
		cmocka_unit_test(every_truncation_of_the_transport_header_is_bad),
		cmocka_unit_test(a_header_that_goes_on_in_another_buffer_is_bad),
		cmocka_unit_test(a_wrong_length_or_version_is_told_from_a_harmless_oddity),
		cmocka_unit_test(only_tcp_and_udp_are_transports),
		cmocka_unit_test(ip4_options_of_any_length_are_skipped),
		cmocka_unit_test(all_tcp_flags_are_kept),
		cmocka_unit_test(fragments_are_told_from_whole_packets_and_must_be_sound),
		cmocka_unit_test(only_offset_and_more_fragments_make_a_fragment),
		cmocka_unit_test(a_udp_length_may_exceed_a_first_fragment_only),
		cmocka_unit_test(the_last_hop_is_known),
		cmocka_unit_test(ip4_mapped_addresses_are_no_addresses_on_a_link),
		cmocka_unit_test(up_to_eight_ip6_extension_headers_are_walked),
		cmocka_unit_test(every_truncation_of_extension_headers_is_bad),
		cmocka_unit_test(an_extension_header_longer_than_its_packet_is_bad),
		cmocka_unit_test(a_transport_header_too_far_in_is_not_looked_for),
		cmocka_unit_test(an_ip6_fragment_header_may_stand_anywhere_but_once),
		cmocka_unit_test(an_ip6_fragment_header_too_far_in_or_past_the_end_is_bad),
		cmocka_unit_test(what_is_neither_ip4_nor_ip6_is_passed),
		cmocka_unit_test(the_longest_ip6_packet_keeps_its_length),
	};
	return cmocka_run_group_tests_name("parse", tests, map_pages, unmap_pages);
}
