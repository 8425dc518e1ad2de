// SPDX-License-Identifier: BSD-3-Clause
/* encap.h: the bytes that leave, checked against headers written by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/fixture.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum {
	SERVICE = 1,
	BACKEND = 3,
	HASH = 0x7a5c3, /* what of it shows in a flow label */
};

static struct berth_image image;

static int set_up(void **state)
{
	(void)state;
	fixture_new(&image, &fixture_geometry);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	fixture_free(&image);
	return 0;
}

static const struct fixture_packet inner4 = {
	.src = "198.51.100.7",
	.dst = "203.0.113.10",
	.sport = 1025,
	.dport = 80,
	.protocol = BERTH_PROTO_TCP,
	.tcp_flags = BERTH_TCP_SYN,
	.traffic_class = 0xb9,
	.payload = 33,
};

static const struct fixture_packet inner6 = {
	.src = "2001:db8:2::7",
	.dst = "2001:db8:1::10",
	.sport = 1025,
	.dport = 80,
	.protocol = BERTH_PROTO_UDP,
	.traffic_class = 0x2e,
	.payload = 33,
};

/* Builds, parses and emits; `before` gets the frame as it came. */
static enum berth_verdict emit(struct fixture_frame *frame, const struct fixture_packet *from,
			       const struct berth_backend *backend, uint8_t *before)
{
	struct berth_packet packet;
	uint32_t port = 99;
	fixture_build(frame, from);
	memcpy(before, frame->frame.data, frame->bytes);
	assert_int_equal(berth_parse(&frame->frame, &packet, frame->bytes), BERTH_NO_VERDICT);
	packet.hash = UINT64_C(0x123456789ab00000) | HASH;
	enum berth_verdict verdict = berth_emit(&frame->frame, &packet, backend, &port);
	if (verdict == BERTH_NO_VERDICT)
		assert_int_equal(port, backend->port);
	return verdict;
}

static struct berth_backend *backend_at(enum berth_mode mode, const char *address)
{
	struct berth_backend *backend = fixture_backend(&image, BACKEND, SERVICE, mode, address);
	backend->port = 1;
	return backend;
}

/* The outer header as RFC 791 draws it. */
static uint32_t write_outer4(uint8_t *at, uint32_t length, uint8_t tos, uint8_t protocol)
{
	static const uint8_t addresses[] = {192, 0, 2, 254, 192, 0, 2, 33};
	memset(at, 0, 20);
	at[0] = 0x45;
	at[1] = tos;
	fixture_put16(at + 2, 20 + length);
	at[6] = 0x40; /* do not fragment */
	at[8] = 64;
	at[9] = protocol;
	memcpy(at + 12, addresses, 8);
	fixture_put16(at + 10, fixture_checksum(at, 20));
	return 20;
}

/* The same of RFC 8200. */
static uint32_t write_outer6(uint8_t *at, uint32_t length, uint8_t traffic_class, uint8_t next_header)
{
	uint32_t first = 0x60000000u | (uint32_t)traffic_class << 20 | HASH;
	union berth_addr src = fixture_addr("2001:db8:3::fe"), dst = fixture_addr("2001:db8:3::33");
	fixture_put16(at, first >> 16);
	fixture_put16(at + 2, first & 0xffff);
	fixture_put16(at + 4, length);
	at[6] = next_header;
	at[7] = 64;
	memcpy(at + 8, &src, 16);
	memcpy(at + 24, &dst, 16);
	return 40;
}

static void l2_rewrites_the_link_addresses_and_nothing_else(void **state)
{
	(void)state;
	static const uint8_t macs[12] = {2, 0, 0, 0, 2, BACKEND, 2, 0, 0, 0, 1, 0};
	for (uint32_t i = 0; i < 6; i++) {
		struct fixture_packet from = i % 2 ? inner6 : inner4;
		struct fixture_frame frame;
		uint8_t expected[FIXTURE_ROOM];
		from.tags = (uint8_t)(i / 2);
		from.trailer = 5;
		const struct berth_backend *backend = backend_at(BERTH_MODE_L2,
								 i % 3 ? "192.0.2.33" : "2001:db8:3::33");
		assert_int_equal(emit(&frame, &from, backend, expected), BERTH_NO_VERDICT);
		memcpy(expected, macs, sizeof(macs));
		assert_int_equal(frame.frame.end - frame.frame.data, frame.bytes);
		assert_memory_equal(frame.frame.data, expected, frame.bytes);
	}
}

/* What a frame of a packet becomes with `outer` in front: link header, tags, outer header, packet. */
static void check_ipip(const struct fixture_packet *from, bool outer4)
{
	struct fixture_frame frame;
	uint8_t before[FIXTURE_ROOM], expected[FIXTURE_ROOM];
	const struct berth_backend *backend = backend_at(BERTH_MODE_IPIP, outer4 ? "192.0.2.33" : "2001:db8:3::33");
	assert_int_equal(emit(&frame, from, backend, before), BERTH_NO_VERDICT);

	bool inner_is6 = strchr(from->dst, ':') != NULL;
	uint32_t inner = frame.bytes - frame.network; /* padding included */
	uint8_t protocol = inner_is6 ? 41 : 4;
	memcpy(expected, before, frame.network);
	memcpy(expected, backend->dst_mac, 6);
	memcpy(expected + 6, backend->src_mac, 6);
	fixture_put16(expected + frame.network - 2, outer4 ? 0x0800 : 0x86dd);
	uint8_t *at = expected + frame.network;
	uint32_t length = inner - from->trailer;
	at += outer4 ? write_outer4(at, length, from->traffic_class, protocol)
		     : write_outer6(at, length, from->traffic_class, protocol);
	memcpy(at, before + frame.network, inner);
	at += inner;

	assert_int_equal(frame.frame.end - frame.frame.data, at - expected);
	assert_memory_equal(frame.frame.data, expected, (size_t)(at - expected));
	if (outer4) /* a right header sums up to 0 */
		assert_int_equal(fixture_checksum(frame.frame.data + frame.network, 20), 0);
}

static void ipip_puts_one_right_header_in_front(void **state)
{
	(void)state;
	for (uint8_t tags = 0; tags <= 2; tags++) {
		for (uint32_t i = 0; i < 4; i++) {
			struct fixture_packet from = i % 2 ? inner6 : inner4;
			from.tags = tags;
			from.trailer = tags == 1 ? 7 : 0;
			check_ipip(&from, i / 2 == 0);
		}
	}
}

static void outer_ip4_checksums_are_right_for_every_length_and_class(void **state)
{
	(void)state;
	struct fixture_packet from = inner4;
	for (uint32_t i = 0; i < 256; i++) {
		from.traffic_class = (uint8_t)i;
		from.payload = (uint16_t)(i * 5);
		check_ipip(&from, true);
	}
}

/* Eight words of ones and every ninth: some of the sums carry a second time when the first carry is added. */
static void the_checksum_folds_every_carry(void **state)
{
	(void)state;
	uint8_t bytes[20];
	for (uint32_t word = 0; word <= 0xffff; word++) {
		memset(bytes, 0xff, sizeof(bytes));
		fixture_put16(bytes + 18, word);
		fixture_put16(bytes + 10, berth_ip4_checksum(UINT32_MAX, UINT32_MAX, 0xffff0000, UINT32_MAX,
							     0xffff0000 | word));
		assert_int_equal(fixture_checksum(bytes, sizeof(bytes)), 0);
	}
}

static void a_packet_may_be_as_large_as_the_mtu_and_no_larger(void **state)
{
	(void)state;
	static const struct {
		enum berth_mode mode;
		const char *address;
		uint32_t extra;
	} ways[] = {
		{BERTH_MODE_L2, "192.0.2.33", 0},
		{BERTH_MODE_L2, "2001:db8:3::33", 0},
		{BERTH_MODE_IPIP, "192.0.2.33", 20},
		{BERTH_MODE_IPIP, "2001:db8:3::33", 40},
	};
	for (size_t i = 0; i < COUNT(ways) * 2; i++) {
		struct berth_backend *backend = backend_at(ways[i / 2].mode, ways[i / 2].address);
		struct fixture_packet from = i % 2 ? inner6 : inner4;
		uint32_t headers = i % 2 ? 40 + 8 : 20 + 20;
		struct fixture_frame frame;
		uint8_t before[FIXTURE_ROOM];
		from.tags = 2; /* tags and padding do not count */
		from.trailer = 40;
		for (uint32_t mtu = 1280; mtu <= 1500; mtu += 220) {
			backend->mtu = (uint16_t)mtu;
			from.payload = (uint16_t)(mtu - ways[i / 2].extra - headers);
			assert_int_equal(emit(&frame, &from, backend, before), BERTH_NO_VERDICT);
			from.payload++;
			assert_int_equal(emit(&frame, &from, backend, before), BERTH_VERDICT_TOO_BIG);
			assert_memory_equal(frame.frame.data, before, frame.bytes);
		}
	}
}

static void the_longest_ip6_packet_fits_no_way(void **state)
{
	(void)state;
	struct berth_packet packet = {.length = 65575, .is6 = 1, .network = 14};
	struct fixture_frame frame;
	uint32_t port;
	fixture_build(&frame, &inner6);
	struct berth_backend *backend = backend_at(BERTH_MODE_L2, "2001:db8:3::33");
	backend->mtu = 65535;
	assert_int_equal(berth_emit(&frame.frame, &packet, backend, &port), BERTH_VERDICT_TOO_BIG);
}

static void without_headroom_the_frame_stays_as_it_is(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 2; i++) {
		struct fixture_frame frame;
		struct berth_packet packet;
		uint8_t before[FIXTURE_ROOM];
		uint32_t port, extra = i ? 40 : 20;
		const struct berth_backend *backend = backend_at(BERTH_MODE_IPIP,
								 i ? "2001:db8:3::33" : "192.0.2.33");
		for (uint32_t room = extra - 1; room <= extra; room++) {
			fixture_build(&frame, &inner4);
			frame.frame.handle = frame.frame.data - room;
			memcpy(before, frame.frame.data, frame.bytes);
			assert_int_equal(berth_parse(&frame.frame, &packet, frame.bytes), BERTH_NO_VERDICT);
			enum berth_verdict verdict = berth_emit(&frame.frame, &packet, backend, &port);
			assert_int_equal(verdict, room < extra ? BERTH_VERDICT_NO_HEADROOM : BERTH_NO_VERDICT);
			if (room < extra)
				assert_memory_equal(frame.frame.data, before, frame.bytes);
		}
	}
}

static void without_a_next_hop_nothing_is_sent(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 4; i++) {
		struct fixture_frame frame;
		uint8_t before[FIXTURE_ROOM];
		struct berth_backend *backend = backend_at(i % 2 ? BERTH_MODE_L2 : BERTH_MODE_IPIP, "192.0.2.33");
		backend->flags = 0;
		assert_int_equal(emit(&frame, i / 2 ? &inner6 : &inner4, backend, before),
				 BERTH_VERDICT_NO_NEXT_HOP);
		assert_memory_equal(frame.frame.data, before, frame.bytes);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(l2_rewrites_the_link_addresses_and_nothing_else),
		TEST(ipip_puts_one_right_header_in_front),
		TEST(outer_ip4_checksums_are_right_for_every_length_and_class),
		TEST(the_checksum_folds_every_carry),
		TEST(a_packet_may_be_as_large_as_the_mtu_and_no_larger),
		TEST(the_longest_ip6_packet_fits_no_way),
		TEST(without_headroom_the_frame_stays_as_it_is),
		TEST(without_a_next_hop_nothing_is_sent),
	};
	return cmocka_run_group_tests_name("encap", tests, NULL, NULL);
}
