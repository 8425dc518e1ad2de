/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/pipeline.h"

#include <rte_ethdev.h>
#include <rte_prefetch.h>

#include "dataplane/frame.h"

enum {
	/* How many packets ahead of the parser their headers are fetched. */
	AHEAD = 4,
};

struct burst {
	const struct berth_view *view;
	uint32_t port; /* received on */
	uint32_t n;
	struct rte_mbuf **mbuf;
	struct berth_packet packet[BERTH_BURST];
	uint8_t verdict[BERTH_BURST];
	uint8_t out[BERTH_BURST]; /* port to send from */
	uint64_t count[BERTH_VERDICT_COUNT];
};

static inline void prefetch_headers(struct rte_mbuf *mbuf)
{
	rte_prefetch0(rte_pktmbuf_mtod(mbuf, void *));
}

/* Parse, classify and hash; the line of the flow table that the next stage reads is on its way meanwhile. */
static inline void receive_all(struct burst *burst)
{
	const struct berth_view *view = burst->view;
	for (uint32_t i = 0; i < AHEAD && i < burst->n; i++)
		prefetch_headers(burst->mbuf[i]);
	for (uint32_t i = 0; i < burst->n; i++) {
		if (i + AHEAD < burst->n)
			prefetch_headers(burst->mbuf[i + AHEAD]);
		struct berth_packet *packet = &burst->packet[i];
		const struct berth_frame frame = berth_frame_of(burst->mbuf[i]);
		burst->verdict[i] = (uint8_t)berth_receive(view, &frame, packet,
							   rte_pktmbuf_pkt_len(burst->mbuf[i]));
		if (burst->verdict[i] == BERTH_NO_VERDICT)
			rte_prefetch0(berth_at_flows(view, (uint32_t)packet->hash & view->flow_mask));
	}
}

/* Steer and rewrite. */
static inline void send_all(struct burst *burst)
{
	for (uint32_t i = 0; i < burst->n; i++) {
		if (burst->verdict[i] != BERTH_NO_VERDICT)
			continue;
		struct berth_packet *packet = &burst->packet[i];
		if (BERTH_UNLIKELY(!berth_frame_is_ours(burst->mbuf[i]))) {
			burst->verdict[i] = BERTH_VERDICT_NO_HEADROOM;
			berth_count_packet(burst->view, packet, BERTH_VERDICT_NO_HEADROOM);
			continue;
		}
		struct berth_frame frame = berth_frame_of(burst->mbuf[i]);
		uint32_t port = 0;
		burst->verdict[i] = (uint8_t)berth_send(burst->view, &frame, packet, &port);
		burst->out[i] = (uint8_t)port;
	}
}

/* Readies a packet for its port; false: it cannot leave there, and its verdict is set. */
static inline bool prepare(const struct berth_pipeline *pipeline, struct burst *burst, uint32_t i)
{
	struct rte_mbuf *mbuf = burst->mbuf[i];
	if (BERTH_UNLIKELY(burst->out[i] >= pipeline->n_ports)) {
		burst->verdict[i] = BERTH_VERDICT_INTERNAL;
		return false;
	}
	if (BERTH_UNLIKELY(mbuf->nb_segs > 1 && !pipeline->ports[burst->out[i]].chains &&
			   rte_pktmbuf_linearize(mbuf) != 0)) {
		burst->verdict[i] = BERTH_VERDICT_TOO_BIG;
		return false;
	}
	/* A receive queue may be another program's transmit queue (rings, memif): its wishes for offloads are
	 * not ours. */
	mbuf->ol_flags &= ~RTE_MBUF_F_TX_OFFLOAD_MASK;
	return true;
}

static void pass_all(struct berth_pipeline *pipeline, struct burst *burst, struct rte_mbuf **passed,
		     const uint8_t *verdict, uint32_t n)
{
	uint32_t taken = n;
	if (pipeline->ports[burst->port].kernel_has_own) {
		rte_pktmbuf_free_bulk(passed, n);
	} else {
		taken = rte_ring_sp_enqueue_burst(pipeline->pass, (void **)passed, n, NULL);
		if (BERTH_UNLIKELY(taken < n))
			rte_pktmbuf_free_bulk(passed + taken, n - taken);
	}
	for (uint32_t i = 0; i < taken; i++)
		burst->count[verdict[i]]++;
	burst->count[BERTH_VERDICT_PASS_FULL] += n - taken;
}

/* To its port's buffer, to the kernel, or away. */
static inline void sort_all(struct berth_pipeline *pipeline, struct burst *burst)
{
	struct rte_mbuf *dropped[BERTH_BURST];
	struct rte_mbuf *passed[BERTH_BURST];
	uint8_t passed_as[BERTH_BURST];
	uint32_t drops = 0;
	uint32_t passes = 0;
	for (uint32_t i = 0; i < burst->n; i++) {
		struct rte_mbuf *mbuf = burst->mbuf[i];
		enum berth_class class = BERTH_VERDICT_CLASS(burst->verdict[i]);
		if (BERTH_LIKELY(class == BERTH_CLASS_FORWARD && prepare(pipeline, burst, i))) {
			struct berth_pipeline_out *out = &pipeline->out[burst->out[i]];
			out->verdict[out->n] = burst->verdict[i];
			out->mbuf[out->n++] = mbuf;
		} else if (class == BERTH_CLASS_PASS) {
			/* Not every driver sets it, and none knows our numbers. */
			mbuf->port = (uint16_t)burst->port;
			passed_as[passes] = burst->verdict[i];
			passed[passes++] = mbuf;
		} else {
			burst->count[burst->verdict[i]]++;
			dropped[drops++] = mbuf;
		}
	}
	if (drops)
		rte_pktmbuf_free_bulk(dropped, drops);
	if (passes)
		pass_all(pipeline, burst, passed, passed_as, passes);
}

/* Hands the ports what is theirs; a packet's verdict is certain only then. */
static inline void flush_all(struct berth_pipeline *pipeline, struct burst *burst)
{
	for (uint32_t port = 0; port < pipeline->n_ports; port++) {
		struct berth_pipeline_out *out = &pipeline->out[port];
		if (!out->n)
			continue;
		uint32_t sent = rte_eth_tx_burst(pipeline->ports[port].id, pipeline->queue, out->mbuf,
						 (uint16_t)out->n);
		for (uint32_t i = 0; i < sent; i++)
			burst->count[out->verdict[i]]++;
		if (BERTH_UNLIKELY(sent < out->n)) {
			burst->count[BERTH_VERDICT_TX_FULL] += out->n - sent;
			rte_pktmbuf_free_bulk(out->mbuf + sent, out->n - sent);
		}
		out->n = 0;
	}
}

void berth_pipeline_run(struct berth_pipeline *pipeline, const struct berth_view *view, uint32_t port,
			struct rte_mbuf **mbufs, uint32_t n)
{
	struct burst burst;
	burst.view = view;
	burst.port = port;
	burst.n = n;
	burst.mbuf = mbufs;
	memset(burst.count, 0, sizeof(burst.count));

	receive_all(&burst);
	send_all(&burst);
	sort_all(pipeline, &burst);
	flush_all(pipeline, &burst);

	berth_count_received(view, n);
	for (uint32_t verdict = BERTH_NO_VERDICT + 1; verdict < BERTH_VERDICT_COUNT; verdict++) {
		if (burst.count[verdict])
			berth_count_verdict(view, (enum berth_verdict)verdict, burst.count[verdict]);
	}
}

uint32_t berth_pipeline_send_host(struct berth_pipeline *pipeline, const struct berth_view *view)
{
	uint32_t total = 0;
	for (uint32_t port = 0; port < pipeline->n_ports; port++) {
		struct rte_mbuf *mbufs[BERTH_BURST];
		if (!pipeline->ports[port].host)
			continue;
		uint32_t n = rte_ring_sc_dequeue_burst(pipeline->ports[port].host, (void **)mbufs, BERTH_BURST,
						       NULL);
		if (!n)
			continue;
		uint32_t sent = rte_eth_tx_burst(pipeline->ports[port].id, pipeline->queue, mbufs, (uint16_t)n);
		if (sent < n)
			rte_pktmbuf_free_bulk(mbufs + sent, n - sent);
		for (uint32_t i = sent; i < n; i++)
			berth_count_event(view, BERTH_EVENT_HOST_UNSENT);
		total += n;
	}
	return total;
}
