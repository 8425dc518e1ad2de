// SPDX-License-Identifier: BSD-3-Clause
/* encap.h, emit.h: the bytes that leave, checked against headers written by hand. nat is in test_nat.c. */
#include "tests/unit/dataplane/core/image.h"

static int set_up(void **state)
{
	return set_up_image(state);
}

enum {
	SERVICE = 1,
	BACKEND = 3,
	TTL = 63, /* of the packets, as tests/support/packet.h builds them */
};

/* Its low 20 bits show in a flow label, those from 20 on in the outer source. */
static uint64_t flow_hash = UINT64_C(0x123456789ab7a5c3);

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

/* Parses and emits. */
static enum berth_verdict emit_built(struct fixture_frame *frame, const struct berth_backend *backend,
				     struct berth_egress *way)
{
	struct berth_packet packet;
	assert_int_equal(berth_parse(&frame->frame, &packet, frame->bytes), BERTH_NO_VERDICT);
	packet.hash = flow_hash;
	return berth_emit(&frame->frame, &packet, backend, way);
}

/* Builds, parses and emits; `before` gets the frame as it came. */
static enum berth_verdict emit(struct fixture_frame *frame, const struct fixture_packet *from,
			       const struct berth_backend *backend, uint8_t *before)
{
	struct berth_egress way = {99, 99};
	fixture_build(frame, from);
	memcpy(before, frame->frame.data, frame->bytes);
	enum berth_verdict verdict = emit_built(frame, backend, &way);
	if (verdict == BERTH_NO_VERDICT)
		assert_int_equal(way.port, backend->port);
	return verdict;
}

static struct berth_backend *backend_at(enum berth_mode mode, const char *address)
{
	struct berth_backend *backend = fixture_backend(&image, BACKEND, SERVICE, mode, address);
	backend->port = 1;
	return backend;
}

/* The outer header as RFC 791 draws it. */
static uint32_t write_outer4(uint8_t *at, uint32_t length, uint8_t tos, uint8_t protocol, uint32_t varying)
{
	const uint8_t addresses[] = {192, 0, (uint8_t)(varying >> 8), (uint8_t)varying, 192, 0, 2, 33};
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
static uint32_t write_outer6(uint8_t *at, uint32_t length, uint8_t traffic_class, uint8_t next_header,
			     uint32_t varying)
{
	uint32_t first = 0x60000000u | (uint32_t)traffic_class << 20 | (flow_hash & 0xfffff);
	union berth_addr src = fixture_addr("2001:db8:3::"), dst = fixture_addr("2001:db8:3::33");
	fixture_put16(&src.byte[14], varying);
	fixture_put16(at, first >> 16);
	fixture_put16(at + 2, first & 0xffff);
	fixture_put16(at + 4, length);
	at[6] = next_header;
	at[7] = 64;
	memcpy(at + 8, &src, 16);
	memcpy(at + 24, &dst, 16);
	return 40;
}

/* RFC 768, over the packet as in GUE's variant 1. */
static uint32_t write_udp(uint8_t *at, uint32_t length, uint16_t port)
{
	fixture_put16(at, 49152 + (uint32_t)(flow_hash >> 20 & 0x3fff));
	fixture_put16(at + 2, port);
	fixture_put16(at + 4, 8 + length);
	fixture_put16(at + 6, 0);
	return 8;
}

static void l2_rewrites_the_link_addresses_and_the_ttl_only(void **state)
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
		fixture_decrement_ttl(expected + frame.network);
		assert_int_equal(frame.frame.end - frame.frame.data, frame.bytes);
		assert_memory_equal(frame.frame.data, expected, frame.bytes);
	}
}

/* Low 16 bits of the outer source where none of them varies: 192.0.2.254, 2001:db8:3::fe. */
static uint32_t plain_source(bool outer4)
{
	return outer4 ? 2 << 8 | 254 : 0xfe;
}

/* What a frame of a packet becomes: link header, tags, outer headers, packet. `varying`: of the outer source. */
static void check_tunnel(const struct fixture_packet *from, const struct berth_backend *backend, uint32_t varying)
{
	struct fixture_frame frame;
	uint8_t before[FIXTURE_ROOM], expected[FIXTURE_ROOM];
	assert_int_equal(emit(&frame, from, backend, before), BERTH_NO_VERDICT);

	bool outer4 = berth_addr_is4(&backend->address), gue = backend->mode == BERTH_MODE_GUE;
	uint32_t inner = frame.bytes - frame.network; /* padding included */
	uint8_t protocol = gue ? 17 : strchr(from->dst, ':') ? 41 : 4;
	memcpy(expected, before, frame.network);
	memcpy(expected, backend->dst_mac, 6);
	memcpy(expected + 6, backend->src_mac, 6);
	fixture_put16(expected + frame.network - 2, outer4 ? 0x0800 : 0x86dd);
	uint8_t *at = expected + frame.network;
	uint32_t length = inner - from->trailer, udp = gue ? 8 : 0;
	at += outer4 ? write_outer4(at, udp + length, from->traffic_class, protocol, varying)
		     : write_outer6(at, udp + length, from->traffic_class, protocol, varying);
	at += gue ? write_udp(at, length, berth_from_be16(backend->dport)) : 0;
	memcpy(at, before + frame.network, inner);
	fixture_decrement_ttl(at);
	at += inner;

	assert_int_equal(frame.frame.end - frame.frame.data, at - expected);
	assert_memory_equal(frame.frame.data, expected, (size_t)(at - expected));
	if (outer4) /* a right header sums up to 0 */
		assert_int_equal(fixture_checksum(frame.frame.data + frame.network, 20), 0);
}

static const struct {
	enum berth_mode mode;
	const char *address;
	uint32_t extra;
} tunnels[] = {
	{BERTH_MODE_IPIP, "192.0.2.33", 20},
	{BERTH_MODE_IPIP, "2001:db8:3::33", 40},
	{BERTH_MODE_GUE, "192.0.2.33", 28},
	{BERTH_MODE_GUE, "2001:db8:3::33", 48},
};

static void tunnels_add_one_valid_header(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < COUNT(tunnels) * 2 * 3; i++) {
		const struct berth_backend *backend = backend_at(tunnels[i % 4].mode, tunnels[i % 4].address);
		struct fixture_packet from = i / 4 % 2 ? inner6 : inner4;
		from.tags = (uint8_t)(i / 8);
		from.trailer = from.tags == 1 ? 7 : 0;
		check_tunnel(&from, backend, plain_source(i % 2 == 0));
	}
}

/* All packets of a flow have the same; flow label and source bits are other bits of the hash. */
static void the_outer_udp_port_is_from_the_flow_hash(void **state)
{
	(void)state;
	struct berth_backend *backend = backend_at(BERTH_MODE_GUE, "192.0.2.33");
	uint64_t before = flow_hash;
	for (uint32_t i = 0; i < 64; i++) {
		flow_hash = UINT64_C(1) << i;
		backend->dport = berth_to_be16((uint16_t)(1 + i * 1023));
		check_tunnel(i % 2 ? &inner6 : &inner4, backend, plain_source(true));
	}
	flow_hash = before;
}

/* So that whoever spreads packets by their addresses spreads flows. */
static void as_many_bits_of_the_outer_source_vary_as_configured(void **state)
{
	(void)state;
	uint64_t before = flow_hash;
	for (uint32_t i = 0; i < COUNT(tunnels) * (BERTH_MAX_SOURCE_BITS + 1); i++) {
		struct berth_backend *backend = backend_at(tunnels[i % 4].mode, tunnels[i % 4].address);
		uint32_t bits = i / 4;
		backend->source_bits = (uint8_t)bits;
		backend->outer_src = fixture_addr(i % 2 ? "2001:db8:3::" : "192.0.0.0");
		check_tunnel(&inner4, backend, (uint32_t)(flow_hash >> 20) & ((1u << bits) - 1));
		flow_hash = ~flow_hash;
		check_tunnel(&inner6, backend, (uint32_t)(flow_hash >> 20) & ((1u << bits) - 1));
		flow_hash = UINT64_C(0xfffff);
		check_tunnel(&inner6, backend, 0);
		flow_hash = UINT64_C(0xffff) << 20;
		check_tunnel(&inner4, backend, (1u << bits) - 1);
		flow_hash = before;
	}
}

/* The bits above them are kept. */
static void the_fixed_bits_of_the_outer_source_stay(void **state)
{
	(void)state;
	uint64_t before = flow_hash;
	struct berth_backend *backend = backend_at(BERTH_MODE_IPIP, "192.0.2.33");
	backend->source_bits = 3;
	backend->outer_src = fixture_addr("192.0.2.248");
	for (uint32_t i = 0; i < 16; i++) {
		flow_hash = (uint64_t)i << 20;
		check_tunnel(&inner4, backend, 2 << 8 | 248 | (i & 7));
	}
	flow_hash = before;
}

/* The incremental update of RFC 1141 against the full sum, for each possible header checksum. */
static void a_decremented_ttl_keeps_every_checksum_valid(void **state)
{
	(void)state;
	const struct berth_backend *backend = backend_at(BERTH_MODE_L2, "192.0.2.33");
	for (uint32_t id = 0; id <= 0xffff; id++) {
		struct fixture_frame frame;
		struct berth_egress way;
		fixture_build(&frame, &inner4);
		uint8_t *ip = frame.frame.data + frame.network;
		ip[8] = (uint8_t)(2 + id % 254);
		fixture_put16(ip + 4, id);
		fixture_put16(ip + 10, 0);
		fixture_put16(ip + 10, fixture_checksum(ip, 20));
		uint8_t expected[20];
		memcpy(expected, ip, 20);
		fixture_decrement_ttl(expected);
		assert_int_equal(emit_built(&frame, backend, &way), BERTH_NO_VERDICT);
		assert_memory_equal(ip, expected, 20);
	}
}

static void a_decremented_ttl_keeps_an_invalid_checksum_invalid(void **state)
{
	(void)state;
	const struct berth_backend *backend = backend_at(BERTH_MODE_L2, "192.0.2.33");
	struct fixture_frame frame;
	struct berth_egress way;
	fixture_build(&frame, &inner4);
	uint8_t *ip = frame.frame.data + frame.network;
	ip[11] ^= 0x10;
	assert_int_equal(emit_built(&frame, backend, &way), BERTH_NO_VERDICT);
	assert_int_equal(ip[8], TTL - 1);
	assert_int_not_equal(fixture_checksum(ip, 20), 0);
}

/* The inner TTL, in every mode and for each TTL of a received packet. */
static void the_inner_ttl_is_decremented(void **state)
{
	(void)state;
	for (uint32_t ttl = 2; ttl < 256; ttl++) {
		for (uint32_t i = 0; i < (COUNT(tunnels) + 1) * 2; i++) {
			bool is6 = i % 2;
			const struct berth_backend *backend = i < 2 ? backend_at(BERTH_MODE_L2, "192.0.2.33")
								    : backend_at(tunnels[i / 2 - 1].mode,
										 tunnels[i / 2 - 1].address);
			struct fixture_frame frame;
			struct berth_egress way;
			fixture_build(&frame, is6 ? &inner6 : &inner4);
			frame.frame.data[frame.network + (is6 ? 7 : 8)] = (uint8_t)ttl;
			assert_int_equal(emit_built(&frame, backend, &way), BERTH_NO_VERDICT);
			const uint8_t *ip = frame.frame.end - (frame.bytes - frame.network);
			assert_int_equal(ip[is6 ? 7 : 8], ttl - 1);
			if (i >= 2)
				assert_int_equal(frame.frame.data[frame.network + (i / 2 % 2 ? 8 : 7)], 64);
		}
	}
}

static void outer_ip4_checksums_are_valid_for_every_length_and_class(void **state)
{
	(void)state;
	struct fixture_packet from = inner4;
	for (uint32_t i = 0; i < 256; i++) {
		from.traffic_class = (uint8_t)i;
		from.payload = (uint16_t)(i * 5);
		check_tunnel(&from, backend_at(BERTH_MODE_IPIP, "192.0.2.33"), plain_source(true));
	}
}

/* Eight words of ones and every ninth: some of the sums carry a second time when the first carry is added. */
static void the_checksum_folds_every_carry(void **state)
{
	(void)state;
	uint8_t bytes[20];
	for (uint32_t word = 0; word <= 0xffff; word++) {
		uint64_t sum = 0;
		memset(bytes, 0xff, sizeof(bytes));
		fixture_put16(bytes + 10, 0);
		fixture_put16(bytes + 18, word);
		for (size_t i = 0; i < sizeof(bytes); i += 4) {
			uint32_t raw;
			memcpy(&raw, bytes + i, sizeof(raw));
			sum += raw;
		}
		uint16_t checksum = (uint16_t)~berth_checksum_fold64(sum);
		memcpy(bytes + 10, &checksum, sizeof(checksum));
		assert_int_equal(fixture_checksum(bytes, sizeof(bytes)), 0);
	}
}

static void a_packet_can_be_as_large_as_the_mtu_and_no_larger(void **state)
{
	(void)state;
	static const struct {
		enum berth_mode mode;
		const char *address;
		uint32_t extra;
	} ways[] = {
		{BERTH_MODE_L2, "192.0.2.33", 0},    {BERTH_MODE_L2, "2001:db8:3::33", 0},
		{BERTH_MODE_IPIP, "192.0.2.33", 20}, {BERTH_MODE_IPIP, "2001:db8:3::33", 40},
		{BERTH_MODE_GUE, "192.0.2.33", 28},  {BERTH_MODE_GUE, "2001:db8:3::33", 48},
		{BERTH_MODE_NAT, "192.0.2.33", 0},
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
			/* The MTU in the verdict is the largest size that then fits. */
			struct berth_egress way = {99, 99};
			assert_int_equal(emit_built(&frame, backend, &way), BERTH_VERDICT_TOO_BIG);
			assert_int_equal(way.mtu, mtu - ways[i / 2].extra);
		}
	}
}

static void the_longest_ip6_packet_fits_no_path_mtu(void **state)
{
	(void)state;
	struct berth_packet packet = {.length = 65575, .is6 = 1, .network = 14};
	struct fixture_frame frame;
	struct berth_egress way;
	fixture_build(&frame, &inner6);
	struct berth_backend *backend = backend_at(BERTH_MODE_L2, "2001:db8:3::33");
	backend->mtu = 65535;
	assert_int_equal(berth_emit(&frame.frame, &packet, backend, &way), BERTH_VERDICT_TOO_BIG);
	assert_int_equal(way.mtu, 65535);
}

static void without_headroom_the_frame_is_unchanged(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < COUNT(tunnels) * 2; i++) {
		uint32_t extra = tunnels[i / 2].extra;
		const struct berth_backend *backend = backend_at(tunnels[i / 2].mode, tunnels[i / 2].address);
		for (uint32_t room = extra - 1; room <= extra; room++) {
			struct fixture_frame frame;
			uint8_t before[FIXTURE_ROOM];
			struct berth_egress way;
			fixture_build(&frame, i % 2 ? &inner6 : &inner4);
			frame.frame.handle = frame.frame.data - room;
			memcpy(before, frame.frame.data, frame.bytes);
			enum berth_verdict verdict = emit_built(&frame, backend, &way);
			assert_int_equal(verdict, room < extra ? BERTH_VERDICT_NO_HEADROOM : BERTH_NO_VERDICT);
			if (room < extra)
				assert_memory_equal(frame.frame.data, before, frame.bytes);
		}
	}
}

static void without_a_next_hop_nothing_is_sent(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 8; i++) {
		struct fixture_frame frame;
		uint8_t before[FIXTURE_ROOM];
		struct berth_backend *backend = backend_at((enum berth_mode)(i % 4), "192.0.2.33");
		backend->flags = 0;
		backend->mtu = 40; /* unresolved, so not too small either */
		assert_int_equal(emit(&frame, i / 4 ? &inner6 : &inner4, backend, before),
				 BERTH_VERDICT_NO_NEXT_HOP);
		assert_memory_equal(frame.frame.data, before, frame.bytes);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(l2_rewrites_the_link_addresses_and_the_ttl_only),
		TEST(tunnels_add_one_valid_header),
		TEST(the_outer_udp_port_is_from_the_flow_hash),
		TEST(as_many_bits_of_the_outer_source_vary_as_configured),
		TEST(the_fixed_bits_of_the_outer_source_stay),
		TEST(a_decremented_ttl_keeps_every_checksum_valid),
		TEST(a_decremented_ttl_keeps_an_invalid_checksum_invalid),
		TEST(the_inner_ttl_is_decremented),
		TEST(outer_ip4_checksums_are_valid_for_every_length_and_class),
		TEST(the_checksum_folds_every_carry),
		TEST(a_packet_can_be_as_large_as_the_mtu_and_no_larger),
		TEST(the_longest_ip6_packet_fits_no_path_mtu),
		TEST(without_headroom_the_frame_is_unchanged),
		TEST(without_a_next_hop_nothing_is_sent),
	};
	return cmocka_run_group_tests_name("encap", tests, NULL, NULL);
}
