/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/*
 * Last stage: the packet is rewritten for its way, to its backend or (mode nat) back to its client.
 */
#pragma once

#include "encap.h"
#include "flowtab.h"
#include "nat.h"

/* How a packet leaves. */
struct berth_egress {
	uint32_t port; /* index into ctl.ports */
	uint32_t mtu;  /* where it is too big: the largest packet that would not be */
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

/* Rewrites the frame for packet->backend, or says why not. */
BERTH_INLINE enum berth_verdict berth_emit(struct berth_frame *frame, const struct berth_packet *packet,
					   const struct berth_backend *backend, struct berth_egress *way)
{
	if (!(backend->flags & BERTH_BACKEND_NEXT_HOP))
		return BERTH_VERDICT_NO_NEXT_HOP;
	way->port = backend->port;
	uint32_t extra = berth_overhead(backend);
	if (packet->length + extra > backend->mtu) {
		way->mtu = backend->mtu > extra ? backend->mtu - extra : 0;
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

/* The route to a client; the kernel's where there is none. */
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

/* Rewrites a backend's packet, which becomes the service's, and sends it to its client or gives it to the kernel.
 */
BERTH_RARE_STEP int berth_emit_return(const struct berth_view *view, BERTH_HANDLE *handle,
				      const struct berth_packet *packet, struct berth_egress *way)
{
	if (!BERTH_IS_SET(view) || !BERTH_IS_SET(packet) || !BERTH_IS_SET(way))
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
		way->mtu = route->mtu;
		return BERTH_VERDICT_TOO_BIG;
	}
	if (route && (!berth_decrement_ttl(frame, packet->network, packet->is6) ||
		      berth_write_link(frame, route->dst_mac) != BERTH_NO_VERDICT))
		return BERTH_VERDICT_INTERNAL;
	way->port = route ? route->port : 0;
	int verdict = berth_nat_rewrite(handle, packet, &nat);
	if (verdict != BERTH_NO_VERDICT)
		return verdict;
	return route ? BERTH_VERDICT_RETURNED : BERTH_VERDICT_RETURNED_PASS;
}
