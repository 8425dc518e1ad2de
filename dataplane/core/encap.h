/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/*
 * Encapsulation: an outer IPv4 or IPv6 header (RFC 2003, RFC 2473), in mode gue with a UDP header. Also the TTL,
 * which every forwarded packet decrements. VLAN tags stay.
 */
#pragma once

#include "abi.h"
#include "checksum.h"
#include "gue.h"
#include "link.h"
#include "parse.h"

enum {
	BERTH_OWN_TTL = 64, /* of headers that berth writes */
};

BERTH_INLINE bool berth_is_outer4(const struct berth_backend *backend)
{
	return berth_addr_is4(&backend->address);
}

/* Bytes that a backend's mode adds to a packet. */
BERTH_INLINE uint32_t berth_overhead(const struct berth_backend *backend)
{
	/* First, for the modes that add none: the address is not read then. */
	if (!berth_mode_encapsulates(backend->mode))
		return 0;
	return berth_mode_overhead(backend->mode, berth_is_outer4(backend));
}

/* The last word of the outer source address. Its source_bits vary by flow, so that receivers that hash addresses
 * spread the flows. */
BERTH_INLINE struct berth_be32 berth_outer_source(const struct berth_packet *packet,
						  const struct berth_backend *backend)
{
	uint32_t varying = (1u << (backend->source_bits & 31)) - 1;
	uint32_t bits = berth_to_be32((uint32_t)(packet->hash >> 20) & varying).raw;
	return (struct berth_be32){backend->outer_src.word[3].raw | bits};
}

/* Writes an IPv4 header; `length` is the total length. Written in words: after stores of single fields, the
 * checksum would wait for each of them. The packet is never fragmented, so the identification can be 0 (RFC 6864).
 */
BERTH_INLINE void berth_write_ip4(struct berth_ip4 *ip, uint32_t tos, uint32_t length, uint32_t protocol,
				  struct berth_be32 src, struct berth_be32 dst)
{
	const uint32_t word[5] = {
		berth_to_be32(0x45u << 24 | tos << 16 | length).raw,
		berth_to_be32(BERTH_IP4_DONT_FRAGMENT).raw,
		berth_to_be32((uint32_t)BERTH_OWN_TTL << 24 | protocol << 16).raw,
		src.raw,
		dst.raw,
	};
	uint64_t sum = 0;
	for (uint32_t i = 0; i < 5; i++) {
		((struct berth_wire32 *)(void *)ip)[i].raw = word[i];
		sum += word[i];
	}
	ip->checksum = (uint16_t)~berth_checksum_fold64(sum);
}

BERTH_INLINE void berth_write_ip6(struct berth_ip6 *outer, const struct berth_packet *packet,
				  const struct berth_backend *backend, uint32_t extra)
{
	/* The flow label is from the flow hash, so that routers can spread flows (RFC 6438). */
	uint32_t first = 6u << 28 | (uint32_t)packet->traffic_class << 20 | ((uint32_t)packet->hash & 0xfffff);
	outer->version_class_label = berth_to_be32(first);
	outer->payload = berth_to_be16((uint16_t)(packet->length + extra - BERTH_IP6_BYTES));
	outer->next_header = (uint8_t)berth_mode_protocol(backend->mode, packet->is6);
	outer->hop_limit = BERTH_OWN_TTL;
	outer->src = backend->outer_src;
	outer->src.word[3] = berth_outer_source(packet, backend);
	outer->dst = backend->address;
}

/* Writes the UDP header behind the outer IP header; `length` includes it. No checksum: the packet has its own
 * (RFC 6935). */
BERTH_INLINE void berth_write_udp(struct berth_udp *udp, const struct berth_packet *packet,
				  const struct berth_backend *backend, uint32_t length)
{
	udp->sport = berth_to_be16((uint16_t)(0xc000 | ((uint32_t)(packet->hash >> 20) & 0x3fff)));
	udp->dport = backend->dport;
	udp->length = berth_to_be16((uint16_t)length);
	udp->checksum = 0;
}

/* Modes that encapsulate; `extra` is berth_overhead, in mode gue and the bytes of a GUE header that the caller
 * writes. */
BERTH_INLINE enum berth_verdict berth_encap(struct berth_frame *frame, const struct berth_packet *packet,
					    const struct berth_backend *backend, uint32_t extra)
{
	if (!berth_frame_push(frame, extra))
		return BERTH_VERDICT_NO_HEADROOM;
	uint32_t network = packet->network;
	bool outer4 = berth_is_outer4(backend);
	if (!berth_move_tags(frame, network, extra, outer4 ? BERTH_ETHERTYPE_IP4 : BERTH_ETHERTYPE_IP6) ||
	    !berth_decrement_ttl(frame, network + extra, packet->is6))
		return BERTH_VERDICT_INTERNAL;
	if (outer4) {
		struct berth_ip4 *outer = BERTH_AT(frame, struct berth_ip4, network);
		if (!outer)
			return BERTH_VERDICT_INTERNAL;
		/* The traffic class is copied, ECN with it (RFC 6040 normal mode). */
		berth_write_ip4(outer, packet->traffic_class, packet->length + extra,
				berth_mode_protocol(backend->mode, packet->is6),
				berth_outer_source(packet, backend), backend->address.word[3]);
	} else {
		struct berth_ip6 *outer = BERTH_AT(frame, struct berth_ip6, network);
		if (!outer)
			return BERTH_VERDICT_INTERNAL;
		berth_write_ip6(outer, packet, backend, extra);
	}
	if (berth_mode_has_tunnel_port(backend->mode)) {
		uint32_t bytes = outer4 ? BERTH_IP4_BYTES : BERTH_IP6_BYTES;
		struct berth_udp *udp = BERTH_AT(frame, struct berth_udp, network + bytes);
		if (!udp)
			return BERTH_VERDICT_INTERNAL;
		berth_write_udp(udp, packet, backend, packet->length + extra - bytes);
	}
	return berth_write_link(frame, backend->dst_mac);
}

/* Bytes of a GUE header with one second hop. */
BERTH_INLINE uint32_t berth_second_hop_bytes(bool is_outer4)
{
	return BERTH_GUE_BYTES + BERTH_GUE_HOPS_BYTES + berth_gue_hop_bytes(!is_outer4);
}

/* Writes a GUE header of variant 0 at `offset`, with the address of `hop` as second hop. */
BERTH_INLINE bool berth_write_second_hop(struct berth_frame *frame, uint32_t offset, bool is_inner6,
					 const struct berth_backend *hop)
{
	const bool is_outer4 = berth_is_outer4(hop);
	struct berth_gue *gue = BERTH_AT(frame, struct berth_gue, offset);
	struct berth_gue_hops *hops = BERTH_AT(frame, struct berth_gue_hops, offset + BERTH_GUE_BYTES);
	const uint32_t at = offset + BERTH_GUE_BYTES + BERTH_GUE_HOPS_BYTES;
	if (!gue || !hops)
		return false;
	*gue = (struct berth_gue){
		.variant_length = (uint8_t)((berth_second_hop_bytes(is_outer4) - BERTH_GUE_BYTES) /
					    BERTH_GUE_LENGTH_UNIT),
		.protocol = is_inner6 ? BERTH_PROTO_IP6 : BERTH_PROTO_IP4,
	};
	*hops = (struct berth_gue_hops){
		.type = berth_to_be16(is_outer4 ? BERTH_GUE_HOPS4 : BERTH_GUE_HOPS6),
		.count = 1,
	};
	if (is_outer4) {
		struct berth_wire32 *address = BERTH_AT(frame, struct berth_wire32, at);
		if (address)
			address->raw = hop->address.word[3].raw;
		return address;
	}
	struct berth_gue_hop6 *address = BERTH_AT(frame, struct berth_gue_hop6, at);
	if (address)
		address->address = hop->address;
	return address;
}
