// SPDX-License-Identifier: BSD-3-Clause
/* nat.h, emit.h: mode nat in both directions. */
#include "tests/unit/dataplane/core/nat.h"

static void the_destination_becomes_that_of_the_backend(void **state)
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

static void the_source_of_return_traffic_becomes_the_service(void **state)
{
	(void)state;
	open_flows();
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

static struct fixture_packet back_of(uint32_t way)
{
	struct fixture_packet back = wire_reply(inside(&ways[way]));
	back.tcp_flags = back.protocol == BERTH_PROTO_TCP ? BERTH_TCP_SYN | BERTH_TCP_ACK : 0;
	return back;
}

/* Sends it, and expects it back unchanged. */
static void check_passes(const struct fixture_packet *packet)
{
	struct fixture_frame frame;
	uint8_t before[FIXTURE_ROOM];
	uint32_t port;
	wire_build(&frame, packet);
	assert_int_equal(forward(&frame, before, &port), BERTH_VERDICT_NO_FLOW);
	assert_int_equal(frame.frame.end - frame.frame.data, frame.bytes);
	assert_memory_equal(frame.frame.data, before, frame.bytes);
}

/* To clients that came directly, and of the backend's own connections. */
static void packets_of_no_flow_pass_unchanged(void **state)
{
	(void)state;
	struct berth_bucket none[16] = {0};
	for (uint32_t way = 0; way < WAYS; way++) {
		const struct fixture_packet back = back_of(way);
		check_passes(&back);
	}
	assert_memory_equal(image.flows, none, sizeof(none));
	assert_memory_equal(image.sessions, none, sizeof(none));
	for (uint32_t i = 0; i < image.geometry.services + image.geometry.backends; i++)
		assert_int_equal(image.tallies[image.geometry.services + image.geometry.backends + i].packets, 0);
	open_flows();
	for (uint32_t way = 0; way < WAYS; way++) {
		struct fixture_packet back = back_of(way);
		back.dport++;
		check_passes(&back);
		back.dport--;
		back.dst = is6(way) ? "2001:db8:2::77" : "198.51.100.77";
		check_passes(&back);
	}
}

/* The flow went to another backend since, which has its address. */
static void packets_of_a_flow_that_moved_pass_unchanged(void **state)
{
	(void)state;
	open_flows();
	for (uint32_t way = 0; way < WAYS; way++) {
		const struct fixture_packet back = back_of(way);
		fixture_backend_at(&image, way + 1)->address.byte[15] ^= 0x80;
		check_passes(&back);
	}
}

/* Its backend's packets alone keep an established flow, but not a half-open one. */
static void return_traffic_keeps_a_flow_alive(void **state)
{
	(void)state;
	for (uint32_t confirmed = 0; confirmed < 2; confirmed++) {
		struct berth_view view = fixture_view(&image, FIXTURE_NOW);
		struct fixture_packet to = ways[0].to, back = back_of(0);
		const uint32_t timeout = confirmed ? 3600 : 10;
		to.sport = back.dport = (uint16_t)(3000 + confirmed);
		to.tcp_flags = BERTH_TCP_SYN;
		assert_int_equal(fixture_send(&view, &to), BERTH_VERDICT_SELECTED);
		to.tcp_flags = BERTH_TCP_ACK;
		if (confirmed)
			assert_int_equal(fixture_send(&view, &to), BERTH_VERDICT_FLOW);
		view.now += timeout;
		assert_int_equal(fixture_send(&view, &back), RETURNED);
		view.now += timeout;
		assert_int_equal(fixture_send(&view, &back), confirmed ? RETURNED : BERTH_VERDICT_NO_FLOW);
	}
}

/* Every word of the flow table is another flow's. */
static void fill_flows(uint32_t seen, uint32_t state)
{
	for (uint32_t i = 0; i < image.geometry.flow_buckets * BERTH_BUCKET_WORDS; i++)
		image.flows[i / BERTH_BUCKET_WORDS].word[i % BERTH_BUCKET_WORDS] = berth_word_make(0x1230000 + i, 1,
												   seen, state);
}

/* Such a flow has no entry: its client's packets go by selection, its backend's are recognised by it. */
static void return_traffic_of_a_flow_without_room_is_recognised_by_selection(void **state)
{
	(void)state;
	fill_flows(FIXTURE_NOW, BERTH_STATE_PROVEN);
	const struct berth_view view = fixture_view(&image, FIXTURE_NOW);
	for (uint32_t way = 0; way < WAYS; way++) {
		struct fixture_packet back = back_of(way);
		assert_int_equal(fixture_send(&view, &ways[way].to), BERTH_VERDICT_TABLE_FULL);
		assert_int_equal(fixture_send(&view, &back), RETURNED);
		/* Selection gives no backend now. */
		fixture_set_eligibility(&image, way + 1, 0);
		check_passes(&back);
	}
	assert_int_equal(image.workers[1].event[BERTH_EVENT_FLOW_ADDED], 0);
}

/* A flood can evict a half-open flow before its SYN-ACK is here. The client would reset what it gets unchanged. */
static void return_traffic_of_an_evicted_flow_is_recognised_by_selection(void **state)
{
	(void)state;
	const struct berth_view view = fixture_view(&image, FIXTURE_NOW);
	for (uint32_t way = 0; way < WAYS; way++) {
		const struct fixture_packet back = back_of(way);
		assert_int_equal(fixture_send(&view, &ways[way].to), BERTH_VERDICT_SELECTED);
		fill_flows(FIXTURE_NOW, BERTH_STATE_UNCONFIRMED);
		assert_int_equal(fixture_send(&view, &back), RETURNED);
		/* A connection that came directly, for longer. */
		struct fixture_packet later = back;
		later.tcp_flags = BERTH_TCP_ACK;
		if (later.protocol == BERTH_PROTO_TCP)
			check_passes(&later);
		/* There was room for an entry: it was not evicted. */
		fill_flows(FIXTURE_NOW - 100, BERTH_STATE_UNCONFIRMED);
		check_passes(&back);
		memset(image.flows, 0, sizeof(*image.flows) * image.geometry.flow_buckets);
		check_passes(&back);
	}
}

/* Each sum of data: the checksum is never 0, which means none in UDP (RFC 768). */
static void a_udp_checksum_is_valid_for_every_sum_and_never_0(void **state)
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
			assert_true(wire_checksums_valid(ip, udp, BERTH_PROTO_UDP));
			ones += wire_read16(udp + 6) == 0xffff;
		}
		assert_in_range(ones, 1, 2); /* instead of 0 */
	}
}

static void a_udp_checksum_of_0_stays_0(void **state)
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

/* The receiver verifies it. */
static void an_invalid_checksum_stays_invalid(void **state)
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
	uint32_t route; /* RETURNED: index of the route */
};

/* Longest prefix first, as published. */
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
		open_flow(strchr(back.dst, ':') ? 2 : 0, back.dst);
		wire_build(&frame, &back);
		enum berth_verdict verdict = forward(&frame, before, &port);
		if (verdict != reaches[i].verdict)
			fail_msg("%s: %s", back.dst, fixture_verdict_name(verdict));
		if (verdict == RETURNED)
			assert_int_equal(frame.frame.data[5], reaches[i].route);
	}
}

/* The kernel routes it like its own packets: link addresses, TTL and MTU are not checked here. */
static void return_traffic_without_a_route_is_rewritten_and_passed(void **state)
{
	(void)state;
	open_flows();
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

static void return_traffic_can_be_as_large_as_the_mtu_of_its_route(void **state)
{
	(void)state;
	open_flows();
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
		/* The backend gets an error from the service, with the MTU, about its packet. */
		uint8_t expected[FIXTURE_ROOM];
		union berth_addr service = fixture_addr(ways[way].to.dst);
		uint32_t bytes = wire_icmp_answer(expected, before, frame.network, UINT32_MAX, &service, 1400);
		assert_int_equal(frame.frame.end - frame.frame.data, bytes);
		assert_memory_equal(frame.frame.data, expected, bytes);
	}
}

static void return_traffic_with_an_expired_ttl_is_dropped_without_an_answer(void **state)
{
	(void)state;
	open_flows();
	for (uint32_t i = 0; i < WAYS * 3; i++) {
		uint32_t way = i % WAYS, ttl = i / WAYS, port;
		struct fixture_packet back = wire_reply(inside(&ways[way]));
		struct fixture_frame frame;
		uint8_t before[FIXTURE_ROOM];
		wire_build(&frame, &back);
		frame.frame.data[frame.network + (is6(way) ? 7 : 8)] = (uint8_t)ttl;
		assert_int_equal(forward(&frame, before, &port), ttl < 2 ? BERTH_VERDICT_TTL_EXPIRED : RETURNED);
		if (ttl < 2)
			assert_memory_equal(frame.frame.data, before, frame.bytes);
	}
}

/* Other traffic of a backend passes to the kernel unchanged. */
static void other_traffic_of_a_backend_passes_unchanged(void **state)
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

/* A backend that is a client of its own service: one packet is rewritten in both directions. */
static void a_backend_can_be_a_client_of_its_service(void **state)
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
	assert_true(wire_checksums_valid(ip, ip + 20, BERTH_PROTO_TCP));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_destination_becomes_that_of_the_backend),
		TEST(the_source_of_return_traffic_becomes_the_service),
		TEST(packets_of_no_flow_pass_unchanged),
		TEST(packets_of_a_flow_that_moved_pass_unchanged),
		TEST(return_traffic_keeps_a_flow_alive),
		TEST(return_traffic_of_a_flow_without_room_is_recognised_by_selection),
		TEST(return_traffic_of_an_evicted_flow_is_recognised_by_selection),
		TEST(a_udp_checksum_is_valid_for_every_sum_and_never_0),
		TEST(a_udp_checksum_of_0_stays_0),
		TEST(an_invalid_checksum_stays_invalid),
		TEST(the_longest_route_to_the_client_is_taken),
		TEST(return_traffic_without_a_route_is_rewritten_and_passed),
		TEST(return_traffic_can_be_as_large_as_the_mtu_of_its_route),
		TEST(return_traffic_with_an_expired_ttl_is_dropped_without_an_answer),
		TEST(other_traffic_of_a_backend_passes_unchanged),
		TEST(a_backend_can_be_a_client_of_its_service),
	};
	return cmocka_run_group_tests_name("nat", tests, NULL, NULL);
}
