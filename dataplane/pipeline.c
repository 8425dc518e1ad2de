/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/pipeline.h"

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_prefetch.h>

#include "dataplane/frame.h"

/* Compiled four times, for any x86-64 and for AVX2, each without and with copies of packets for a capture, under
 * four names; see pipeline.h. */
#ifndef BERTH_PIPELINE_RUN
#define BERTH_PIPELINE_RUN berth_pipeline_run
#endif

/* A hook after each stage of a burst, for benchmarks. */
#ifndef BERTH_PIPELINE_STAGE
#define BERTH_PIPELINE_STAGE(stage) (void)0
#endif

#ifdef BERTH_PIPELINE_RECORDING
#include "dataplane/capture/recorder.h"
#define BERTH_PIPELINE_RECORD(step, ...) berth_recorder_##step(__VA_ARGS__)
_Static_assert(BERTH_RECORDER_PACKETS == BERTH_BURST + BERTH_HELD, "room for all");
#else
#define BERTH_PIPELINE_RECORD(step, ...) (void)0
#endif

enum {
	/* Headers are prefetched this many packets ahead of the parser. */
	AHEAD = 4,
	/* Lines of the flow table are prefetched for this many packets at once. */
	GROUP = 16,
};

struct burst {
	const struct berth_view *view;
	uint32_t port; /* received on */
	uint32_t n;
	struct rte_mbuf **mbuf;
	struct berth_packet packet[BERTH_BURST];
	struct berth_steering steering[BERTH_BURST];
	struct berth_entry entry[BERTH_BURST]; /* claims of new flows */
	uint64_t count[BERTH_VERDICT_COUNT];
};

static inline void prefetch_headers(struct rte_mbuf *mbuf)
{
	rte_prefetch0(rte_pktmbuf_mtod(mbuf, void *));
}

/* Prefetches the flow's home bucket, and for a new connection the rest. A packet that already has its verdict has
 * no hash; a prefetch of some bucket does no harm. */
static inline void prefetch_home(const struct berth_view *view, const struct berth_packet *packet)
{
	rte_prefetch0(berth_at_flows(view, (uint32_t)packet->hash & view->flow_mask));
	berth_prefetch_new(view, packet);
}

/* Receives all packets, and prefetches the lines of the flow table that steering reads. In groups: a prefetch that
 * misses the TLB delays what follows it, and several at once delay it only once. */
static inline void receive_all(struct burst *burst)
{
	const struct berth_view *view = burst->view;
	for (uint32_t i = 0; i < AHEAD && i < burst->n; i++)
		prefetch_headers(burst->mbuf[i]);
	for (uint32_t first = 0; first < burst->n; first += GROUP) {
		const uint32_t end = RTE_MIN(first + GROUP, burst->n);
		for (uint32_t i = first; i < end; i++) {
			if (i + AHEAD < burst->n)
				prefetch_headers(burst->mbuf[i + AHEAD]);
			struct berth_frame frame = berth_frame_of(burst->mbuf[i]);
			burst->steering[i] = berth_steered(BERTH_NO_VERDICT);
			enum berth_verdict verdict = berth_receive(view, &frame, &burst->packet[i],
								   rte_pktmbuf_pkt_len(burst->mbuf[i]));
			if (BERTH_UNLIKELY(verdict != BERTH_NO_VERDICT))
				burst->steering[i] = (struct berth_steering){.verdict = (uint8_t)verdict,
									     .is_final = 1};
		}
		for (uint32_t i = first; i < end; i++)
			prefetch_home(view, &burst->packet[i]);
	}
}

/* Whether a packet is a common one: a single segment, not shared, without offload requests. */
static inline bool is_plain(const struct rte_mbuf *mbuf)
{
	const uint64_t special = RTE_MBUF_F_INDIRECT | RTE_MBUF_F_EXTERNAL | RTE_MBUF_F_TX_OFFLOAD_MASK;
	return mbuf->nb_segs == 1 && rte_mbuf_refcnt_read(mbuf) == 1 && !(mbuf->ol_flags & special);
}

/* Prepares a packet that is not plain for its port. Returns `verdict`, or the reason why it cannot be sent. */
static enum berth_verdict prepare(const struct berth_pipeline_port *port, struct rte_mbuf *mbuf,
				  enum berth_verdict verdict)
{
	if (mbuf->nb_segs > 1 && !port->chains && rte_pktmbuf_linearize(mbuf) != 0)
		return BERTH_VERDICT_TOO_BIG;
	/* A receive queue can be the transmit queue of another program (rings, memif); its offload requests are not
	 * for our port. */
	mbuf->ol_flags &= ~RTE_MBUF_F_TX_OFFLOAD_MASK;
	return verdict;
}

/* Sends a packet that was received on port `from`. If its verdict forwards or answers, the packet is then counted
 * and in its port's buffer. */
static __rte_always_inline enum berth_verdict send_one(struct berth_pipeline *pipeline, struct burst *burst,
						       struct rte_mbuf *mbuf, struct berth_packet *packet,
						       struct berth_steering steering, struct berth_entry *entry,
						       uint32_t from)
{
	bool plain = is_plain(mbuf);
	bool is_shared = false;
	if (BERTH_UNLIKELY(!plain))
		is_shared = berth_mbuf_is_shared(mbuf);
	struct berth_frame frame = berth_frame_of(mbuf);
	struct berth_egress egress;
	enum berth_verdict verdict = berth_send(burst->view, &frame, packet, steering, entry, is_shared, &egress);
	uint32_t port = egress.port;
	enum berth_class class = BERTH_VERDICT_CLASS(verdict);
	if (BERTH_UNLIKELY(class != BERTH_CLASS_FORWARD)) {
		if (class != BERTH_CLASS_ANSWER)
			return verdict;
		port = from;
	}
	if (BERTH_UNLIKELY(port >= pipeline->n_ports))
		return BERTH_VERDICT_INTERNAL;
	if (BERTH_UNLIKELY(!plain)) {
		verdict = prepare(&pipeline->ports[port], mbuf, verdict);
		if (BERTH_VERDICT_CLASS(verdict) > BERTH_CLASS_ANSWER)
			return verdict;
	}
	struct berth_pipeline_out *out = &pipeline->out[port];
	burst->count[verdict]++;
	out->verdict[out->n] = (uint8_t)verdict;
	out->mbuf[out->n++] = mbuf;
	BERTH_PIPELINE_RECORD(decide, pipeline->recorder, mbuf, packet, verdict, port);
	return verdict;
}

/* Packets that no port sends. */
struct rest {
	uint32_t drops;
	uint32_t passes;
	struct rte_mbuf *dropped[BERTH_BURST + BERTH_HELD];
	struct rte_mbuf *passed[BERTH_BURST + BERTH_HELD];
	uint8_t passed_as[BERTH_BURST + BERTH_HELD];
};

/* Whether the ring to the kernel has room for one more packet. Half of it is for those with priority: so a flood
 * for the kernel takes no answer to a health check away. */
static bool has_pass_room(const struct berth_pipeline *pipeline, const struct burst *burst, const struct rest *rest,
			  const struct berth_packet *packet, enum berth_verdict verdict)
{
	const uint32_t room = rte_ring_free_count(pipeline->pass);
	if (pipeline->ports[burst->port].kernel_has_own || room > rest->passes + pipeline->pass->capacity / 2)
		return true;
	return room > rest->passes && berth_has_pass_priority(burst->view, packet, verdict);
}

static inline void put_aside(const struct berth_pipeline *pipeline, struct burst *burst, struct rest *rest,
			     struct rte_mbuf *mbuf, const struct berth_packet *packet, enum berth_verdict verdict,
			     uint32_t from)
{
	if (BERTH_VERDICT_CLASS(verdict) == BERTH_CLASS_PASS &&
	    !has_pass_room(pipeline, burst, rest, packet, verdict))
		verdict = BERTH_VERDICT_PASS_FULL;
	BERTH_PIPELINE_RECORD(decide, pipeline->recorder, mbuf, packet, verdict, from);
	if (BERTH_VERDICT_CLASS(verdict) == BERTH_CLASS_PASS) {
		/* Drivers may not set it, and it is our port index, not DPDK's. */
		mbuf->port = (uint16_t)from;
		rest->passed_as[rest->passes] = (uint8_t)verdict;
		rest->passed[rest->passes++] = mbuf;
	} else {
		burst->count[verdict]++;
		berth_drop_keep(burst->view, packet, verdict);
		rest->dropped[rest->drops++] = mbuf;
	}
}

/* A port whose kernel interface receives all packets itself: they are freed here, as the kernel has them. It does
 * not have rewritten ones: those are lost. */
static void pass_none(const struct berth_pipeline *pipeline, struct burst *burst, const struct rest *rest)
{
	(void)pipeline;
	for (uint32_t i = 0; i < rest->passes; i++) {
		bool is_new = rest->passed_as[i] == BERTH_VERDICT_RETURNED_PASS;
		burst->count[is_new ? BERTH_VERDICT_PASS_FULL : rest->passed_as[i]]++;
		if (is_new)
			BERTH_PIPELINE_RECORD(revoke, pipeline->recorder, &rest->passed[i], 1,
					      BERTH_VERDICT_PASS_FULL);
	}
	rte_pktmbuf_free_bulk((struct rte_mbuf **)(uintptr_t)rest->passed, rest->passes);
}

static void pass_all(struct berth_pipeline *pipeline, struct burst *burst, struct rest *rest)
{
	if (pipeline->ports[burst->port].kernel_has_own) {
		pass_none(pipeline, burst, rest);
		return;
	}
	/* It has room for all: this worker alone fills it. */
	rte_ring_sp_enqueue_bulk(pipeline->pass, (void **)rest->passed, rest->passes, NULL);
	for (uint32_t i = 0; i < rest->passes; i++)
		burst->count[rest->passed_as[i]]++;
}

/* Holds a fragment for later, if there is room. */
static bool hold(struct berth_pipeline *pipeline, const struct burst *burst, uint32_t i)
{
	if (!pipeline->hold_cycles || pipeline->n_held == BERTH_HELD)
		return false;
	pipeline->held[pipeline->n_held++] = (struct berth_pipeline_held){
		.packet = burst->packet[i],
		.mbuf = burst->mbuf[i],
		.since = rte_get_tsc_cycles(),
		.port = burst->port,
	};
	return true;
}

/* Sends held fragments whose first fragment has arrived. The others stay until their time is over. */
static __rte_noinline __rte_cold void retry_held(struct berth_pipeline *pipeline, struct burst *burst,
						 struct rest *rest)
{
	const uint64_t now = rte_get_tsc_cycles();
	uint32_t left = 0;
	struct berth_entry unused; /* a later fragment inserts no entry */
	for (uint32_t i = 0; i < pipeline->n_held; i++) {
		struct berth_pipeline_held *held = &pipeline->held[i];
		BERTH_PIPELINE_RECORD(arrive, pipeline->recorder, held->mbuf, held->port);
		enum berth_verdict verdict = send_one(pipeline, burst, held->mbuf, &held->packet,
						      berth_steered(BERTH_NO_VERDICT), &unused, held->port);
		if (verdict == BERTH_VERDICT_FRAGMENT_UNKNOWN && now - held->since < pipeline->hold_cycles)
			pipeline->held[left++] = *held;
		else if (BERTH_VERDICT_CLASS(verdict) > BERTH_CLASS_ANSWER)
			put_aside(pipeline, burst, rest, held->mbuf, &held->packet, verdict, held->port);
	}
	pipeline->n_held = left;
}

/* Sends all packets: into the buffer of a port, to the kernel, or dropped. */
static inline void send_all(struct berth_pipeline *pipeline, struct burst *burst)
{
	struct rest rest;
	rest.drops = 0;
	rest.passes = 0;
	for (uint32_t i = 0; i < burst->n; i++) {
		enum berth_verdict verdict = burst->steering[i].verdict;
		if (BERTH_LIKELY(!burst->steering[i].is_final))
			verdict = send_one(pipeline, burst, burst->mbuf[i], &burst->packet[i], burst->steering[i],
					   &burst->entry[i], burst->port);
		if (BERTH_LIKELY(BERTH_VERDICT_CLASS(verdict) <= BERTH_CLASS_ANSWER))
			continue;
		if (verdict != BERTH_VERDICT_FRAGMENT_UNKNOWN || !hold(pipeline, burst, i))
			put_aside(pipeline, burst, &rest, burst->mbuf[i], &burst->packet[i], verdict, burst->port);
	}
	if (BERTH_UNLIKELY(pipeline->n_held))
		retry_held(pipeline, burst, &rest);
	if (rest.drops)
		rte_pktmbuf_free_bulk(rest.dropped, rest.drops);
	if (rest.passes)
		pass_all(pipeline, burst, &rest);
}

/* Transmits the buffers of all ports. Packets that a port does not take are counted as TX_FULL instead. */
static inline void flush_all(struct berth_pipeline *pipeline, struct burst *burst)
{
	for (uint32_t port = 0; port < pipeline->n_ports; port++) {
		struct berth_pipeline_out *out = &pipeline->out[port];
		if (!out->n)
			continue;
		uint32_t sent = rte_eth_tx_burst(pipeline->ports[port].id, pipeline->queue, out->mbuf,
						 (uint16_t)out->n);
		if (BERTH_UNLIKELY(sent < out->n)) {
			for (uint32_t i = sent; i < out->n; i++)
				burst->count[out->verdict[i]]--;
			burst->count[BERTH_VERDICT_TX_FULL] += out->n - sent;
			BERTH_PIPELINE_RECORD(revoke, pipeline->recorder, out->mbuf + sent, out->n - sent,
					      BERTH_VERDICT_TX_FULL);
			rte_pktmbuf_free_bulk(out->mbuf + sent, out->n - sent);
		}
		out->n = 0;
	}
}

void BERTH_PIPELINE_RUN(struct berth_pipeline *pipeline, const struct berth_view *view, uint32_t port,
			struct rte_mbuf **mbufs, uint32_t n)
{
	struct berth_view own = *view;
	berth_view_set_port(&own, own.image->ctl, port);
	struct burst burst;
	burst.view = &own;
	burst.port = port;
	burst.n = n;
	burst.mbuf = mbufs;
	memset(burst.count, 0, sizeof(burst.count));

	BERTH_PIPELINE_RECORD(begin, pipeline->recorder, mbufs, n, port);
	receive_all(&burst);
	BERTH_PIPELINE_STAGE(RECEIVE);
	berth_steer(&own, burst.packet, burst.steering, burst.entry, n);
	BERTH_PIPELINE_STAGE(STEER);
	send_all(pipeline, &burst);
	flush_all(pipeline, &burst);
	BERTH_PIPELINE_RECORD(end, pipeline->recorder);
	BERTH_PIPELINE_STAGE(SEND);

	berth_count_received(view, n);
	for (uint32_t verdict = BERTH_NO_VERDICT + 1; verdict < BERTH_VERDICT_COUNT; verdict++) {
		if (burst.count[verdict])
			berth_count_verdict(view, (enum berth_verdict)verdict, burst.count[verdict]);
	}
}
