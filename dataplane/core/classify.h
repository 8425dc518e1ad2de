/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/*
 * Second stage: which service a packet is for.
 *
 * The classifier is an open-addressed table that the control plane lays out so that no key stands more than
 * BERTH_VIP_PROBES slots from its home. Its hash is plain: the keys are the operator's, not the clients', and
 * a search reads a bounded number of slots whatever is asked.
 *
 * Nearly all packets are for an address and port of their own (EXACT), one search. For the others the whole address
 * is searched and then each length of prefix that some service has, longest first, for a slot whose range of ports
 * fits; of ranges with one key the narrower stand first.
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

/* Port, protocol and kind stand side by side in a slot, and are compared as one word. */
BERTH_INLINE uint32_t berth_vip_word(enum berth_vip_kind kind, struct berth_be16 port, uint8_t protocol)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return port.raw | (uint32_t)protocol << 16 | (uint32_t)kind << 24;
#else
	return (uint32_t)port.raw << 16 | (uint32_t)protocol << 8 | (uint32_t)kind;
#endif
}

/* What a prefix's key has in the place of the port, for prefixes of many lengths may begin with one address. A
 * whole address has 0 there, or its port. */
BERTH_INLINE struct berth_be16 berth_vip_length(uint32_t bits)
{
	return berth_to_be16((uint16_t)(BERTH_WHOLE_ADDRESS - bits));
}

/* The slot of a key from which on it is searched, modulo the number of slots. */
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

/* The slot for an address and port of a packet's own, or NULL. */
BERTH_INLINE const struct berth_vip *berth_vip_exact(const struct berth_view *view, const union berth_addr *addr,
						     struct berth_be16 port, uint8_t protocol)
{
	const uint32_t word = berth_vip_word(BERTH_VIP_EXACT, port, protocol);
	uint32_t home = berth_vip_home(addr, word);
	for (uint32_t i = 0; i < BERTH_VIP_PROBES; i++) {
		const struct berth_vip *vip = berth_at_vips(view, view->first_vip + ((home + i) & view->vip_mask));
		if (!vip)
			return NULL;
		/* A free slot has no kind. */
		if (BERTH_LIKELY(berth_vip_has(vip, addr, word)))
			return vip;
		if (vip->kind == BERTH_VIP_FREE)
			return NULL;
	}
	return NULL;
}

/* What is searched for: an address, as many of its bits as each length of prefix has, and what stands beside it. */
struct berth_vip_key {
	union berth_addr addr;
	uint32_t word;	   /* berth_vip_word of a kind, with its port or 0 */
	uint32_t port;	   /* ranges: in host order */
	uint32_t prefixes; /* whether prefixes are searched, too */
	uint32_t pad;
};

/* A key's slot for its first `bits` bits, counted from view->first_vip; -1: none. */
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

/* The most specific slot for a key, or NULL. */
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

/* Whether some service has the packet's destination, whatever port and protocol. */
BERTH_RARE_STEP int berth_is_service_address(const struct berth_view *view, const struct berth_packet *packet)
{
	if (!BERTH_IS_SET(view) || !BERTH_IS_SET(packet))
		return 0;
	const struct berth_be16 none = {0};
	const struct berth_vip_key key = {
		.addr = packet->dst, .word = berth_vip_word(BERTH_VIP_ADDRESS, none, 0), .prefixes = 1};
	return berth_vip_find(view, &key) != NULL;
}

/* Takes the service of a slot that was found. */
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

/* A packet that an address of its own and prefixes and ranges of services do not explain may be a backend's
 * answer (mode nat). */
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
	/* What a backend says to this host itself, as when it is probed, stays what it is. */
	const struct berth_vip_key own = {.addr = packet->dst, .word = berth_vip_word(BERTH_VIP_OWN, none, 0)};
	if (!vip || berth_vip_find(view, &own))
		return BERTH_VERDICT_NO_SERVICE;
	return berth_classify_as(view, packet, vip, BERTH_RETURN);
}

/* A later fragment to a service's address: its service, if there is but one that it can be for. */
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

/* berth_classify where no slot is exactly the packet's. */
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
	/* An error that is sent to a service is about what its backends sent. */
	if (packet->traits & BERTH_ICMP_ERROR && berth_is_service_address(view, packet))
		return BERTH_VERDICT_NO_SERVICE;
	if (globals && globals->has_returns)
		return berth_classify_return(view, packet);
	return BERTH_VERDICT_NO_SERVICE;
}

/* Sets packet->service and, but for later fragments, packet->flow_key. */
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
