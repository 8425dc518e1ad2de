/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/*
 * Second stage: which service a packet is for.
 *
 * The classifier is an open-addressed table that the control plane lays out so that no key stands more than
 * BERTH_VIP_PROBES slots from its home. Its hash is plain: the keys are the operator's, not the clients', and
 * a lookup reads a bounded number of slots whatever is asked.
 */
#pragma once

#include "abi.h"
#include "packet.h"

#ifndef BERTH_HAVE_ACCESSORS
#error "include image.h or bpf/maps.h first"
#endif

BERTH_INLINE uint32_t berth_vip_home(const union berth_addr *addr, struct berth_be16 port, uint8_t protocol)
{
	uint64_t x = addr->half[0] * UINT64_C(0x9e3779b97f4a7c15) ^ addr->half[1] ^ (uint64_t)port.raw << 24 ^
		     protocol;
	x *= UINT64_C(0xd6e8feb86659fd93);
	x ^= x >> 32;
	x *= UINT64_C(0xd6e8feb86659fd93);
	return (uint32_t)(x >> 32);
}

/* Port, protocol and whether the slot is used stand side by side in it, and are compared as one word. */
BERTH_INLINE uint32_t berth_vip_word(struct berth_be16 port, uint8_t protocol)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return port.raw | (uint32_t)protocol << 16 | UINT32_C(1) << 24;
#else
	return (uint32_t)port.raw << 16 | (uint32_t)protocol << 8 | 1;
#endif
}

/* The slot with this key, or NULL. */
BERTH_INLINE const struct berth_vip *berth_vip_find(const struct berth_view *view, const union berth_addr *addr,
						    struct berth_be16 port, uint8_t protocol)
{
	const uint32_t wanted = berth_vip_word(port, protocol);
	uint32_t word;
	uint32_t home = berth_vip_home(addr, port, protocol);
	for (uint32_t i = 0; i < BERTH_VIP_PROBES; i++) {
		const struct berth_vip *vip = berth_at_vips(view, view->first_vip + ((home + i) & view->vip_mask));
		if (!vip || !vip->used)
			return NULL;
		__builtin_memcpy(&word, &vip->port, sizeof(word));
		if (word == wanted && berth_addr_equal(&vip->addr, addr))
			return vip;
	}
	return NULL;
}

/* Whether some service has the packet's destination, whatever port and protocol. */
BERTH_INLINE bool berth_is_service_address(const struct berth_view *view, const struct berth_packet *packet)
{
	const struct berth_be16 any = {0};
	return berth_vip_find(view, &packet->dst, any, 0);
}

/* Sets packet->service. */
BERTH_INLINE enum berth_verdict berth_classify(const struct berth_view *view, struct berth_packet *packet)
{
	const struct berth_be16 any = {0};
	if (packet->is_fragment)
		return berth_is_service_address(view, packet) ? BERTH_VERDICT_FRAGMENT : BERTH_VERDICT_NO_SERVICE;
	const struct berth_vip *vip = berth_vip_find(view, &packet->dst, packet->dport, packet->protocol);
	if (!vip)
		vip = berth_vip_find(view, &packet->dst, any, packet->protocol);
	if (!vip)
		return BERTH_VERDICT_NO_SERVICE;
	packet->service = (uint16_t)vip->service;
	return BERTH_NO_VERDICT;
}
