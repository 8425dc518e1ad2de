// SPDX-License-Identifier: BSD-3-Clause
/* timing.h: the time from SYN to SYN-ACK of a sample of new flows. */
#include "tests/unit/dataplane/core/nat.h"

enum {
	TCP4 = 0, /* ways of TCP */
	TCP6 = 3,
	FIRST_PORT = 2000,
	BEGIN_US = 1000000,
	SYN_ACK = BERTH_TCP_SYN | BERTH_TCP_ACK,
};

static struct berth_timing_line *line_of(uint32_t way)
{
	return &image.timings[way + 1];
}

static int set_up_timed(void **state)
{
	set_up(state);
	fixture_backend_at(&image, TCP4 + 1)->flags |= BERTH_BACKEND_TIMED;
	fixture_backend_at(&image, TCP6 + 1)->flags |= BERTH_BACKEND_TIMED;
	return 0;
}

static uint32_t timed(uint32_t way)
{
	return (uint32_t)(line_of(way)->totals >> BERTH_TIMING_SUM_BITS);
}

static uint64_t sum_us(uint32_t way)
{
	return line_of(way)->totals & ((UINT64_C(1) << BERTH_TIMING_SUM_BITS) - 1);
}

static uint32_t waiting(uint32_t way)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < BERTH_TIMING_SYNS; i++)
		n += line_of(way)->syn[i] != 0;
	return n;
}

/* Time of the tables and precise time are apart here: the latter alone counts. */
static struct berth_view view_at(uint64_t us)
{
	struct berth_view view = fixture_view(&image, FIXTURE_NOW);
	view.now_ns = us * 1000;
	return view;
}

static void send_at(const struct fixture_packet *packet, uint64_t us)
{
	const struct berth_view view = view_at(us);
	fixture_send(&view, packet);
}

static void from_client(uint32_t way, uint16_t sport, uint8_t flags, uint64_t us)
{
	struct fixture_packet to = ways[way].to;
	to.sport = sport;
	to.tcp_flags = flags;
	send_at(&to, us);
}

static void from_backend(uint32_t way, uint16_t dport, uint8_t flags, uint64_t us)
{
	struct fixture_packet back = wire_reply(inside(&ways[way]));
	back.dport = dport;
	back.tcp_flags = flags;
	send_at(&back, us);
}

static bool is_sampled(uint32_t way, uint16_t sport)
{
	const struct berth_view view = view_at(0);
	struct fixture_packet to = ways[way].to;
	struct fixture_frame frame;
	struct berth_packet packet;
	to.sport = sport;
	to.tcp_flags = BERTH_TCP_SYN;
	fixture_build(&frame, &to);
	assert_int_equal(berth_receive(&view, &frame.frame, &packet, frame.bytes), BERTH_NO_VERDICT);
	return berth_timing_is_sampled(packet.hash);
}

/* The client port of the next flow in the sample, from `port` on. */
static uint16_t sampled(uint32_t way, uint16_t port)
{
	while (!is_sampled(way, port))
		port++;
	return port;
}

static void a_time_is_that_from_syn_to_syn_ack(void **state)
{
	(void)state;
	static const uint32_t both[] = {TCP4, TCP6};
	for (uint32_t i = 0; i < 2; i++) {
		const uint32_t way = both[i];
		const uint16_t port = sampled(way, FIRST_PORT), other = sampled(way, port + 1);
		from_client(way, port, BERTH_TCP_SYN, BEGIN_US);
		from_client(way, other, BERTH_TCP_SYN, BEGIN_US + 40);
		assert_int_equal(waiting(way), 2);
		from_backend(way, port, SYN_ACK, BEGIN_US + 350);
		assert_int_equal(timed(way), 1);
		assert_int_equal(sum_us(way), 350);
		from_backend(way, other, SYN_ACK, BEGIN_US + 540);
		assert_int_equal(timed(way), 2);
		assert_int_equal(sum_us(way), 850);
		assert_int_equal(waiting(way), 0);
		/* Sent again. */
		from_backend(way, port, SYN_ACK, BEGIN_US + 900);
		assert_int_equal(timed(way), 2);
	}
}

static void one_flow_in_thirty_two_is_timed(void **state)
{
	(void)state;
	const uint32_t flows = 16384, expected = flows / 32;
	for (uint16_t i = 0; i < flows; i++) {
		from_client(TCP4, FIRST_PORT + i, BERTH_TCP_SYN, BEGIN_US);
		from_backend(TCP4, FIRST_PORT + i, SYN_ACK, BEGIN_US + 100);
	}
	assert_in_range(timed(TCP4), expected * 8 / 10, expected * 12 / 10);
	assert_int_equal(sum_us(TCP4), timed(TCP4) * 100);
}

static void a_second_syn_ends_the_time_of_its_flow(void **state)
{
	(void)state;
	const uint16_t port = sampled(TCP4, FIRST_PORT);
	from_client(TCP4, port, BERTH_TCP_SYN, BEGIN_US);
	from_client(TCP4, port, BERTH_TCP_SYN, BEGIN_US + 500);
	assert_int_equal(waiting(TCP4), 0);
	from_backend(TCP4, port, SYN_ACK, BEGIN_US + 600);
	assert_int_equal(timed(TCP4), 0);
	/* A third one is not timed either. */
	from_client(TCP4, port, BERTH_TCP_SYN, BEGIN_US + 1000);
	from_backend(TCP4, port, SYN_ACK, BEGIN_US + 1100);
	assert_int_equal(timed(TCP4), 0);
}

static void a_connection_on_the_ports_of_one_that_was_not_answered_is_not_timed(void **state)
{
	(void)state;
	const uint16_t port = sampled(TCP4, FIRST_PORT);
	from_client(TCP4, port, BERTH_TCP_SYN, BEGIN_US);
	from_client(TCP4, port, BERTH_TCP_RST, BEGIN_US + 100);
	from_client(TCP4, port, BERTH_TCP_SYN, BEGIN_US + 500);
	assert_int_equal(waiting(TCP4), 0);
	from_backend(TCP4, port, SYN_ACK, BEGIN_US + 600);
	assert_int_equal(timed(TCP4), 0);
}

static void a_second_syn_ends_the_time_although_the_entry_is_lost(void **state)
{
	(void)state;
	const uint16_t port = sampled(TCP4, FIRST_PORT);
	from_client(TCP4, port, BERTH_TCP_SYN, BEGIN_US);
	memset(image.flows, 0, image.geometry.flow_buckets * sizeof(*image.flows));
	from_client(TCP4, port, BERTH_TCP_SYN, BEGIN_US + 500);
	assert_int_equal(waiting(TCP4), 0);
	from_backend(TCP4, port, SYN_ACK, BEGIN_US + 600);
	assert_int_equal(timed(TCP4), 0);
}

static void only_a_syn_ack_of_the_flows_backend_counts(void **state)
{
	(void)state;
	const uint16_t port = sampled(TCP4, FIRST_PORT);
	from_client(TCP4, port, BERTH_TCP_SYN, BEGIN_US);
	static const uint8_t flags[] = {BERTH_TCP_RST | BERTH_TCP_ACK, BERTH_TCP_ACK, BERTH_TCP_SYN,
					SYN_ACK | BERTH_TCP_RST};
	/* From the client, as one that the service sent. */
	from_client(TCP4, port, SYN_ACK, BEGIN_US + 10);
	memset(image.flows, 0, image.geometry.flow_buckets * sizeof(*image.flows));
	memset(line_of(TCP4), 0, sizeof(*line_of(TCP4)));
	for (uint32_t i = 0; i < COUNT(flags); i++) {
		from_client(TCP4, port, BERTH_TCP_SYN, BEGIN_US);
		from_backend(TCP4, port, flags[i], BEGIN_US + 100);
		assert_int_equal(timed(TCP4), 0);
		memset(image.flows, 0, image.geometry.flow_buckets * sizeof(*image.flows));
		memset(line_of(TCP4), 0, sizeof(*line_of(TCP4)));
	}
	from_backend(TCP4, port, SYN_ACK, BEGIN_US + 200);
	assert_int_equal(timed(TCP4), 0);
}

static void a_backend_that_is_not_timed_has_no_times(void **state)
{
	(void)state;
	const uint16_t port = sampled(TCP4, FIRST_PORT);
	fixture_backend_at(&image, TCP4 + 1)->flags &= (uint8_t)~BERTH_BACKEND_TIMED;
	from_client(TCP4, port, BERTH_TCP_SYN, BEGIN_US);
	from_backend(TCP4, port, SYN_ACK, BEGIN_US + 100);
	assert_int_equal(waiting(TCP4), 0);
	assert_int_equal(timed(TCP4), 0);
}

static uint16_t fill(uint16_t port, uint32_t flows, uint64_t us)
{
	while (flows--) {
		port = sampled(TCP4, port);
		from_client(TCP4, port++, BERTH_TCP_SYN, us);
	}
	return port;
}

/* What comes while all wait is not timed: else a flood without answers would leave those of fast servers only. */
static void syns_without_an_answer_keep_their_room_for_a_second(void **state)
{
	(void)state;
	uint16_t port = fill(FIRST_PORT, BERTH_TIMING_SYNS, BEGIN_US);
	const struct berth_timing_line full = *line_of(TCP4);
	port = fill(port, 20, BEGIN_US + BERTH_TIMING_US - 1);
	assert_memory_equal(line_of(TCP4), &full, sizeof(full));
	from_backend(TCP4, sampled(TCP4, FIRST_PORT), SYN_ACK, BEGIN_US + BERTH_TIMING_US - 1);
	assert_int_equal(timed(TCP4), 1);
	assert_int_equal(waiting(TCP4), BERTH_TIMING_SYNS - 1);
	port = sampled(TCP4, port);
	fill(port, 3, BEGIN_US + BERTH_TIMING_US);
	from_backend(TCP4, port, SYN_ACK, BEGIN_US + BERTH_TIMING_US + 70);
	assert_int_equal(timed(TCP4), 2);
	assert_int_equal(sum_us(TCP4), BERTH_TIMING_US - 1 + 70);
	/* Another backend has room of its own. */
	const uint16_t other = sampled(TCP6, FIRST_PORT);
	from_client(TCP6, other, BERTH_TCP_SYN, BEGIN_US + 500);
	assert_int_equal(waiting(TCP6), 1);
}

static void what_takes_longer_than_a_second_counts_nothing(void **state)
{
	(void)state;
	const uint16_t port = sampled(TCP4, FIRST_PORT), behind = sampled(TCP4, port + 1);
	from_client(TCP4, port, BERTH_TCP_SYN, BEGIN_US);
	from_backend(TCP4, port, SYN_ACK, BEGIN_US + BERTH_TIMING_US);
	/* The clock of the worker that has the answer is behind. */
	from_client(TCP4, behind, BERTH_TCP_SYN, BEGIN_US);
	from_backend(TCP4, behind, SYN_ACK, BEGIN_US - 1);
	assert_int_equal(timed(TCP4), 0);
	assert_int_equal(waiting(TCP4), 0);
}

static void a_time_may_pass_the_end_of_32_bits(void **state)
{
	(void)state;
	const uint64_t end_us = UINT64_C(7) << 32;
	const uint16_t port = sampled(TCP4, FIRST_PORT);
	from_client(TCP4, port, BERTH_TCP_SYN, end_us - 30);
	from_backend(TCP4, port, SYN_ACK, end_us + 20);
	assert_int_equal(timed(TCP4), 1);
	assert_int_equal(sum_us(TCP4), 50);
}

static void the_place_of_a_worker_whose_clock_is_ahead_is_kept(void **state)
{
	(void)state;
	uint16_t port = FIRST_PORT, ports[BERTH_TIMING_SYNS];
	for (uint32_t i = 0; i < BERTH_TIMING_SYNS; i++, port++) {
		ports[i] = port = sampled(TCP4, port);
		from_client(TCP4, port, BERTH_TCP_SYN, BEGIN_US + 20);
	}
	from_client(TCP4, sampled(TCP4, port), BERTH_TCP_SYN, BEGIN_US);
	for (uint32_t i = 0; i < BERTH_TIMING_SYNS; i++)
		from_backend(TCP4, ports[i], SYN_ACK, BEGIN_US + 120);
	assert_int_equal(timed(TCP4), BERTH_TIMING_SYNS);
	assert_int_equal(sum_us(TCP4), BERTH_TIMING_SYNS * 100);
}

#undef TEST
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_timed, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_time_is_that_from_syn_to_syn_ack),
		TEST(one_flow_in_thirty_two_is_timed),
		TEST(a_second_syn_ends_the_time_of_its_flow),
		TEST(a_connection_on_the_ports_of_one_that_was_not_answered_is_not_timed),
		TEST(a_second_syn_ends_the_time_although_the_entry_is_lost),
		TEST(only_a_syn_ack_of_the_flows_backend_counts),
		TEST(a_backend_that_is_not_timed_has_no_times),
		TEST(syns_without_an_answer_keep_their_room_for_a_second),
		TEST(the_place_of_a_worker_whose_clock_is_ahead_is_kept),
		TEST(what_takes_longer_than_a_second_counts_nothing),
		TEST(a_time_may_pass_the_end_of_32_bits),
	};
	return cmocka_run_group_tests_name("timing", tests, NULL, NULL);
}
