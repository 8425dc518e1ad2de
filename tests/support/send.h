/* SPDX-License-Identifier: BSD-3-Clause */
/* A packet through the whole of the core, its verdict's name, and one hop of a router. */
#pragma once

#include "tests/support/packet.h"

/* Builds a packet and sends it through all stages. */
static inline enum berth_verdict fixture_send(const struct berth_view *view, const struct fixture_packet *packet)
{
	struct fixture_frame frame;
	uint32_t port = 0;
	fixture_build(&frame, packet);
	return berth_forward(view, &frame.frame, &(struct berth_packet){0}, frame.bytes, &port);
}

/* Steers a received packet, without sending it. */
static inline enum berth_verdict fixture_steer(const struct berth_view *view, struct berth_packet *packet)
{
	struct berth_steering steering = berth_steered(BERTH_NO_VERDICT);
	struct berth_entry entry;
	berth_steer(view, packet, &steering, &entry, 1);
	return berth_steer_finish(view, packet, steering, &entry);
}

static inline const char *fixture_verdict_name(enum berth_verdict verdict)
{
	static const char *const names[] = {
		[BERTH_NO_VERDICT] = "none",
#define X(symbol, name, class, help) [BERTH_VERDICT_##symbol] = name,
		BERTH_VERDICTS(X)
#undef X
	};
	return verdict < BERTH_VERDICT_COUNT ? names[verdict] : "?";
}

/* Decrements TTL or hop limit of the packet at `ip`, as a router does. */
static inline void fixture_decrement_ttl(uint8_t *ip)
{
	if (ip[0] >> 4 == 6) {
		ip[7]--;
		return;
	}
	ip[8]--;
	fixture_put16(ip + 10, 0);
	fixture_put16(ip + 10, fixture_checksum(ip, (ip[0] & 15u) * 4));
}
