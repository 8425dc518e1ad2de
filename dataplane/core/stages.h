/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/*
 * A packet's way: parse -> classify -> steer -> emit. An engine includes its accessors (image.h, or
 * bpf/maps.h) and defines berth_frame_push() before this file. It may run the stages packet by packet
 * (berth_forward) or each over a burst; the result is the same, but for which unconfirmed flow gives way in a full
 * bucket.
 */
#pragma once

#include "classify.h"
#include "count.h"
#include "encap.h"
#include "steer.h"

/* Parse, classify and hash: all that needs no line of the flow table. */
BERTH_INLINE enum berth_verdict berth_receive(const struct berth_view *view, const struct berth_frame *frame,
					      struct berth_packet *packet, uint32_t bytes)
{
	enum berth_verdict verdict = berth_parse(frame, packet, bytes);
	if (verdict == BERTH_NO_VERDICT)
		verdict = berth_classify(view, packet);
	else if (BERTH_VERDICT_CLASS(verdict) == BERTH_CLASS_DROP && packet->length != 0 &&
		 !berth_is_service_address(view, packet))
		/* Whatever is wrong with it, it is not ours to judge. */
		verdict = BERTH_VERDICT_NO_SERVICE;
	if (verdict == BERTH_NO_VERDICT)
		berth_hash_packet(view, packet);
	return verdict;
}

/* Steer and rewrite a packet that berth_receive gave no verdict; `at_home` is what berth_steer_at_home said. */
BERTH_INLINE enum berth_verdict berth_send(const struct berth_view *view, struct berth_frame *frame,
					   struct berth_packet *packet, int at_home, uint32_t *port)
{
	enum berth_verdict verdict = berth_steer_rest(view, packet, at_home);
	if (BERTH_VERDICT_CLASS(verdict) == BERTH_CLASS_FORWARD) {
		const struct berth_backend *backend = berth_backend_of(view, packet->backend);
		enum berth_verdict emitted = backend ? berth_emit(frame, packet, backend, port)
						     : BERTH_VERDICT_INTERNAL;
		if (emitted != BERTH_NO_VERDICT)
			verdict = emitted;
	}
	berth_count_packet(view, packet, verdict);
	return verdict;
}

/* One packet, from its bytes to its verdict; counted. `port` is set where the verdict forwards. */
BERTH_INLINE enum berth_verdict berth_forward(const struct berth_view *view, struct berth_frame *frame,
					      uint32_t bytes, uint32_t *port)
{
	struct berth_packet packet;
	berth_count_received(view, 1);
	enum berth_verdict verdict = berth_receive(view, frame, &packet, bytes);
	if (verdict == BERTH_NO_VERDICT)
		verdict = berth_send(view, frame, &packet, berth_steer_at_home(view, &packet), port);
	berth_count_verdict(view, verdict, 1);
	return verdict;
}
