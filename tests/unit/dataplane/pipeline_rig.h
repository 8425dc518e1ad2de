/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Test rig: the burst pipeline on real mbufs, with an image laid out by hand. Ports are rings: out_ring[port] holds
 * the packets transmitted on a port.
 */
#pragma once

#include <rte_eal.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>

#ifdef BERTH_PIPELINE_RECORDING
#include "dataplane/capture/recorder.h"
#endif
#include "dataplane/pipeline.h"
#include "tests/support/image.h"
#include "tests/support/packet.h"
#include "tests/support/unit.h"

enum {
	PORTS = 2,
	WORKER = 1, /* fixture_view's */
	OUT_SLOTS = 64,
	FREE_SLOTS = 8, /* free slots of a ring after fill_ring */
	BUFFERS = 1023,
};

static struct rte_mempool *pool;
static struct rte_ring *out_ring[PORTS];
static struct berth_pipeline_port ports[PORTS];
static struct berth_pipeline pipeline;
static struct berth_image image;
static struct berth_view view;

#ifdef BERTH_PIPELINE_RECORDING
static struct berth_recorder recorder;
static struct berth_capture_ring captured;
#endif

static const struct fixture_packet to_l2 = {.src = "198.51.100.1",
					    .dst = "203.0.113.10",
					    .sport = 1000,
					    .dport = 80,
					    .protocol = BERTH_PROTO_TCP,
					    .tcp_flags = BERTH_TCP_SYN,
					    .payload = 20};
static const struct fixture_packet to_ipip = {.src = "198.51.100.2",
					      .dst = "203.0.113.10",
					      .sport = 1001,
					      .dport = 53,
					      .protocol = BERTH_PROTO_UDP,
					      .payload = 200};
static const struct fixture_packet to_ipip6 = {.src = "2001:db8:1::2",
					       .dst = "2001:db8::10",
					       .sport = 1002,
					       .dport = 443,
					       .protocol = BERTH_PROTO_TCP,
					       .tcp_flags = BERTH_TCP_SYN,
					       .tags = 2};
static const struct fixture_packet to_no_service = {
	.src = "198.51.100.3", .dst = "203.0.113.99", .sport = 1003, .dport = 80, .protocol = BERTH_PROTO_TCP};
static const struct fixture_packet to_empty_service = {.src = "198.51.100.3",
						       .dst = "203.0.113.10",
						       .sport = 1003,
						       .dport = 9,
						       .protocol = BERTH_PROTO_TCP,
						       .tcp_flags = BERTH_TCP_SYN};
static const struct fixture_packet first_fragment = {.src = "198.51.100.2",
						     .dst = "203.0.113.10",
						     .sport = 1001,
						     .dport = 53,
						     .protocol = BERTH_PROTO_UDP,
						     .payload = 64,
						     .fragment = BERTH_IP4_MORE_FRAGMENTS};
static const struct fixture_packet later_fragment = {
	.src = "198.51.100.2", .dst = "203.0.113.10", .protocol = BERTH_PROTO_UDP, .payload = 64, .fragment = 9};
static const struct fixture_packet too_big = {.src = "198.51.100.1",
					      .dst = "203.0.113.10",
					      .sport = 1000,
					      .dport = 80,
					      .protocol = BERTH_PROTO_TCP,
					      .payload = 1461};
static const struct fixture_packet from_backend = {.src = "192.0.2.4",
						   .dst = "198.51.100.5",
						   .sport = 8080,
						   .dport = 1005,
						   .protocol = BERTH_PROTO_TCP,
						   .tcp_flags = BERTH_TCP_ACK,
						   .payload = 100};
static const struct fixture_packet bad_tcp = {.src = "198.51.100.4",
					      .dst = "203.0.113.10",
					      .sport = 1004,
					      .dport = 80,
					      .protocol = BERTH_PROTO_TCP,
					      .tcp_options = 11};

static inline void lay_out(struct berth_image *to)
{
	static const uint16_t l2[] = {1}, ipip[] = {2}, ipip6[] = {3}, nat[] = {4};
	fixture_new(to, &fixture_geometry);
	fixture_service(to, 1, "203.0.113.10", BERTH_PROTO_TCP, 80, BERTH_AFFINITY_FLOW);
	fixture_service(to, 2, "203.0.113.10", BERTH_PROTO_UDP, 53, BERTH_AFFINITY_CLIENT);
	fixture_service(to, 3, "2001:db8::10", BERTH_PROTO_TCP, 443, BERTH_AFFINITY_FLOW);
	fixture_service(to, 4, "203.0.113.10", BERTH_PROTO_TCP, 9, BERTH_AFFINITY_FLOW);
	struct berth_service *behind_nat = fixture_service(to, 5, "203.0.113.11", BERTH_PROTO_TCP, 80,
							   BERTH_AFFINITY_FLOW);
	behind_nat->address = fixture_addr("203.0.113.11");
	behind_nat->port = berth_to_be16(80);
	fixture_backend(to, 4, 5, BERTH_MODE_NAT, "192.0.2.4")->dport = berth_to_be16(8080);
	fixture_insert_vip(to, (struct berth_vip){.addr = fixture_addr("192.0.2.4"),
						  .port = berth_to_be16(8080),
						  .protocol = BERTH_PROTO_TCP,
						  .kind = BERTH_VIP_RETURN,
						  .service = 5});
	to->globals[FIXTURE_GENERATION].has_returns = 1;
	/* Both ports have one link address, so that every packet can arrive on either. */
	memcpy(to->ctl->ports[FIXTURE_GENERATION][1].mac, to->ctl->ports[FIXTURE_GENERATION][0].mac, 6);
	fixture_backend(to, 1, 1, BERTH_MODE_L2, "192.0.2.1");
	fixture_backend(to, 2, 2, BERTH_MODE_IPIP, "192.0.2.2")->port = 1;
	fixture_backend(to, 3, 3, BERTH_MODE_IPIP, "2001:db8:3::3")->port = 1;
	fixture_rows(to, 1, l2, 1);
	fixture_rows(to, 2, ipip, 1);
	fixture_rows(to, 3, ipip6, 1);
	fixture_rows(to, 5, nat, 1);
}

static inline void set_up_port(uint32_t i)
{
	char name[32];
	snprintf(name, sizeof(name), "out%u", i);
	out_ring[i] = rte_ring_create(name, OUT_SLOTS, SOCKET_ID_ANY, RING_F_EXACT_SZ);
	assert_non_null(out_ring[i]);
	/* The driver requires a receive ring; nothing is received. */
	int id = rte_eth_from_rings(name, &out_ring[i], 1, &out_ring[i], 1, SOCKET_ID_ANY);
	assert_true(id >= 0);
	const struct rte_eth_conf conf = {0};
	assert_int_equal(rte_eth_dev_configure((uint16_t)id, 0, 1, &conf), 0);
	assert_int_equal(rte_eth_tx_queue_setup((uint16_t)id, 0, OUT_SLOTS, 0, NULL), 0);
	assert_int_equal(rte_eth_dev_start((uint16_t)id), 0);
	ports[i].id = (uint16_t)id;
}

static inline int set_up_all(void **state)
{
	(void)state;
	char *arguments[] = {"test",	    "--no-huge",	 "-m", "64", "--no-pci", "--no-telemetry",
			     "--no-shconf", "--log-level=error", NULL};
	assert_true(rte_eal_init(8, arguments) >= 0);
	pool = rte_pktmbuf_pool_create("packets", BUFFERS, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	assert_non_null(pool);
	for (uint32_t i = 0; i < PORTS; i++)
		set_up_port(i);
	pipeline.pass = rte_ring_create("pass", OUT_SLOTS, SOCKET_ID_ANY, RING_F_EXACT_SZ);
	assert_non_null(pipeline.pass);
	return 0;
}

static inline int set_up(void **state)
{
	(void)state;
	pipeline.ports = ports;
	pipeline.n_ports = PORTS;
	pipeline.n_held = 0;
	pipeline.hold_cycles = 0;
	for (uint32_t i = 0; i < PORTS; i++) {
		ports[i].chains = true;
		ports[i].kernel_has_own = false;
		ports[i].host = NULL;
	}
#ifdef BERTH_PIPELINE_RECORDING
	memset(&captured, 0, sizeof(captured));
	berth_recorder_init(&recorder, &(struct berth_capture_filter){.verdicts = UINT64_MAX}, &captured);
	pipeline.recorder = &recorder;
#endif
	lay_out(&image);
	view = fixture_view(&image, FIXTURE_NOW);
	return 0;
}

static inline struct rte_mbuf *dequeue(struct rte_ring *ring)
{
	struct rte_mbuf *mbuf = NULL;
	return rte_ring_dequeue(ring, (void **)&mbuf) ? NULL : mbuf;
}

static inline void drain_ring(struct rte_ring *ring)
{
	for (struct rte_mbuf *mbuf = dequeue(ring); mbuf; mbuf = dequeue(ring))
		rte_pktmbuf_free(mbuf);
}

/* After every test: no buffer is lost, none is freed twice. */
static inline int tear_down(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < PORTS; i++)
		drain_ring(out_ring[i]);
	drain_ring(pipeline.pass);
	assert_int_equal(rte_mempool_avail_count(pool), BUFFERS);
	fixture_free(&image);
	return 0;
}

static inline struct rte_mbuf *mbuf_of(const struct fixture_packet *packet)
{
	struct fixture_frame frame;
	fixture_build(&frame, packet);
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(pool);
	assert_non_null(mbuf);
	memcpy(rte_pktmbuf_append(mbuf, (uint16_t)frame.bytes), frame.frame.data, frame.bytes);
	return mbuf;
}

/* The same packet in two segments, the first of `first` bytes. */
static inline struct rte_mbuf *chain_of(const struct fixture_packet *packet, uint16_t first)
{
	struct rte_mbuf *head = mbuf_of(packet);
	struct rte_mbuf *tail = rte_pktmbuf_alloc(pool);
	assert_non_null(tail);
	uint16_t rest = (uint16_t)(rte_pktmbuf_data_len(head) - first);
	memcpy(rte_pktmbuf_append(tail, rest), rte_pktmbuf_mtod_offset(head, uint8_t *, first), rest);
	rte_pktmbuf_trim(head, rest);
	assert_int_equal(rte_pktmbuf_chain(head, tail), 0);
	return head;
}

static inline void run_one(struct rte_mbuf *mbuf)
{
	berth_pipeline_run(&pipeline, &view, 0, &mbuf, 1);
}

static inline uint64_t counted(enum berth_verdict verdict)
{
	return image.workers[WORKER].verdict[verdict];
}

static inline uint64_t counted_all(void)
{
	uint64_t sum = 0;
	for (uint32_t i = 0; i < BERTH_WORKER_VERDICTS; i++)
		sum += image.workers[WORKER].verdict[i];
	return sum;
}

/* A client's packet opens the flow of `from_backend`. */
static inline void open_nat_flow(const struct berth_image *in)
{
	const struct fixture_packet to_nat = {.src = "198.51.100.5",
					      .dst = "203.0.113.11",
					      .sport = 1005,
					      .dport = 80,
					      .protocol = BERTH_PROTO_TCP,
					      .tcp_flags = BERTH_TCP_SYN};
	const struct berth_view other = berth_image_view(in, 0, FIXTURE_NOW);
	struct fixture_frame frame;
	uint32_t port = 0;
	fixture_build(&frame, &to_nat);
	assert_int_equal(berth_forward(&other, &frame.frame, &(struct berth_packet){0}, frame.bytes, &port),
			 BERTH_VERDICT_SELECTED);
}

/* `mbuf`, over all its segments, has the same bytes as the packet after the stages of the core alone. */
static inline void assert_as_core(struct rte_mbuf *mbuf, const struct fixture_packet *packet)
{
	struct berth_image twin;
	struct fixture_frame frame;
	uint8_t buffer[FIXTURE_ROOM];
	uint32_t port = 0;
	assert_non_null(mbuf);
	lay_out(&twin);
	open_nat_flow(&twin);
	const struct berth_view twin_view = fixture_view(&twin, FIXTURE_NOW);
	fixture_build(&frame, packet);
	berth_forward(&twin_view, &frame.frame, &(struct berth_packet){0}, frame.bytes, &port);
	size_t bytes = (size_t)(frame.frame.end - frame.frame.data);
	assert_int_equal(rte_pktmbuf_pkt_len(mbuf), bytes);
	assert_memory_equal(rte_pktmbuf_read(mbuf, 0, (uint32_t)bytes, buffer), frame.frame.data, bytes);
	fixture_free(&twin);
}

/* Fills a ring with empty packets until it has FREE_SLOTS free slots. */
static inline void fill_ring(struct rte_ring *ring)
{
	while (rte_ring_free_count(ring) > FREE_SLOTS) {
		struct rte_mbuf *mbuf = rte_pktmbuf_alloc(pool);
		assert_non_null(mbuf);
		assert_int_equal(rte_ring_enqueue(ring, mbuf), 0);
	}
}

static inline void run_many(const struct fixture_packet *packet, uint32_t n)
{
	struct rte_mbuf *mbufs[BERTH_BURST];
	for (uint32_t i = 0; i < n; i++)
		mbufs[i] = mbuf_of(packet);
	berth_pipeline_run(&pipeline, &view, 1, mbufs, n);
}
