/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/*
 * Stage 4: rewrites a packet for its next hop: to its backend, or in mode nat back to its client.
 */
#pragma once

#include "encap.h"
#include "flowtab.h"
#include "nat.h"

/* The output of stage 4 beside the frame. */
struct berth_egress {
	uint32_t port; /* index into the ports of the generation (ctl.ports) */
	uint32_t mtu;  /* with TOO_BIG: the largest packet that fits, in bytes */
};

BERTH_RARE_STEP int berth_emit_nat(BERTH_HANDLE *handle, const struct berth_packet *packet,
				   const struct berth_backend *backend)
{
	if (!BERTH_IS_SET(packet) || !BERTH_IS_SET(backend))
		return BERTH_VERDICT_INTERNAL;
	BERTH_OPEN(frame, handle);
	if (packet->network > BERTH_ETH_BYTES + 2 * BERTH_VLAN_BYTES)
		return BERTH_VERDICT_INTERNAL;
	const struct berth_nat nat = {
		.from = packet->dst,
		.to = backend->address,
		.port = backend->dport,
		.is6 = packet->is6,
	};
	if (!berth_decrement_ttl(frame, packet->network, packet->is6))
		return BERTH_VERDICT_INTERNAL;
	enum berth_verdict verdict = berth_write_link(frame, backend->dst_mac);
	if (verdict != BERTH_NO_VERDICT)
		return verdict;
	return berth_nat_rewrite(handle, packet, &nat);
}

/* Rewrites the frame for `backend`. Returns a verdict if it cannot. */
BERTH_INLINE enum berth_verdict berth_emit(struct berth_frame *frame, const struct berth_packet *packet,
					   const struct berth_backend *backend, struct berth_egress *egress)
{
	if (!(backend->flags & BERTH_BACKEND_NEXT_HOP))
		return BERTH_VERDICT_NO_NEXT_HOP;
	egress->port = backend->port;
	uint32_t extra = berth_overhead(backend);
	if (packet->length + extra > backend->mtu) {
		egress->mtu = backend->mtu > extra ? backend->mtu - extra : 0;
		return BERTH_VERDICT_TOO_BIG;
	}
	if (extra)
		return berth_encap(frame, packet, backend, extra);
	if (berth_mode_returns(backend->mode))
		return (enum berth_verdict)berth_emit_nat(BERTH_HANDLE_OF(frame), packet, backend);
	if (!berth_decrement_ttl(frame, packet->network, packet->is6))
		return BERTH_VERDICT_INTERNAL;
	return berth_write_link(frame, backend->dst_mac);
}

/* Verdict SECOND_HOP: as berth_emit, in a GUE header of variant 0 with the address of backend `second_hop`. */
BERTH_RARE_STEP int berth_emit_second_hop(const struct berth_view *view, BERTH_HANDLE *handle,
					  const struct berth_packet *packet, uint32_t second_hop,
					  struct berth_egress *egress)
{
	if (!BERTH_IS_SET(view) || !BERTH_IS_SET(packet) || !BERTH_IS_SET(egress))
		return BERTH_VERDICT_INTERNAL;
	BERTH_OPEN(frame, handle);
	const struct berth_backend *backend = berth_backend_of(view, packet->backend);
	const struct berth_backend *hop = berth_backend_of(view, second_hop);
	if (!backend || !hop || packet->network > BERTH_ETH_BYTES + 2 * BERTH_VLAN_BYTES)
		return BERTH_VERDICT_INTERNAL;
	if (!(backend->flags & BERTH_BACKEND_NEXT_HOP))
		return BERTH_VERDICT_NO_NEXT_HOP;
	egress->port = backend->port;
	const uint32_t before = berth_overhead(backend);
	const uint32_t extra = before + berth_second_hop_bytes(berth_is_outer4(backend));
	if (packet->length + extra > backend->mtu) {
		egress->mtu = backend->mtu > extra ? backend->mtu - extra : 0;
		return BERTH_VERDICT_TOO_BIG;
	}
	int verdict = berth_encap(frame, packet, backend, extra);
	if (verdict == BERTH_NO_VERDICT &&
	    !berth_write_second_hop(frame, packet->network + before, packet->is6, hop))
		verdict = BERTH_VERDICT_INTERNAL;
	return verdict;
}

/* The route to a client; NULL: the kernel routes. */
BERTH_INLINE const struct berth_route *berth_route_to(const struct berth_view *view, const union berth_addr *client)
{
	const struct berth_globals *globals = berth_at_globals(view, view->global);
	for (uint32_t i = 0; globals && i < BERTH_MAX_ROUTES; i++) {
		const struct berth_route *route = &globals->route[i];
		if (route->kind == BERTH_ROUTE_NONE)
			break;
		const union berth_addr prefix = berth_addr_prefix(*client, route->bits);
		if (berth_addr_equal(&prefix, &route->prefix))
			return route->kind == BERTH_ROUTE_HOP ? route : NULL;
	}
	return NULL;
}

/* Mode nat: rewrites a packet from a backend to a client. It gets the service's source and leaves by the route to
 * the client, or passes to the kernel. */
BERTH_RARE_STEP int berth_emit_return(const struct berth_view *view, BERTH_HANDLE *handle,
				      const struct berth_packet *packet, struct berth_egress *egress)
{
	if (!BERTH_IS_SET(view) || !BERTH_IS_SET(packet) || !BERTH_IS_SET(egress))
		return BERTH_VERDICT_INTERNAL;
	BERTH_OPEN(frame, handle);
	const struct berth_service *service = berth_service_of(view, packet->service);
	if (!service || packet->network > BERTH_ETH_BYTES + 2 * BERTH_VLAN_BYTES)
		return BERTH_VERDICT_INTERNAL;
	const struct berth_nat nat = {
		.from = packet->src,
		.to = service->address,
		.port = service->port,
		.at_source = 1,
		.is6 = packet->is6,
	};
	const struct berth_route *route = berth_route_to(view, &packet->dst);
	if (route && packet->length > route->mtu) {
		egress->mtu = route->mtu;
		return BERTH_VERDICT_TOO_BIG;
	}
	if (route && (!berth_decrement_ttl(frame, packet->network, packet->is6) ||
		      berth_write_link(frame, route->dst_mac) != BERTH_NO_VERDICT))
		return BERTH_VERDICT_INTERNAL;
	egress->port = route ? route->port : 0;
	int verdict = berth_nat_rewrite(handle, packet, &nat);
	if (verdict != BERTH_NO_VERDICT)
		return verdict;
	return route ? BERTH_VERDICT_RETURNED : BERTH_VERDICT_RETURNED_PASS;
}
