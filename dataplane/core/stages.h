/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/*
 * The order of the stages, for one packet and for a burst: receive (parse, classify, hash), steer, send (what
 * steering left due, rewrite or answer, count). Both engines and the tests run packets through these functions
 * alone:
 *
 *   berth_receive   each packet
 *   berth_steer     all packets of a burst
 *   berth_send      each packet that berth_receive gave no verdict
 *
 * XDP runs a burst of one (berth_forward), DPDK up to 32 (dataplane/pipeline.c). The results are the same, except
 * for the choice of the victim in a full bucket. An engine includes its accessors (image.h or bpf/maps.h) and
 * defines berth_frame_push() and berth_frame_trim() (packet.h) before this file. The rules are in docs/packets.md.
 */
#pragma once

#include "answer.h"
#include "classify.h"
#include "count.h"
#include "emit.h"
#include "fragment.h"
#include "ingress.h"
#include "steer.h"

enum {
	/* With more packets of a burst on the slow path, its flows are new ones: of the packets of existing flows
	 * one in twelve misses the fast path. */
	BERTH_FEW_SLOW = 8,
};

/* Parse, classify and hash: all that reads no line of the flow table. */
BERTH_INLINE enum berth_verdict berth_receive(const struct berth_view *view, struct berth_frame *frame,
					      struct berth_packet *packet, uint32_t bytes)
{
	if (BERTH_UNLIKELY(!berth_is_to_port(view, frame)) && !berth_is_to_own_link(view, BERTH_HANDLE_OF(frame)))
		return berth_receive_foreign(frame, packet, bytes);
	enum berth_verdict verdict = berth_parse(frame, packet, bytes);
	if (BERTH_LIKELY(verdict == BERTH_NO_VERDICT)) {
		verdict = berth_classify(view, packet);
		if (BERTH_UNLIKELY(berth_is_link_local(packet)) && verdict == BERTH_NO_VERDICT &&
		    !(packet->traits & BERTH_RETURN))
			verdict = BERTH_VERDICT_LINK_LOCAL;
	} else if (BERTH_VERDICT_CLASS(verdict) == BERTH_CLASS_DROP && packet->length != 0 &&
		   !berth_is_service_address(view, packet)) {
		/* An invalid packet that is for no service passes to the kernel. */
		verdict = BERTH_VERDICT_NO_SERVICE;
	}
	if (BERTH_UNLIKELY(verdict != BERTH_NO_VERDICT))
		return verdict;
	if (BERTH_UNLIKELY(packet->traits & BERTH_LATER_FRAGMENT))
		packet->hash = berth_fragment_hash(view, BERTH_HANDLE_OF(frame), packet);
	else if (BERTH_UNLIKELY(packet->traits & BERTH_RETURN))
		berth_hash_return(view, packet);
	else
		berth_hash_packet(view, packet);
	return BERTH_NO_VERDICT;
}

/* Slow path of a single packet, kept out of the loop over a burst. */
BERTH_OUTLINE struct berth_steering berth_steer_slow_single(const struct berth_view *view,
							    struct berth_packet *packet, struct berth_entry *entry)
{
	return berth_steer_slow(view, packet, entry);
}

/* Slow path of a burst that has many new flows: all claims here, all settlements in berth_steer_finish. An atomic
 * operation delays what follows it, and so the claims overlap. Stops at the first packet that can leave an entry
 * for those behind it when it is sent (a first fragment): from there on, packets are steered one by one as they are
 * sent. */
BERTH_INLINE void berth_steer_many(const struct berth_view *view, struct berth_packet *packets,
				   struct berth_steering *steerings, struct berth_entry *entries, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		if (steerings[i].is_final)
			continue;
		if (BERTH_UNLIKELY(packets[i].traits & (BERTH_SLOW_PATH | BERTH_FIRST_FRAGMENT)))
			return;
		if (steerings[i].verdict == BERTH_NO_VERDICT)
			steerings[i] = berth_steer_slow(view, &packets[i], &entries[i]);
		if (BERTH_UNLIKELY(steerings[i].session_due)) {
			berth_session_touch(view, &packets[i], steerings[i].session_due);
			steerings[i].session_due = 0;
		}
	}
}

/*
 * Steers `n` packets, a burst of any size; `n` is 1 at compile time where packets come one by one.
 *
 * Fast path for all, and prefetches for the slow path. A packet behind one that waits for the slow path, and that
 * may be of the same flow, waits too: packets of a flow keep their order. Where few wait, berth_steer_finish runs
 * the slow path: by then their lines have arrived.
 */
BERTH_INLINE void berth_steer(const struct berth_view *view, struct berth_packet *packets,
			      struct berth_steering *steerings, struct berth_entry *entries, uint32_t n)
{
	uint64_t waiting = 0;
	uint32_t n_waiting = 0;
	for (uint32_t i = 0; i < n; i++) {
		struct berth_packet *packet = &packets[i];
		if (steerings[i].is_final)
			continue;
		uint64_t flow = UINT64_C(1) << (packet->hash & 63);
		if (BERTH_LIKELY(!(waiting & flow))) {
			berth_steer_fast(view, packet, &steerings[i]);
			if (BERTH_LIKELY(steerings[i].verdict != BERTH_NO_VERDICT))
				continue;
			if (!(packet->traits & (BERTH_OPENS_CONNECTION | BERTH_RETURN)))
				berth_prefetch_slow(view, packet);
		}
		waiting |= flow;
		n_waiting++;
	}
	if (BERTH_UNLIKELY(n_waiting > BERTH_FEW_SLOW))
		berth_steer_many(view, packets, steerings, entries, n);
}

/* Does what is still due of a packet's steering. Returns the verdict; if it forwards, packet->backend is set. */
BERTH_INLINE enum berth_verdict berth_steer_finish(const struct berth_view *view, struct berth_packet *packet,
						   struct berth_steering steering, struct berth_entry *entry)
{
	if (BERTH_UNLIKELY(steering.verdict == BERTH_NO_VERDICT))
		steering = berth_steer_slow_single(view, packet, entry);
	/* (One comparison: the two are one 16-bit word.) */
	if (BERTH_LIKELY(steering.entry_due == 0 && steering.session_due == 0))
		return (enum berth_verdict)steering.verdict;
	if (steering.entry_due)
		steering.verdict = (uint8_t)berth_steer_settle(view, packet, entry, steering.verdict);
	if (steering.session_due)
		berth_session_touch(view, packet, steering.session_due);
	return (enum berth_verdict)steering.verdict;
}

/* Rewrites a packet that was steered with `verdict`. The verdict: none if it leaves as it was steered; else how it
 * leaves, or the reason why it cannot. */
BERTH_INLINE enum berth_verdict berth_rewrite(const struct berth_view *view, struct berth_frame *frame,
					      const struct berth_packet *packet, enum berth_verdict verdict,
					      struct berth_egress *egress)
{
	if (BERTH_UNLIKELY(packet->traits & (BERTH_RETURN | BERTH_FIRST_FRAGMENT | BERTH_NOT_INSERTED))) {
		/* 0: it has become ineligible since. */
		const int hop = verdict == BERTH_VERDICT_SECOND_HOP ? berth_second_hop(view, packet) : 0;
		if (hop)
			return (enum berth_verdict)berth_emit_second_hop(view, BERTH_HANDLE_OF(frame), packet,
									 (uint32_t)hop, egress);
		if (packet->traits & BERTH_FIRST_FRAGMENT)
			berth_fragment_insert(view, packet,
					      berth_fragment_hash(view, BERTH_HANDLE_OF(frame), packet));
		if (packet->traits & BERTH_RETURN)
			return (enum berth_verdict)berth_emit_return(view, BERTH_HANDLE_OF(frame), packet, egress);
	}
	const struct berth_backend *backend = berth_backend_of(view, packet->backend);
	return backend ? berth_emit(frame, packet, backend, egress) : BERTH_VERDICT_INTERNAL;
}

/* Completes the steering of a packet that berth_receive gave no verdict; then rewrites it, or answers its sender,
 * and counts it for its service or backend. The port of `egress` is set if the verdict forwards. A frame that
 * `is_shared` (others read its bytes) is not rewritten. */
BERTH_INLINE enum berth_verdict berth_send(const struct berth_view *view, struct berth_frame *frame,
					   struct berth_packet *packet, struct berth_steering steering,
					   struct berth_entry *entry, bool is_shared, struct berth_egress *egress)
{
	*egress = (struct berth_egress){0, 0};
	enum berth_verdict verdict = berth_steer_finish(view, packet, steering, entry);
	if (BERTH_UNLIKELY(is_shared))
		verdict = BERTH_VERDICT_NO_HEADROOM;
	if (BERTH_LIKELY(BERTH_VERDICT_CLASS(verdict) == BERTH_CLASS_FORWARD)) {
		enum berth_verdict rewritten = berth_rewrite(view, frame, packet, verdict, egress);
		if (rewritten != BERTH_NO_VERDICT)
			verdict = rewritten;
	}
	if (BERTH_UNLIKELY(verdict == BERTH_VERDICT_TOO_BIG || verdict == BERTH_VERDICT_TTL_EXPIRED))
		verdict = (enum berth_verdict)berth_answer(view, BERTH_HANDLE_OF(frame), packet, verdict,
							   egress->mtu);
	else if (BERTH_UNLIKELY(verdict == BERTH_VERDICT_RESET))
		verdict = (enum berth_verdict)berth_answer_reset(BERTH_HANDLE_OF(frame), packet);
	berth_count_packet(view, packet, verdict);
	return verdict;
}

/* A burst of one, from the frame's bytes to its counted verdict. `packet` and `entry` are scratch memory. `egress`
 * as in berth_send; an answer leaves by the port where the packet arrived. */
BERTH_INLINE enum berth_verdict berth_forward_in(const struct berth_view *view, struct berth_frame *frame,
						 struct berth_packet *packet, struct berth_entry *entry,
						 uint32_t bytes, struct berth_egress *egress)
{
	enum berth_verdict verdict = berth_receive(view, frame, packet, bytes);
	if (verdict == BERTH_NO_VERDICT) {
		struct berth_steering steering = berth_steered(BERTH_NO_VERDICT);
		berth_prefetch_new(view, packet);
		berth_steer(view, packet, &steering, entry, 1);
		verdict = berth_send(view, frame, packet, steering, entry, false, egress);
	}
	berth_count_result(view, verdict);
	return verdict;
}

/* The same with an entry on the stack. `port`: that of the egress, if the verdict forwards. */
BERTH_INLINE enum berth_verdict berth_forward(const struct berth_view *view, struct berth_frame *frame,
					      struct berth_packet *packet, uint32_t bytes, uint32_t *port)
{
	struct berth_entry entry;
	struct berth_egress egress = {0, 0};
	const enum berth_verdict verdict = berth_forward_in(view, frame, packet, &entry, bytes, &egress);
	*port = egress.port;
	return verdict;
}
