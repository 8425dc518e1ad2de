// SPDX-License-Identifier: BSD-3-Clause
/* parse.h: fragments, and headers between IPv6 and transport headers. */
#include "tests/unit/dataplane/core/parse.h"

/* A fragment by its IP header, and the expected verdict; payloads in bytes behind the IP headers. */
struct fragment {
	const char *name;
	uint32_t offset; /* bytes */
	bool more;
	uint8_t protocol;
	uint16_t payload; /* of these, behind 20 bytes of TCP or 8 of UDP */
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
	/* RFC 1858: a first fragment without its whole transport header. */
	{"tiny first of TCP", 0, true, 6, 16, BERTH_VERDICT_BAD_TCP, FIRST},
	{"tiny first of TCP, 8 bytes", 0, true, 6, 8, BERTH_VERDICT_BAD_TCP, FIRST},
	{"first of ICMP", 0, true, 1, 32, BERTH_VERDICT_NOT_TCP_UDP, FIRST},
	{"first of ICMPv6", 0, true, 58, 32, BERTH_VERDICT_NOT_TCP_UDP, FIRST},
	{"later of ICMP", 128, false, 1, 32, BERTH_VERDICT_NOT_TCP_UDP, LATER},
	{"later of ICMPv6", 128, false, 58, 32, BERTH_VERDICT_NOT_TCP_UDP, LATER},
	{"later of ESP", 128, true, 50, 32, BERTH_VERDICT_NOT_TCP_UDP, LATER},
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
	fixture_put16(l4, 1025); /* can be behind the end of a shorter packet */
	fixture_put16(l4 + 2, 80);
	if (f->protocol == BERTH_PROTO_UDP)
		fixture_put16(l4 + 4, 1400); /* of the whole datagram */
	else
		l4[12] = 0x50;
}

static void fragments_are_recognised_and_must_be_valid(void **state)
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
		packet.traits &= (uint8_t)~BERTH_HAS_PAYLOAD;
		if (packet.traits != f->traits)
			fail_msg("%s: traits %u", f->name, packet.traits);
		assert_int_not_equal(packet.length, 0); /* its IP header is valid */
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
		assert_int_equal(packet.traits & ~BERTH_HAS_PAYLOAD, 0);
		from6.ext = ext;
		from6.ext_fragment = (uint16_t)(i * 2);
		check_verdict("reserved bits", parse(&from6, &packet), BERTH_NO_VERDICT);
		assert_int_equal(packet.traits & ~BERTH_HAS_PAYLOAD, 0);
		assert_int_equal(berth_from_be16(packet.dport), 80);
	}
}

/* The UDP length of a last fragment, and of a first one that is shorter. */
static void only_a_first_fragment_can_be_shorter_than_its_udp_length(void **state)
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

static void up_to_eight_ip6_extension_headers_are_skipped(void **state)
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
			assert_int_equal(packet.traits & ~BERTH_HAS_PAYLOAD,
					 0); /* atomic fragments are whole (RFC 6946) */
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
	/* 8 + 20 + 9 bytes: one more unit ends in the TCP header, four or more end behind the packet. */
	*length = 1;
	check_verdict("into TCP", parse_at_edge(frame.frame.data, frame.bytes, &packet), BERTH_VERDICT_BAD_TCP);
	*length = 4;
	check_verdict("past the end", parse_at_edge(frame.frame.data, frame.bytes, &packet), BERTH_VERDICT_BAD_IP6);
	*length = 255;
	check_verdict("far past it", parse_at_edge(frame.frame.data, frame.bytes, &packet), BERTH_VERDICT_BAD_IP6);
}

static void a_transport_header_behind_the_maximum_offset_is_bad(void **state)
{
	(void)state;
	static const uint8_t ext[] = {BERTH_PROTO_DEST_OPTIONS, BERTH_PROTO_DEST_OPTIONS, FIXTURE_EXT_END};
	static const struct {
		uint8_t length;
		enum berth_verdict verdict;
	} cases[] = {
		{59, BERTH_NO_VERDICT},	      /* 14 + 40 + 2 * 480 = 1014 bytes in */
		{60, BERTH_VERDICT_BAD_IP6},  /* 1030 */
		{119, BERTH_VERDICT_BAD_IP6}, /* the second header is at 1014, the next at 1974 */
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

/* Headers before and behind an IPv6 fragment header, and further fragment headers. */
static void an_ip6_fragment_header_can_be_anywhere_but_only_once(void **state)
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
		/* Behind the header of a later fragment there is payload. */
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
		assert_int_equal(packet.traits & ~BERTH_HAS_PAYLOAD, cases[i].traits);
		assert_int_equal(packet.sport.raw != 0, cases[i].traits != LATER);
		/* The protocol of a later fragment is that of its fragment header. */
		assert_int_equal(packet.protocol, cases[i].traits == LATER ? cases[i].ext[1] : BERTH_PROTO_TCP);
	}
}

/* An invalid fragment header does not make the packet a fragment. */
static void an_ip6_fragment_header_behind_the_maximum_offset_or_the_end_is_bad(void **state)
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fragments_are_recognised_and_must_be_valid),
		cmocka_unit_test(only_offset_and_more_fragments_make_a_fragment),
		cmocka_unit_test(only_a_first_fragment_can_be_shorter_than_its_udp_length),
		cmocka_unit_test(up_to_eight_ip6_extension_headers_are_skipped),
		cmocka_unit_test(every_truncation_of_extension_headers_is_bad),
		cmocka_unit_test(an_extension_header_longer_than_its_packet_is_bad),
		cmocka_unit_test(a_transport_header_behind_the_maximum_offset_is_bad),
		cmocka_unit_test(an_ip6_fragment_header_can_be_anywhere_but_only_once),
		cmocka_unit_test(an_ip6_fragment_header_behind_the_maximum_offset_or_the_end_is_bad),
	};
	return cmocka_run_group_tests_name("parse_extensions", tests, map_pages, unmap_pages);
}
