// SPDX-License-Identifier: BSD-3-Clause
/* The pipeline while a capture runs: a record of each packet that matches, with the bytes as they came and went. */
#include "tests/unit/dataplane/pipeline_rig.h"

#include <linux/bpf.h>

/* The records in the ring, which is emptied. */
static uint64_t read_all(struct berth_capture_record *records, uint64_t most)
{
	uint64_t n = 0;
	for (; captured.read < captured.written; captured.read++)
		if (n < most)
			records[n++] = captured.record[captured.read % BERTH_CAPTURE_SLOTS];
	return n;
}

/* The bytes that the packet was built of. */
static void assert_arrived(const struct berth_capture_record *record, const struct fixture_packet *packet)
{
	struct fixture_frame frame;
	fixture_build(&frame, packet);
	assert_int_equal(record->in_bytes, frame.bytes);
	assert_int_equal(record->in_copied, RTE_MIN(frame.bytes, (uint32_t)BERTH_CAPTURE_SNAP));
	assert_memory_equal(record->in, frame.frame.data, record->in_copied);
}

/* The bytes of the packet in `port`'s ring. */
static void assert_left(const struct berth_capture_record *record, uint32_t port)
{
	uint8_t buffer[BERTH_CAPTURE_SNAP];
	struct rte_mbuf *mbuf = dequeue(out_ring[port]);
	assert_non_null(mbuf);
	assert_int_equal(record->out_port, port + 1);
	assert_int_equal(record->out_bytes, rte_pktmbuf_pkt_len(mbuf));
	assert_int_equal(record->out_copied, RTE_MIN(record->out_bytes, (uint32_t)BERTH_CAPTURE_SNAP));
	assert_memory_equal(record->out, rte_pktmbuf_read(mbuf, 0, record->out_copied, buffer), record->out_copied);
	rte_pktmbuf_free(mbuf);
}

static void a_record_has_the_bytes_as_they_came_and_as_they_left(void **state)
{
	(void)state;
	struct berth_capture_record record;
	run_one(mbuf_of(&to_ipip6));
	assert_int_equal(read_all(&record, 1), 1);
	assert_int_equal(record.verdict, BERTH_VERDICT_SELECTED);
	assert_int_equal(record.packet.service, 3);
	assert_int_equal(record.packet.backend, 3);
	assert_int_equal(record.in_port, 1);
	assert_int_equal(record.action, XDP_REDIRECT);
	assert_arrived(&record, &to_ipip6);
	assert_left(&record, 1);
}

static void a_packet_in_two_buffers_is_recorded_whole(void **state)
{
	(void)state;
	struct berth_capture_record record;
	run_one(chain_of(&to_ipip, 60));
	assert_int_equal(read_all(&record, 1), 1);
	assert_arrived(&record, &to_ipip);
	assert_left(&record, 1);
}

static void a_long_packet_is_cut(void **state)
{
	(void)state;
	struct berth_capture_record record;
	struct fixture_packet packet = to_ipip;
	packet.payload = 1000;
	run_one(mbuf_of(&packet));
	assert_int_equal(read_all(&record, 1), 1);
	assert_int_equal(record.in_copied, BERTH_CAPTURE_SNAP);
	assert_arrived(&record, &packet);
	assert_left(&record, 1);
}

static void what_does_not_leave_has_no_second_frame(void **state)
{
	(void)state;
	static const struct {
		const struct fixture_packet *packet;
		enum berth_verdict verdict;
		uint32_t action;
	} cases[] = {
		{&to_no_service, BERTH_VERDICT_NO_SERVICE, XDP_PASS},
		{&to_empty_service, BERTH_VERDICT_NO_BACKEND, XDP_DROP},
		{&bad_tcp, BERTH_VERDICT_BAD_TCP, XDP_DROP},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct berth_capture_record record;
		run_one(mbuf_of(cases[i].packet));
		assert_int_equal(read_all(&record, 1), 1);
		assert_int_equal(record.verdict, cases[i].verdict);
		assert_int_equal(record.action, cases[i].action);
		assert_int_equal(record.out_bytes, 0);
		assert_int_equal(record.out_port, 0);
		assert_arrived(&record, cases[i].packet);
	}
}

static void an_answer_leaves_where_the_packet_arrived(void **state)
{
	(void)state;
	struct berth_capture_record record;
	run_one(mbuf_of(&too_big));
	assert_int_equal(read_all(&record, 1), 1);
	assert_int_equal(record.verdict, BERTH_VERDICT_ANSWERED_TOO_BIG);
	assert_int_equal(record.action, XDP_TX);
	assert_arrived(&record, &too_big);
	assert_left(&record, 0);
}

static void a_packet_beyond_a_full_transmit_ring_is_recorded_as_dropped(void **state)
{
	(void)state;
	struct berth_capture_record records[20];
	fill_ring(out_ring[0]);
	run_many(&to_l2, 20);
	assert_int_equal(read_all(records, 20), 20);
	for (uint32_t i = 0; i < 20; i++) {
		const bool is_sent = i < FREE_SLOTS;
		assert_int_equal(records[i].verdict == BERTH_VERDICT_TX_FULL, !is_sent);
		assert_int_equal(records[i].action, is_sent ? XDP_REDIRECT : XDP_DROP);
		assert_int_equal(records[i].out_bytes != 0, is_sent);
	}
}

/* Run on port 1 by run_many, so that it leaves by another port. */
static void a_rewritten_packet_that_the_kernel_does_not_get_is_recorded_as_dropped(void **state)
{
	(void)state;
	struct berth_capture_record record;
	open_nat_flow(&image);
	ports[1].kernel_has_own = true;
	run_many(&from_backend, 1);
	assert_int_equal(read_all(&record, 1), 1);
	assert_int_equal(record.verdict, BERTH_VERDICT_PASS_FULL);
	assert_int_equal(record.action, XDP_DROP);
}

static void a_held_fragment_is_recorded_when_it_leaves(void **state)
{
	(void)state;
	struct berth_capture_record records[2];
	pipeline.hold_cycles = UINT64_MAX;
	run_one(mbuf_of(&later_fragment));
	assert_int_equal(read_all(records, 2), 0);
	run_one(mbuf_of(&first_fragment));
	assert_int_equal(read_all(records, 2), 2);
	assert_arrived(&records[0], &first_fragment);
	assert_arrived(&records[1], &later_fragment);
	assert_int_equal(records[1].verdict, BERTH_VERDICT_FRAGMENT);
	assert_left(&records[0], 1);
	assert_left(&records[1], 1);
}

static void what_does_not_match_is_not_recorded(void **state)
{
	(void)state;
	struct berth_capture_record record;
	recorder.filter.service = 1;
	run_one(mbuf_of(&to_ipip));
	assert_int_equal(captured.written + captured.missed, 0);
	run_one(mbuf_of(&to_l2));
	assert_int_equal(read_all(&record, 1), 1);
	assert_int_equal(record.packet.service, 1);
}

static void a_full_ring_is_counted_and_waits_for_nobody(void **state)
{
	(void)state;
	struct berth_capture_record record;
	for (uint32_t i = 0; i < BERTH_CAPTURE_SLOTS + 10; i++)
		run_one(mbuf_of(&to_empty_service));
	assert_int_equal(captured.written, BERTH_CAPTURE_SLOTS);
	assert_int_equal(captured.missed, 10);
	read_all(&record, 1);
	run_one(mbuf_of(&to_empty_service));
	assert_int_equal(captured.written, BERTH_CAPTURE_SLOTS + 1);
}

/* A second can change meanwhile: then there are up to twice as many. */
static void the_rate_is_limited_and_what_is_missing_is_counted(void **state)
{
	(void)state;
	struct berth_capture_record record;
	uint32_t n = 0;
	for (; n < 3 * BERTH_CAPTURE_PER_SECOND; n++) {
		run_one(mbuf_of(&to_empty_service));
		read_all(&record, 1);
	}
	assert_int_equal(captured.written + captured.missed, n);
	assert_in_range(captured.written, BERTH_CAPTURE_PER_SECOND, 2 * BERTH_CAPTURE_PER_SECOND);
	assert_true(captured.missed >= BERTH_CAPTURE_PER_SECOND);
}

static void the_time_of_a_record_is_that_of_its_burst(void **state)
{
	(void)state;
	struct berth_capture_record record;
	struct timespec before, after;
	for (uint32_t i = 0; i < 3; i++) {
		clock_gettime(CLOCK_MONOTONIC, &before);
		run_one(mbuf_of(&to_empty_service));
		clock_gettime(CLOCK_MONOTONIC, &after);
		assert_int_equal(read_all(&record, 1), 1);
		/* 1 ms: the cycle counter between two reads of the clock. */
		assert_true(record.time_ns + 1000000 >=
			    (uint64_t)before.tv_sec * 1000000000 + (uint64_t)before.tv_nsec);
		assert_true(record.time_ns <=
			    (uint64_t)after.tv_sec * 1000000000 + (uint64_t)after.tv_nsec + 1000000);
		rte_delay_us(3000);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_record_has_the_bytes_as_they_came_and_as_they_left),
		TEST(a_packet_in_two_buffers_is_recorded_whole),
		TEST(a_long_packet_is_cut),
		TEST(what_does_not_leave_has_no_second_frame),
		TEST(an_answer_leaves_where_the_packet_arrived),
		TEST(a_packet_beyond_a_full_transmit_ring_is_recorded_as_dropped),
		TEST(a_rewritten_packet_that_the_kernel_does_not_get_is_recorded_as_dropped),
		TEST(a_held_fragment_is_recorded_when_it_leaves),
		TEST(what_does_not_match_is_not_recorded),
		TEST(a_full_ring_is_counted_and_waits_for_nobody),
		TEST(the_rate_is_limited_and_what_is_missing_is_counted),
		TEST(the_time_of_a_record_is_that_of_its_burst),
	};
	return cmocka_run_group_tests(tests, set_up_all, NULL);
}
