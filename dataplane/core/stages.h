/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/*
 * A packet's way: parse -> classify -> steer -> emit. An engine includes its accessors (image.h, or
 * bpf/maps.h) and defines berth_frame_push() and berth_frame_trim() before this file. It may run the stages packet
 * by packet (berth_forward) or each over a burst; the result is the same, but for which unconfirmed flow gives way
 * in a full bucket. The rules are in docs/packets.md.
 */
#pragma once

#include "answer.h"
#include "classify.h"
#include "count.h"
#include "emit.h"
#include "fragment.h"
#include "steer.h"

/* Parse, classify and hash: all that needs no line of the flow table. */
BERTH_INLINE enum berth_verdict berth_receive(const struct berth_view *view, struct berth_frame *frame,
					      struct berth_packet *packet, uint32_t bytes)
{
	enum berth_verdict verdict = berth_parse(frame, packet, bytes);
	if (BERTH_LIKELY(verdict == BERTH_NO_VERDICT))
		verdict = berth_classify(view, packet);
	else if (BERTH_VERDICT_CLASS(verdict) == BERTH_CLASS_DROP && packet->length != 0 &&
		 !berth_is_service_address(view, packet))
		/* Whatever is wrong with it, it is not ours to judge. */
		verdict = BERTH_VERDICT_NO_SERVICE;
	if (BERTH_UNLIKELY(verdict != BERTH_NO_VERDICT))
		return verdict;
	if (BERTH_UNLIKELY(packet->traits & BERTH_LATER_FRAGMENT))
		packet->hash = berth_fragment_hash(view, BERTH_HANDLE_OF(frame), packet);
	else
		berth_hash_packet(view, packet);
	return BERTH_NO_VERDICT;
}

/* Rewrites a packet that was steered; none, or why it cannot leave, or that it leaves otherwise. */
BERTH_INLINE enum berth_verdict berth_rewrite(const struct berth_view *view, struct berth_frame *frame,
					      const struct berth_packet *packet, struct berth_egress *way)
{
	if (BERTH_UNLIKELY(packet->traits & (BERTH_RETURN | BERTH_FIRST_FRAGMENT))) {
		if (packet->traits & BERTH_RETURN)
			return (enum berth_verdict)berth_emit_return(view, BERTH_HANDLE_OF(frame), packet, way);
		berth_fragment_insert(view, packet, berth_fragment_hash(view, BERTH_HANDLE_OF(frame), packet));
	}
	const struct berth_backend *backend = berth_backend_of(view, packet->backend);
	return backend ? berth_emit(frame, packet, backend, way) : BERTH_VERDICT_INTERNAL;
}

/* Rewrite a packet of which `steered` was said, and nothing is due but of its session. */
BERTH_INLINE enum berth_verdict berth_send(const struct berth_view *view, struct berth_frame *frame,
					   struct berth_packet *packet, int steered, uint32_t *port)
{
	struct berth_egress way = {0, 0};
	enum berth_verdict verdict = berth_steer_finish(view, packet, steered);
	if (BERTH_LIKELY(BERTH_VERDICT_CLASS(verdict) == BERTH_CLASS_FORWARD)) {
		enum berth_verdict left = berth_rewrite(view, frame, packet, &way);
		if (left != BERTH_NO_VERDICT)
			verdict = left;
	}
	if (BERTH_UNLIKELY(verdict == BERTH_VERDICT_TOO_BIG || verdict == BERTH_VERDICT_TTL_EXPIRED))
		verdict = (enum berth_verdict)berth_answer(view, BERTH_HANDLE_OF(frame), packet, verdict, way.mtu);
	else if (BERTH_UNLIKELY(verdict == BERTH_VERDICT_RESET))
		verdict = (enum berth_verdict)berth_answer_reset(BERTH_HANDLE_OF(frame), packet);
	berth_count_packet(view, packet, verdict);
	*port = way.port;
	return verdict;
}

/* Steer and rewrite a packet that berth_receive gave no verdict. */
BERTH_INLINE enum berth_verdict berth_steer_and_send(const struct berth_view *view, struct berth_frame *frame,
						     struct berth_packet *packet, uint32_t *port)
{
	int steered = berth_steer_fast(view, packet);
	if (steered == BERTH_NO_VERDICT) {
		/* Before anything waits for the first bucket. What goes back to a client needs none. */
		if (!(packet->traits & BERTH_RETURN))
			berth_prefetch_slow(view, packet);
		steered = berth_steer_otherwise(view, packet);
	}
	return berth_send(view, frame, packet, steered, port);
}

/* One packet, from its bytes to its verdict; counted. `packet` is room for what is known of it. `port` is set where
 * the verdict forwards; an answer leaves where the packet came in. */
BERTH_INLINE enum berth_verdict berth_forward_in(const struct berth_view *view, struct berth_frame *frame,
						 struct berth_packet *packet, uint32_t bytes, uint32_t *port)
{
	enum berth_verdict verdict = berth_receive(view, frame, packet, bytes);
	if (verdict == BERTH_NO_VERDICT)
		verdict = berth_steer_and_send(view, frame, packet, port);
	berth_count_result(view, verdict);
	return verdict;
}

BERTH_INLINE enum berth_verdict berth_forward(const struct berth_view *view, struct berth_frame *frame,
					      uint32_t bytes, uint32_t *port)
{
	struct berth_packet packet;
	return berth_forward_in(view, frame, &packet, bytes, port);
}
