// SPDX-License-Identifier: BSD-3-Clause
/* The pipeline: fragments held for the first one of their datagram, ICMP answers, packets from nat backends. */
#include "tests/unit/dataplane/pipeline_rig.h"

/* A fragment of the datagram with IPv4 identification `id`. */
static struct rte_mbuf *fragment_of(const struct fixture_packet *packet, uint16_t id)
{
	struct rte_mbuf *mbuf = mbuf_of(packet);
	fixture_put16(rte_pktmbuf_mtod_offset(mbuf, uint8_t *, BERTH_ETH_BYTES + 4), id);
	return mbuf;
}

/* Fragments are held longer than any test runs. */
static void hold_long(void)
{
	pipeline.hold_cycles = UINT64_MAX;
}

static void run_idle(void)
{
	berth_pipeline_run(&pipeline, &view, 0, NULL, 0);
}

/* The next packet to the ipip backend is a fragment with this offset, in units of 8 bytes. */
static void assert_fragment_left(uint32_t offset)
{
	struct rte_mbuf *mbuf = dequeue(out_ring[1]);
	assert_non_null(mbuf);
	const uint8_t *inner = rte_pktmbuf_mtod_offset(mbuf, const uint8_t *, BERTH_ETH_BYTES + BERTH_IP4_BYTES);
	assert_int_equal((inner[6] << 8 | inner[7]) & BERTH_IP4_OFFSET_MASK, offset);
	rte_pktmbuf_free(mbuf);
}

static void test_a_fragment_ahead_of_the_first_one_in_a_burst_is_forwarded_after_it(void **state)
{
	(void)state;
	hold_long();
	struct rte_mbuf *mbufs[] = {mbuf_of(&later_fragment), mbuf_of(&first_fragment)};
	berth_pipeline_run(&pipeline, &view, 0, mbufs, 2);
	assert_int_equal(counted(BERTH_VERDICT_SELECTED), 1);
	assert_int_equal(counted(BERTH_VERDICT_FRAGMENT), 1);
	assert_int_equal(counted_all(), 2);
	assert_int_equal(image.workers[WORKER].received, 2);
	assert_int_equal(pipeline.n_held, 0);
	assert_fragment_left(0);
	assert_fragment_left(9);
}

static void test_a_fragment_is_held_for_the_first_one_in_a_later_burst(void **state)
{
	(void)state;
	hold_long();
	run_one(mbuf_of(&later_fragment));
	run_one(mbuf_of(&to_l2));
	run_idle();
	assert_int_equal(pipeline.n_held, 1);
	/* It is counted as received and has no verdict yet. */
	assert_int_equal(image.workers[WORKER].received, 2);
	assert_int_equal(counted_all(), 1);
	assert_int_equal(rte_ring_count(out_ring[1]), 0);

	run_one(mbuf_of(&first_fragment));
	assert_int_equal(pipeline.n_held, 0);
	assert_int_equal(counted(BERTH_VERDICT_FRAGMENT), 1);
	assert_int_equal(counted(BERTH_VERDICT_FRAGMENT_UNKNOWN), 0);
	assert_int_equal(image.workers[WORKER].received, 3);
	assert_int_equal(counted_all(), 3);
	assert_fragment_left(0);
	assert_fragment_left(9);
}

static void test_a_held_fragment_is_forwarded_after_another_worker_receives_the_first_one(void **state)
{
	(void)state;
	static struct berth_pipeline other;
	const struct berth_view other_view = berth_image_view(&image, 0, FIXTURE_NOW);
	other = (struct berth_pipeline){
		.ports = ports, .n_ports = PORTS, .pass = pipeline.pass, .recorder = pipeline.recorder};
	hold_long();
	run_one(mbuf_of(&later_fragment));
	run_idle();
	assert_int_equal(pipeline.n_held, 1);
	struct rte_mbuf *first = mbuf_of(&first_fragment);
	berth_pipeline_run(&other, &other_view, 0, &first, 1);
	run_idle();
	assert_int_equal(pipeline.n_held, 0);
	assert_int_equal(counted(BERTH_VERDICT_FRAGMENT), 1);
	assert_int_equal(image.workers[0].verdict[BERTH_VERDICT_SELECTED], 1);
	assert_fragment_left(0);
	assert_fragment_left(9);
}

static void test_a_fragment_of_another_datagram_stays_held(void **state)
{
	(void)state;
	hold_long();
	run_one(fragment_of(&later_fragment, 7));
	run_one(fragment_of(&first_fragment, 8));
	assert_int_equal(pipeline.n_held, 1);
	assert_int_equal(counted(BERTH_VERDICT_SELECTED), 1);
	assert_int_equal(counted_all(), 1);
	run_one(fragment_of(&first_fragment, 7));
	assert_int_equal(pipeline.n_held, 0);
	assert_int_equal(counted(BERTH_VERDICT_FRAGMENT), 1);
}

static void test_a_fragment_held_too_long_is_dropped_as_unknown(void **state)
{
	(void)state;
	hold_long();
	run_one(mbuf_of(&later_fragment));
	assert_int_equal(counted_all(), 0);
	assert_int_equal(rte_mempool_avail_count(pool), BUFFERS - 1);
	pipeline.hold_cycles = 1;
	run_idle();
	assert_int_equal(pipeline.n_held, 0);
	assert_int_equal(counted(BERTH_VERDICT_FRAGMENT_UNKNOWN), 1);
	assert_int_equal(counted_all(), 1);
	assert_int_equal(image.workers[WORKER].received, 1);
	assert_int_equal(rte_mempool_avail_count(pool), BUFFERS);
}

static void test_no_fragment_is_held_if_the_hold_time_is_zero(void **state)
{
	(void)state;
	struct rte_mbuf *mbufs[] = {mbuf_of(&later_fragment), mbuf_of(&first_fragment)};
	berth_pipeline_run(&pipeline, &view, 0, mbufs, 2);
	assert_int_equal(pipeline.n_held, 0);
	assert_int_equal(counted(BERTH_VERDICT_FRAGMENT_UNKNOWN), 1);
	assert_int_equal(counted(BERTH_VERDICT_SELECTED), 1);
	assert_int_equal(counted_all(), 2);
}

static void test_only_early_fragments_are_held(void **state)
{
	(void)state;
	hold_long();
	struct rte_mbuf *mbufs[] = {mbuf_of(&to_no_service), mbuf_of(&bad_tcp), mbuf_of(&to_empty_service),
				    mbuf_of(&to_l2)};
	berth_pipeline_run(&pipeline, &view, 0, mbufs, 4);
	assert_int_equal(pipeline.n_held, 0);
	assert_int_equal(counted(BERTH_VERDICT_NO_SERVICE), 1);
	assert_int_equal(counted(BERTH_VERDICT_BAD_TCP), 1);
	assert_int_equal(counted(BERTH_VERDICT_NO_BACKEND), 1);
	assert_int_equal(counted_all(), 4);
}

/* A flood of fragments occupies BERTH_HELD buffers at most. */
static void test_a_fragment_beyond_the_hold_limit_is_dropped_as_unknown_at_once(void **state)
{
	(void)state;
	hold_long();
	for (uint32_t i = 0; i < BERTH_HELD; i++)
		run_one(fragment_of(&later_fragment, (uint16_t)i));
	assert_int_equal(pipeline.n_held, BERTH_HELD);
	assert_int_equal(counted_all(), 0);
	run_one(fragment_of(&later_fragment, BERTH_HELD));
	assert_int_equal(pipeline.n_held, BERTH_HELD);
	assert_int_equal(counted(BERTH_VERDICT_FRAGMENT_UNKNOWN), 1);
	assert_int_equal(counted_all(), 1);

	/* After one from the middle is forwarded, another one is held in its slot. */
	run_one(fragment_of(&first_fragment, 5));
	assert_int_equal(pipeline.n_held, BERTH_HELD - 1);
	run_one(fragment_of(&later_fragment, 100));
	assert_int_equal(pipeline.n_held, BERTH_HELD);

	berth_pipeline_release(&pipeline, &view);
	assert_int_equal(pipeline.n_held, 0);
	assert_int_equal(counted(BERTH_VERDICT_FRAGMENT), 1);
	assert_int_equal(counted(BERTH_VERDICT_FRAGMENT_UNKNOWN), 1 + BERTH_HELD);
	assert_int_equal(image.workers[WORKER].received, BERTH_HELD + 3);
	assert_int_equal(counted_all(), BERTH_HELD + 3);
}

/* More packets are sent than the burst has. */
static void test_all_held_fragments_leave_together_with_a_full_burst(void **state)
{
	(void)state;
	struct rte_mbuf *mbufs[BERTH_BURST];
	hold_long();
	for (uint32_t i = 0; i < BERTH_HELD; i++)
		run_one(fragment_of(&later_fragment, (uint16_t)i));
	for (uint32_t i = 0; i < BERTH_BURST; i++)
		mbufs[i] = fragment_of(&first_fragment, (uint16_t)i);
	berth_pipeline_run(&pipeline, &view, 0, mbufs, BERTH_BURST);
	assert_int_equal(pipeline.n_held, 0);
	assert_int_equal(counted(BERTH_VERDICT_FRAGMENT), BERTH_HELD);
	assert_int_equal(image.workers[WORKER].received, BERTH_BURST + BERTH_HELD);
	assert_int_equal(counted_all(), BERTH_BURST + BERTH_HELD);
	assert_int_equal(rte_ring_count(out_ring[1]), BERTH_BURST + BERTH_HELD);
}

static void test_a_held_fragment_that_finds_the_transmit_ring_full_is_tx_full(void **state)
{
	(void)state;
	hold_long();
	for (uint16_t i = 0; i < 20; i++)
		run_one(fragment_of(&later_fragment, 1));
	fill_ring(out_ring[1]);
	run_one(fragment_of(&first_fragment, 1));
	assert_int_equal(counted(BERTH_VERDICT_FRAGMENT), FREE_SLOTS - 1);
	assert_int_equal(counted(BERTH_VERDICT_TX_FULL), 20 - (FREE_SLOTS - 1));
	assert_int_equal(counted_all(), 21);
}

static void test_an_answer_leaves_through_the_port_that_received_the_packet(void **state)
{
	(void)state;
	run_many(&too_big, 1); /* on port 1; its backend is behind port 0 */
	assert_int_equal(counted(BERTH_VERDICT_ANSWERED_TOO_BIG), 1);
	assert_int_equal(counted_all(), 1);
	assert_int_equal(rte_ring_count(out_ring[0]), 0);
	struct rte_mbuf *mbuf = dequeue(out_ring[1]);
	assert_as_core(mbuf, &too_big);
	assert_int_equal(rte_pktmbuf_pkt_len(mbuf), BERTH_ETH_BYTES + 576);
	assert_int_equal(*rte_pktmbuf_mtod_offset(mbuf, uint8_t *, BERTH_ETH_BYTES + 9), BERTH_PROTO_ICMP);
	rte_pktmbuf_free(mbuf);
}

static void test_an_answer_to_a_chain_has_one_segment(void **state)
{
	(void)state;
	run_one(chain_of(&too_big, 200));
	assert_int_equal(counted(BERTH_VERDICT_ANSWERED_TOO_BIG), 1);
	struct rte_mbuf *mbuf = dequeue(out_ring[0]);
	assert_non_null(mbuf);
	/* It quotes the first segment: 186 bytes of the packet, rounded down to whole words. */
	assert_int_equal(mbuf->nb_segs, 1);
	assert_null(mbuf->next);
	assert_int_equal(rte_pktmbuf_pkt_len(mbuf), BERTH_ETH_BYTES + BERTH_IP4_BYTES + BERTH_ICMP_BYTES + 184);
	assert_int_equal(rte_pktmbuf_data_len(mbuf), rte_pktmbuf_pkt_len(mbuf));
	assert_int_equal(rte_mempool_avail_count(pool), BUFFERS - 1);
	rte_pktmbuf_free(mbuf);
}

static void test_a_chain_is_answered_through_a_port_without_chains(void **state)
{
	(void)state;
	ports[0].chains = false;
	run_one(chain_of(&too_big, 200));
	assert_int_equal(counted(BERTH_VERDICT_ANSWERED_TOO_BIG), 1);
	assert_int_equal(rte_ring_count(out_ring[0]), 1);
}

static void test_an_answer_that_finds_the_transmit_ring_full_is_tx_full(void **state)
{
	(void)state;
	fill_ring(out_ring[1]);
	run_many(&too_big, 20);
	assert_int_equal(counted(BERTH_VERDICT_ANSWERED_TOO_BIG), FREE_SLOTS);
	assert_int_equal(counted(BERTH_VERDICT_TX_FULL), 20 - FREE_SLOTS);
	assert_int_equal(counted_all(), 20);
}

static void test_a_packet_in_a_shared_buffer_is_not_answered(void **state)
{
	(void)state;
	struct fixture_frame frame;
	fixture_build(&frame, &too_big);
	struct rte_mbuf *held = mbuf_of(&too_big);
	rte_mbuf_refcnt_update(held, 1);
	run_one(held);
	assert_int_equal(counted(BERTH_VERDICT_NO_HEADROOM), 1);
	assert_memory_equal(rte_pktmbuf_mtod(held, void *), frame.frame.data, frame.bytes);
	rte_pktmbuf_free(held);
}

static void test_a_buffer_without_room_for_the_answer_is_no_headroom(void **state)
{
	(void)state;
	struct rte_mbuf *mbuf = mbuf_of(&too_big);
	memmove((uint8_t *)mbuf->buf_addr + 27, rte_pktmbuf_mtod(mbuf, void *), rte_pktmbuf_data_len(mbuf));
	mbuf->data_off = 27;
	run_one(mbuf);
	assert_int_equal(counted(BERTH_VERDICT_NO_HEADROOM), 1);
	assert_int_equal(counted_all(), 1);
}

static void test_an_answer_of_a_nat_backend_reaches_the_kernel_with_the_address_of_the_service(void **state)
{
	(void)state;
	open_nat_flow(&image);
	run_many(&from_backend, 1);
	assert_int_equal(counted(BERTH_VERDICT_RETURNED_PASS), 1);
	assert_int_equal(counted_all(), 1);
	struct rte_mbuf *mbuf = dequeue(pipeline.pass);
	assert_as_core(mbuf, &from_backend);
	assert_int_equal(mbuf->port, 1);
	const uint8_t *ip = rte_pktmbuf_mtod_offset(mbuf, const uint8_t *, BERTH_ETH_BYTES);
	const uint8_t service[4] = {203, 0, 113, 11};
	assert_memory_equal(ip + 12, service, 4);
	assert_int_equal(ip[20] << 8 | ip[21], 80);
	rte_pktmbuf_free(mbuf);
}

/* That kernel has the packet as the backend sent it, not with the address of the service. */
static void test_a_rewritten_packet_is_pass_full_where_the_kernel_receives_packets_itself(void **state)
{
	(void)state;
	open_nat_flow(&image);
	ports[1].kernel_has_own = true;
	run_many(&from_backend, 3);
	run_many(&to_no_service, 2);
	assert_int_equal(counted(BERTH_VERDICT_RETURNED_PASS), 0);
	assert_int_equal(counted(BERTH_VERDICT_PASS_FULL), 3);
	assert_int_equal(counted(BERTH_VERDICT_NO_SERVICE), 2);
	assert_int_equal(counted_all(), 5);
}

static void test_packets_that_fit_the_ring_to_the_kernel_keep_their_verdicts(void **state)
{
	(void)state;
	struct rte_mbuf *mbufs[10];
	open_nat_flow(&image);
	fill_ring(pipeline.pass);
	for (uint32_t i = 0; i < 10; i++)
		mbufs[i] = mbuf_of(i < 5 ? &to_no_service : &from_backend);
	berth_pipeline_run(&pipeline, &view, 0, mbufs, 10);
	/* Of the few free slots none is for others than backends. */
	assert_int_equal(counted(BERTH_VERDICT_RETURNED_PASS), 5);
	assert_int_equal(counted(BERTH_VERDICT_NO_SERVICE), 0);
	assert_int_equal(counted(BERTH_VERDICT_PASS_FULL), 5);
	assert_int_equal(counted_all(), 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_fragment_ahead_of_the_first_one_in_a_burst_is_forwarded_after_it),
		TEST(test_a_fragment_is_held_for_the_first_one_in_a_later_burst),
		TEST(test_a_held_fragment_is_forwarded_after_another_worker_receives_the_first_one),
		TEST(test_a_fragment_of_another_datagram_stays_held),
		TEST(test_a_fragment_held_too_long_is_dropped_as_unknown),
		TEST(test_no_fragment_is_held_if_the_hold_time_is_zero),
		TEST(test_only_early_fragments_are_held),
		TEST(test_a_fragment_beyond_the_hold_limit_is_dropped_as_unknown_at_once),
		TEST(test_all_held_fragments_leave_together_with_a_full_burst),
		TEST(test_a_held_fragment_that_finds_the_transmit_ring_full_is_tx_full),
		TEST(test_an_answer_leaves_through_the_port_that_received_the_packet),
		TEST(test_an_answer_to_a_chain_has_one_segment),
		TEST(test_a_chain_is_answered_through_a_port_without_chains),
		TEST(test_an_answer_that_finds_the_transmit_ring_full_is_tx_full),
		TEST(test_a_packet_in_a_shared_buffer_is_not_answered),
		TEST(test_a_buffer_without_room_for_the_answer_is_no_headroom),
		TEST(test_an_answer_of_a_nat_backend_reaches_the_kernel_with_the_address_of_the_service),
		TEST(test_a_rewritten_packet_is_pass_full_where_the_kernel_receives_packets_itself),
		TEST(test_packets_that_fit_the_ring_to_the_kernel_keep_their_verdicts),
	};
	return cmocka_run_group_tests(tests, set_up_all, NULL);
}
