// SPDX-License-Identifier: BSD-3-Clause
/* The pipeline: verdicts, full rings, chains, shared buffers. test_pipeline_special.c: fragments, answers, mode
 * nat. */
#include "tests/unit/dataplane/pipeline_rig.h"

static void test_a_packet_leaves_rewritten_through_the_port_of_its_backend(void **state)
{
	(void)state;
	static const uint8_t l2_macs[12] = {2, 0, 0, 0, 2, 1, 2, 0, 0, 0, 1, 0};
	run_one(mbuf_of(&to_l2));
	run_one(mbuf_of(&to_ipip));
	run_one(mbuf_of(&to_ipip6));
	assert_int_equal(counted(BERTH_VERDICT_SELECTED), 3);
	assert_int_equal(image.workers[WORKER].received, 3);

	struct rte_mbuf *mbuf = dequeue(out_ring[0]);
	assert_as_core(mbuf, &to_l2);
	assert_memory_equal(rte_pktmbuf_mtod(mbuf, void *), l2_macs, sizeof(l2_macs));
	rte_pktmbuf_free(mbuf);
	assert_null(dequeue(out_ring[0]));

	mbuf = dequeue(out_ring[1]);
	assert_as_core(mbuf, &to_ipip);
	/* Outer IPv4 header: 20 bytes. */
	assert_int_equal(*rte_pktmbuf_mtod_offset(mbuf, uint8_t *, 14 + 9), BERTH_PROTO_IP4);
	assert_int_equal(rte_pktmbuf_pkt_len(mbuf), 14 + 20 + 20 + 8 + 200);
	rte_pktmbuf_free(mbuf);

	mbuf = dequeue(out_ring[1]);
	assert_as_core(mbuf, &to_ipip6);
	assert_int_equal(rte_pktmbuf_pkt_len(mbuf), 14 + 8 + 40 + 40 + 20);
	rte_pktmbuf_free(mbuf);
}

/* All kinds in turn: the verdict of a packet does not depend on its position in the burst. */
static void test_a_mixed_burst_gives_each_packet_its_own_verdict(void **state)
{
	(void)state;
	static const struct fixture_packet *const kinds[] = {&to_l2,	&to_no_service, &to_ipip, &to_empty_service,
							     &to_ipip6, &bad_tcp};
	static const size_t n_kinds = sizeof(kinds) / sizeof(kinds[0]);
	struct rte_mbuf *mbufs[BERTH_BURST];
	uint32_t of_kind[6] = {0};
	for (uint32_t i = 0; i < BERTH_BURST; i++) {
		struct fixture_packet packet = *kinds[i % n_kinds];
		packet.sport = (uint16_t)(2000 + i);
		mbufs[i] = mbuf_of(&packet);
		of_kind[i % n_kinds]++;
	}
	berth_pipeline_run(&pipeline, &view, 0, mbufs, BERTH_BURST);

	assert_int_equal(image.workers[WORKER].received, BERTH_BURST);
	assert_int_equal(counted_all(), BERTH_BURST);
	/* The UDP service has client affinity: its first packet is selected, the others find the session. */
	assert_int_equal(counted(BERTH_VERDICT_SELECTED), of_kind[0] + 1 + of_kind[4]);
	assert_int_equal(counted(BERTH_VERDICT_SESSION), of_kind[2] - 1);
	assert_int_equal(counted(BERTH_VERDICT_NO_SERVICE), of_kind[1]);
	assert_int_equal(counted(BERTH_VERDICT_NO_BACKEND), of_kind[3]);
	assert_int_equal(counted(BERTH_VERDICT_BAD_TCP), of_kind[5]);
	assert_int_equal(rte_ring_count(out_ring[0]), of_kind[0]);
	assert_int_equal(rte_ring_count(out_ring[1]), of_kind[2] + of_kind[4]);
	assert_int_equal(rte_ring_count(pipeline.pass), of_kind[1]);
	for (uint32_t i = 0; i < BERTH_BURST; i += (uint32_t)n_kinds) {
		struct fixture_packet packet = to_l2;
		packet.sport = (uint16_t)(2000 + i);
		struct rte_mbuf *mbuf = dequeue(out_ring[0]);
		assert_as_core(mbuf, &packet);
		rte_pktmbuf_free(mbuf);
	}
}

/* The others cost nothing for that. */
static void test_the_last_dropped_packets_of_a_service_are_kept(void **state)
{
	(void)state;
	uint32_t used = 0;
	run_many(&to_empty_service, 6);
	run_many(&to_l2, 6);
	run_many(&bad_tcp, 6);
	for (uint32_t i = 0; i < BERTH_DROP_CELLS; i++) {
		const struct berth_drop_cell *cell = &image.drops[WORKER].cell[i];
		if (!cell->service)
			continue;
		used++;
		assert_int_equal(cell->service, fixture_service_at(&image, 4)->id);
		assert_int_equal(cell->verdict, BERTH_VERDICT_NO_BACKEND);
		assert_int_equal(cell->packets, 6);
		assert_int_equal(berth_from_be16(cell->sample[0].packet.sport), to_empty_service.sport);
	}
	assert_int_equal(used, 1);
}

static void test_packets_beyond_a_full_transmit_ring_are_counted_once_as_tx_full(void **state)
{
	(void)state;
	fill_ring(out_ring[0]);
	run_many(&to_l2, 20);
	assert_int_equal(counted(BERTH_VERDICT_SELECTED), 1);
	assert_int_equal(counted(BERTH_VERDICT_FLOW), FREE_SLOTS - 1);
	assert_int_equal(counted(BERTH_VERDICT_TX_FULL), 20 - FREE_SLOTS);
	assert_int_equal(image.workers[WORKER].received, 20);
	assert_int_equal(counted_all(), 20);
	assert_int_equal(rte_ring_free_count(out_ring[0]), 0);
}

static void test_a_passing_packet_reaches_the_kernel_unchanged_with_its_port_number(void **state)
{
	(void)state;
	struct fixture_frame frame;
	fixture_build(&frame, &to_no_service);
	run_many(&to_no_service, 1);
	struct rte_mbuf *mbuf = dequeue(pipeline.pass);
	assert_non_null(mbuf);
	assert_int_equal(mbuf->port, 1);
	assert_int_equal(rte_pktmbuf_pkt_len(mbuf), frame.bytes);
	assert_memory_equal(rte_pktmbuf_mtod(mbuf, void *), frame.frame.data, frame.bytes);
	assert_int_equal(counted(BERTH_VERDICT_NO_SERVICE), 1);
	rte_pktmbuf_free(mbuf);
}

static void test_packets_beyond_a_full_ring_to_the_kernel_are_counted_once_as_pass_full(void **state)
{
	(void)state;
	const struct fixture_packet from_server = {.src = "192.0.2.4",
						   .dst = "203.0.113.98",
						   .sport = 80,
						   .dport = 40000,
						   .protocol = BERTH_PROTO_TCP,
						   .tcp_flags = BERTH_TCP_SYN | BERTH_TCP_ACK};
	fill_ring(pipeline.pass);
	run_many(&from_server, 20);
	assert_int_equal(counted(BERTH_VERDICT_NO_SERVICE), FREE_SLOTS);
	assert_int_equal(counted(BERTH_VERDICT_PASS_FULL), 20 - FREE_SLOTS);
	assert_int_equal(counted_all(), 20);
}

static void test_a_flood_for_the_kernel_leaves_half_of_the_ring_to_backends(void **state)
{
	(void)state;
	const struct fixture_packet from_server = {.src = "192.0.2.4",
						   .dst = "203.0.113.98",
						   .sport = 80,
						   .dport = 40000,
						   .protocol = BERTH_PROTO_TCP,
						   .tcp_flags = BERTH_TCP_SYN | BERTH_TCP_ACK};
	const uint32_t half = rte_ring_get_capacity(pipeline.pass) / 2, floods = 8;
	for (uint32_t i = 0; i < floods; i++)
		run_many(&to_no_service, BERTH_BURST);
	const uint32_t passed = RTE_MIN(floods * BERTH_BURST, rte_ring_get_capacity(pipeline.pass) - half);
	assert_int_equal(counted(BERTH_VERDICT_NO_SERVICE), passed);
	assert_int_equal(counted(BERTH_VERDICT_PASS_FULL), floods * BERTH_BURST - passed);
	run_many(&from_server, 20);
	assert_int_equal(counted(BERTH_VERDICT_NO_SERVICE), passed + 20);
}

static void test_nothing_is_delivered_to_a_kernel_that_receives_every_packet_itself(void **state)
{
	(void)state;
	ports[1].kernel_has_own = true;
	run_many(&to_no_service, 20);
	assert_int_equal(counted(BERTH_VERDICT_NO_SERVICE), 20);
	assert_int_equal(counted_all(), 20);
	assert_int_equal(rte_ring_count(pipeline.pass), 0);
}

static void test_a_chain_is_forwarded_with_its_whole_length(void **state)
{
	(void)state;
	run_one(chain_of(&to_ipip, 60));
	struct rte_mbuf *mbuf = dequeue(out_ring[1]);
	assert_as_core(mbuf, &to_ipip);
	assert_int_equal(mbuf->nb_segs, 2);
	rte_pktmbuf_free(mbuf);
}

static void test_headers_split_over_segments_are_rejected(void **state)
{
	(void)state;
	/* First segments one byte too short for the UDP, IPv4 and Ethernet headers. */
	run_one(chain_of(&to_ipip, 14 + 20 + 7));
	assert_int_equal(counted(BERTH_VERDICT_BAD_UDP), 1);
	run_one(chain_of(&to_ipip, 14 + 19));
	assert_int_equal(counted(BERTH_VERDICT_BAD_IP4), 1);
	run_one(chain_of(&to_ipip, 13));
	assert_int_equal(counted(BERTH_VERDICT_BAD_FRAME), 1);
	assert_int_equal(counted_all(), 3);
}

static void test_a_chain_is_linearized_for_a_port_without_chains(void **state)
{
	(void)state;
	ports[1].chains = false;
	run_one(chain_of(&to_ipip, 60));
	struct rte_mbuf *mbuf = dequeue(out_ring[1]);
	assert_as_core(mbuf, &to_ipip);
	assert_int_equal(mbuf->nb_segs, 1);
	rte_pktmbuf_free(mbuf);
}

static void test_a_chain_too_large_to_linearize_is_too_big(void **state)
{
	(void)state;
	ports[1].chains = false;
	struct rte_mbuf *mbuf = chain_of(&to_ipip, 60);
	/* Headers at the end of the buffer: no tailroom. */
	uint8_t headers[60];
	memcpy(headers, rte_pktmbuf_mtod(mbuf, void *), sizeof(headers));
	mbuf->data_off = (uint16_t)(mbuf->buf_len - sizeof(headers));
	memcpy(rte_pktmbuf_mtod(mbuf, void *), headers, sizeof(headers));
	run_one(mbuf);
	assert_int_equal(counted(BERTH_VERDICT_TOO_BIG), 1);
	assert_int_equal(counted_all(), 1);
	assert_int_equal(rte_ring_count(out_ring[1]), 0);
}

static void test_a_shared_buffer_is_dropped_unwritten(void **state)
{
	(void)state;
	struct fixture_frame frame;
	fixture_build(&frame, &to_l2);

	struct rte_mbuf *held = mbuf_of(&to_l2);
	rte_mbuf_refcnt_update(held, 1);
	run_one(held);
	assert_int_equal(counted(BERTH_VERDICT_NO_HEADROOM), 1);
	assert_memory_equal(rte_pktmbuf_mtod(held, void *), frame.frame.data, frame.bytes);

	struct rte_mbuf *clone = rte_pktmbuf_clone(held, pool);
	assert_non_null(clone);
	run_one(clone);
	assert_int_equal(counted(BERTH_VERDICT_NO_HEADROOM), 2);
	assert_memory_equal(rte_pktmbuf_mtod(held, void *), frame.frame.data, frame.bytes);
	rte_pktmbuf_free(held);

	assert_int_equal(counted_all(), 2);
	assert_int_equal(rte_ring_count(out_ring[0]), 0);
	/* Their service counts them. */
	const struct berth_geometry *g = &image.geometry;
	assert_int_equal(image.tallies[WORKER * (g->services + g->backends) + 1].packets, 2);
}

static void test_a_buffer_without_room_for_the_outer_header_is_no_headroom(void **state)
{
	(void)state;
	struct rte_mbuf *mbuf = mbuf_of(&to_ipip);
	memmove((uint8_t *)mbuf->buf_addr + 19, rte_pktmbuf_mtod(mbuf, void *), rte_pktmbuf_data_len(mbuf));
	mbuf->data_off = 19;
	run_one(mbuf);
	assert_int_equal(counted(BERTH_VERDICT_NO_HEADROOM), 1);
	assert_int_equal(counted_all(), 1);
}

static void test_a_backend_behind_a_missing_port_is_internal(void **state)
{
	(void)state;
	fixture_backend_at(&image, 1)->port = PORTS;
	run_one(mbuf_of(&to_l2));
	assert_int_equal(counted(BERTH_VERDICT_INTERNAL), 1);
	assert_int_equal(counted_all(), 1);
}

static void test_offload_flags_of_the_sender_are_cleared(void **state)
{
	(void)state;
	struct rte_mbuf *mbuf = mbuf_of(&to_l2);
	mbuf->ol_flags |= RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_IP_CKSUM | RTE_MBUF_F_TX_VLAN;
	run_one(mbuf);
	mbuf = dequeue(out_ring[0]);
	assert_non_null(mbuf);
	assert_int_equal(mbuf->ol_flags & RTE_MBUF_F_TX_OFFLOAD_MASK, 0);
	rte_pktmbuf_free(mbuf);
}

static void test_packets_from_the_kernel_leave_through_their_port_and_are_not_counted_as_received(void **state)
{
	(void)state;
	ports[1].host = rte_ring_create("host", OUT_SLOTS, SOCKET_ID_ANY, 0);
	assert_non_null(ports[1].host);
	fill_ring(out_ring[1]);
	for (uint32_t i = 0; i < 10; i++)
		assert_int_equal(rte_ring_enqueue(ports[1].host, mbuf_of(&to_no_service)), 0);
	assert_int_equal(berth_pipeline_send_host(&pipeline, &view), 10);
	assert_int_equal(rte_ring_free_count(out_ring[1]), 0);
	assert_int_equal(image.workers[WORKER].event[BERTH_EVENT_HOST_UNSENT], 10 - FREE_SLOTS);
	assert_int_equal(image.workers[WORKER].received, 0);
	assert_int_equal(counted_all(), 0);
	rte_ring_free(ports[1].host);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_packet_leaves_rewritten_through_the_port_of_its_backend),
		TEST(test_a_mixed_burst_gives_each_packet_its_own_verdict),
		TEST(test_the_last_dropped_packets_of_a_service_are_kept),
		TEST(test_packets_beyond_a_full_transmit_ring_are_counted_once_as_tx_full),
		TEST(test_a_passing_packet_reaches_the_kernel_unchanged_with_its_port_number),
		TEST(test_packets_beyond_a_full_ring_to_the_kernel_are_counted_once_as_pass_full),
		TEST(test_a_flood_for_the_kernel_leaves_half_of_the_ring_to_backends),
		TEST(test_nothing_is_delivered_to_a_kernel_that_receives_every_packet_itself),
		TEST(test_a_chain_is_forwarded_with_its_whole_length),
		TEST(test_headers_split_over_segments_are_rejected),
		TEST(test_a_chain_is_linearized_for_a_port_without_chains),
		TEST(test_a_chain_too_large_to_linearize_is_too_big),
		TEST(test_a_shared_buffer_is_dropped_unwritten),
		TEST(test_a_buffer_without_room_for_the_outer_header_is_no_headroom),
		TEST(test_a_backend_behind_a_missing_port_is_internal),
		TEST(test_offload_flags_of_the_sender_are_cleared),
		TEST(test_packets_from_the_kernel_leave_through_their_port_and_are_not_counted_as_received),
	};
	return cmocka_run_group_tests(tests, set_up_all, NULL);
}
