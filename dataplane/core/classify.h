/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/*
 * Stage 2: finds a packet's service.
 *
 * The classifier is an open-addressed hash table that the control plane fills so that each key is within
 * BERTH_VIP_PROBES slots of its hash. The hash is not keyed: operators choose the keys, not clients, and a lookup
 * reads a bounded number of slots.
 *
 * Nearly all packets match a slot of their address and port (EXACT) with one lookup. The slow path looks up the
 * full address, then each prefix length of the services, longest first, for a slot whose port range fits. Of ranges
 * with the same key the narrower comes first.
 */
#pragma once

#include "abi.h"
#include "hash.h"
#include "packet.h"

#ifndef BERTH_HAVE_ACCESSORS
#error "include image.h or bpf/maps.h first"
#endif

enum {
	BERTH_WHOLE_ADDRESS = 128, /* bits */
};

/* Port, protocol and kind of a slot as one word, as they are in memory. */
BERTH_INLINE uint32_t berth_vip_word(enum berth_vip_kind kind, struct berth_be16 port, uint8_t protocol)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return port.raw | (uint32_t)protocol << 16 | (uint32_t)kind << 24;
#else
	return (uint32_t)port.raw << 16 | (uint32_t)protocol << 8 | (uint32_t)kind;
#endif
}

/* The port field of a prefix's key: prefixes of different lengths can have the same address bits. Of a full address
 * it is 0 or the port. */
BERTH_INLINE struct berth_be16 berth_vip_length(uint32_t bits)
{
	return berth_to_be16((uint16_t)(BERTH_WHOLE_ADDRESS - bits));
}

/* The first slot that a lookup of a key reads, modulo the number of slots. */
BERTH_INLINE uint32_t berth_vip_home(const union berth_addr *addr, uint32_t word)
{
	uint64_t x = addr->half[0] * UINT64_C(0x9e3779b97f4a7c15) ^ addr->half[1] ^ (uint64_t)word << 24;
	x *= UINT64_C(0xd6e8feb86659fd93);
	x ^= x >> 32;
	x *= UINT64_C(0xd6e8feb86659fd93);
	return (uint32_t)(x >> 32);
}

BERTH_INLINE bool berth_vip_has(const struct berth_vip *vip, const union berth_addr *addr, uint32_t word)
{
	uint32_t has;
	__builtin_memcpy(&has, &vip->port, sizeof(has));
	return has == word && berth_addr_equal(&vip->addr, addr);
}

/* The EXACT slot of an address, port and protocol, or NULL. */
BERTH_INLINE const struct berth_vip *berth_vip_exact(const struct berth_view *view, const union berth_addr *addr,
						     struct berth_be16 port, uint8_t protocol)
{
	const uint32_t word = berth_vip_word(BERTH_VIP_EXACT, port, protocol);
	uint32_t home = berth_vip_home(addr, word);
	for (uint32_t i = 0; i < BERTH_VIP_PROBES; i++) {
		const struct berth_vip *vip = berth_at_vips(view, view->first_vip + ((home + i) & view->vip_mask));
		if (!vip)
			return NULL;
		/* (A free slot has kind 0 and does not match.) */
		if (BERTH_LIKELY(berth_vip_has(vip, addr, word)))
			return vip;
		if (vip->kind == BERTH_VIP_FREE)
			return NULL;
	}
	return NULL;
}

/* The key of a slow-path lookup. */
struct berth_vip_key {
	union berth_addr addr;
	uint32_t word;	   /* berth_vip_word of a kind, with its port or 0 */
	uint32_t port;	   /* ranges: the port, host order */
	uint32_t prefixes; /* prefixes are looked up, too */
	uint32_t pad;
};

/* The slot of the first `bits` bits of a key, counted from view->first_vip; -1: not found. */
BERTH_RARE_STEP int berth_vip_search(const struct berth_view *view, const struct berth_vip_key *key, uint32_t bits)
{
	if (!BERTH_IS_SET(view) || !BERTH_IS_SET(key))
		return -1;
	const union berth_addr addr = berth_addr_prefix(key->addr, bits);
	const uint32_t kind = key->word >> (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? 24 : 0) & 0xff;
	const bool ranged = kind == BERTH_VIP_RANGE || kind == BERTH_VIP_RETURN_RANGE;
	const uint32_t word = key->word | berth_vip_word(BERTH_VIP_FREE, berth_vip_length(bits), 0);
	uint32_t home = berth_vip_home(&addr, word);
	for (uint32_t i = 0; i < BERTH_VIP_PROBES; i++) {
		uint32_t at = (home + i) & view->vip_mask;
		const struct berth_vip *vip = berth_at_vips(view, view->first_vip + at);
		if (!vip || vip->kind == BERTH_VIP_FREE)
			return -1;
		if (berth_vip_has(vip, &addr, word) &&
		    (!ranged || (key->port >= vip->first && key->port <= vip->last)))
			return (int)at;
	}
	return -1;
}

/* The most specific slot of a key, or NULL. */
BERTH_INLINE const struct berth_vip *berth_vip_find(const struct berth_view *view, const struct berth_vip_key *key)
{
	const struct berth_globals *globals = berth_at_globals(view, view->global);
	int at = berth_vip_search(view, key, BERTH_WHOLE_ADDRESS);
	for (uint32_t i = 0; i < BERTH_MAX_PREFIX_LENGTHS; i++) {
		if (at >= 0 || !key->prefixes || !globals || !globals->prefix_bits[i])
			break;
		at = berth_vip_search(view, key, globals->prefix_bits[i]);
	}
	return at >= 0 ? berth_at_vips(view, view->first_vip + (uint32_t)at) : NULL;
}

/* Whether the packet's destination is an address of any service, regardless of port and protocol. */
BERTH_RARE_STEP int berth_is_service_address(const struct berth_view *view, const struct berth_packet *packet)
{
	if (!BERTH_IS_SET(view) || !BERTH_IS_SET(packet))
		return 0;
	const struct berth_be16 none = {0};
	const struct berth_vip_key key = {
		.addr = packet->dst, .word = berth_vip_word(BERTH_VIP_ADDRESS, none, 0), .prefixes = 1};
	return berth_vip_find(view, &key) != NULL;
}

/* Assigns the packet to the service of a slot. */
BERTH_INLINE enum berth_verdict berth_classify_as(const struct berth_view *view, struct berth_packet *packet,
						  const struct berth_vip *vip, uint8_t traits)
{
	const struct berth_ctl *ctl = berth_at_ctl(view, 0);
	packet->service = (uint16_t)vip->service;
	packet->traits |= traits;
	packet->hash = 0;
	packet->flow_key = vip->flow_key;
	if (vip->kind == BERTH_VIP_RANGE && ctl && !berth_addr_equal(&vip->addr, &packet->dst))
		packet->flow_key = berth_flow_key_of(ctl->secret, packet, vip->flow_key);
	return BERTH_NO_VERDICT;
}

/* Mode nat: finds the service of a packet from a backend to a client. */
BERTH_INLINE enum berth_verdict berth_classify_return(const struct berth_view *view, struct berth_packet *packet)
{
	const struct berth_be16 none = {0};
	struct berth_vip_key key = {.addr = packet->src, .port = berth_from_be16(packet->sport)};
	const struct berth_vip *vip;
	if (packet->traits & BERTH_LATER_FRAGMENT) {
		key.word = berth_vip_word(BERTH_VIP_RETURN_ADDRESS, none, 0);
		vip = berth_vip_find(view, &key);
	} else {
		key.word = berth_vip_word(BERTH_VIP_RETURN, packet->sport, packet->protocol);
		vip = berth_vip_find(view, &key);
		if (!vip) {
			key.word = berth_vip_word(BERTH_VIP_RETURN_RANGE, none, packet->protocol);
			vip = berth_vip_find(view, &key);
		}
	}
	/* Traffic from a backend to this host itself, such as answers to health checks, is not rewritten. */
	const struct berth_vip_key own = {.addr = packet->dst, .word = berth_vip_word(BERTH_VIP_OWN, none, 0)};
	if (!vip || berth_vip_find(view, &own))
		return BERTH_VERDICT_NO_SERVICE;
	return berth_classify_as(view, packet, vip, BERTH_RETURN);
}

/* Finds the service of a later fragment; 0 if more than one is possible. */
BERTH_INLINE enum berth_verdict berth_classify_portless(const struct berth_view *view, struct berth_packet *packet)
{
	const struct berth_be16 none = {0};
	const struct berth_vip_key key = {.addr = packet->dst,
					  .word = berth_vip_word(BERTH_VIP_PORTLESS, none, packet->protocol),
					  .prefixes = 1};
	const struct berth_vip *vip = berth_vip_find(view, &key);
	if (vip)
		packet->service = (uint16_t)vip->service;
	return BERTH_NO_VERDICT;
}

/* Slow path: ranges, prefixes, later fragments, return traffic. */
BERTH_RARE_STEP int berth_classify_slow(const struct berth_view *view, struct berth_packet *packet)
{
	if (!BERTH_IS_SET(view) || !BERTH_IS_SET(packet))
		return BERTH_VERDICT_INTERNAL;
	const struct berth_globals *globals = berth_at_globals(view, view->global);
	if (packet->traits & BERTH_LATER_FRAGMENT) {
		if (berth_is_service_address(view, packet))
			return berth_classify_portless(view, packet);
	} else {
		const struct berth_be16 none = {0};
		const struct berth_vip_key key = {.addr = packet->dst,
						  .word = berth_vip_word(BERTH_VIP_RANGE, none, packet->protocol),
						  .port = berth_from_be16(packet->dport),
						  .prefixes = 1};
		const struct berth_vip *vip = berth_vip_find(view, &key);
		if (vip)
			return berth_classify_as(view, packet, vip, 0);
	}
	/* An ICMP error to a service's address is not return traffic. */
	if (packet->traits & BERTH_ICMP_ERROR && berth_is_service_address(view, packet))
		return BERTH_VERDICT_NO_SERVICE;
	if (globals && globals->has_returns)
		return berth_classify_return(view, packet);
	return BERTH_VERDICT_NO_SERVICE;
}

/* Sets packet->service and, except for later fragments, packet->flow_key. */
BERTH_INLINE enum berth_verdict berth_classify(const struct berth_view *view, struct berth_packet *packet)
{
	if (BERTH_LIKELY(!(packet->traits & BERTH_LATER_FRAGMENT))) {
		const struct berth_vip *vip = berth_vip_exact(view, &packet->dst, packet->dport, packet->protocol);
		if (BERTH_LIKELY(vip)) {
			packet->service = (uint16_t)vip->service;
			packet->flow_key = vip->flow_key;
			return BERTH_NO_VERDICT;
		}
	}
	return (enum berth_verdict)berth_classify_slow(view, packet);
}
