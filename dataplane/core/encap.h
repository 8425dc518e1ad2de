/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/*
 * Last stage: the packet is rewritten for its backend's way. Link addresses in mode l2; an outer IPv4 or IPv6
 * header in front of the packet in mode ipip (RFC 2003, RFC 2473). VLAN tags stay.
 */
#pragma once

#include "abi.h"
#include "checksum.h"
#include "parse.h"

enum {
	BERTH_OUTER_TTL = 64,
};

BERTH_INLINE enum berth_verdict berth_write_link(struct berth_frame *frame, const struct berth_backend *backend)
{
	struct berth_eth *eth = BERTH_AT(frame, struct berth_eth, 0);
	if (!eth)
		return BERTH_VERDICT_INTERNAL;
	/* Both addresses at once. */
	const uint8_t *macs = (const uint8_t *)backend + offsetof(struct berth_backend, dst_mac);
	*(struct berth_wire64 *)(void *)eth = *(const struct berth_wire64 *)(const void *)macs;
	*(struct berth_wire32 *)(void *)((uint8_t *)eth + 8) = *(const struct berth_wire32 *)(const void *)(macs +
													    8);
	return BERTH_NO_VERDICT;
}

/* Moves the VLAN tags, if there are any, `by` bytes forward and writes the type of what follows them. */
BERTH_INLINE bool berth_move_tags(struct berth_frame *frame, uint32_t network, uint32_t by, uint16_t type)
{
	/* After the two addresses: as many types with their tags as there are, then the last type alone. */
	struct BERTH_WIRE types {
		struct BERTH_WIRE {
			struct berth_be16 type;
			struct berth_be16 tag;
		} at[3];
	};
	struct types *to = (struct types *)(void *)(frame->data + 2 * BERTH_ETH_ADDR_BYTES);
	const struct types *from = BERTH_AT(frame, const struct types, 2 * BERTH_ETH_ADDR_BYTES + by);
	if (!from || network > BERTH_ETH_BYTES + 2 * BERTH_VLAN_BYTES)
		return false;
	if (network == BERTH_ETH_BYTES) {
		to->at[0].type = berth_to_be16(type);
	} else if (network == BERTH_ETH_BYTES + BERTH_VLAN_BYTES) {
		to->at[0] = from->at[0];
		to->at[1].type = berth_to_be16(type);
	} else {
		to->at[0] = from->at[0];
		to->at[1] = from->at[1];
		to->at[2].type = berth_to_be16(type);
	}
	return true;
}

/* Writes a word at any alignment. */
BERTH_INLINE void berth_put_be32(void *header, uint32_t offset, uint32_t value)
{
	((struct berth_wire32 *)(void *)((uint8_t *)header + offset))->raw = berth_to_be32(value).raw;
}

/* The outer IPv4 header, word by word: written in fields, its checksum would wait for each of them. The traffic
 * class is copied, ECN with it (RFC 6040 normal mode). Never fragmented, so the id may be 0 (RFC 6864). */
BERTH_INLINE void berth_write_ip4(struct berth_ip4 *outer, const struct berth_packet *packet,
				  const struct berth_backend *backend)
{
	uint32_t protocol = packet->is6 ? BERTH_PROTO_IP6 : BERTH_PROTO_IP4;
	uint32_t w0 = 0x45u << 24 | (uint32_t)packet->traffic_class << 16 | (packet->length + BERTH_IP4_BYTES);
	uint32_t w1 = BERTH_IP4_DONT_FRAGMENT;
	uint32_t w2 = (uint32_t)BERTH_OUTER_TTL << 24 | protocol << 16;
	uint32_t w3 = berth_from_be32(backend->outer_src.word[3]);
	uint32_t w4 = berth_from_be32(backend->outer_dst.word[3]);
	w2 |= berth_ip4_checksum(w0, w1, w2, w3, w4);
	berth_put_be32(outer, 0, w0);
	berth_put_be32(outer, 4, w1);
	berth_put_be32(outer, 8, w2);
	berth_put_be32(outer, 12, w3);
	berth_put_be32(outer, 16, w4);
}

BERTH_INLINE enum berth_verdict berth_encap_ip4(struct berth_frame *frame, const struct berth_packet *packet,
						const struct berth_backend *backend)
{
	if (!berth_frame_push(frame, BERTH_IP4_BYTES))
		return BERTH_VERDICT_NO_HEADROOM;
	uint32_t network = packet->network;
	if (!berth_move_tags(frame, network, BERTH_IP4_BYTES, BERTH_ETHERTYPE_IP4))
		return BERTH_VERDICT_INTERNAL;
	struct berth_ip4 *outer = BERTH_AT(frame, struct berth_ip4, network);
	if (!outer)
		return BERTH_VERDICT_INTERNAL;
	berth_write_ip4(outer, packet, backend);
	return berth_write_link(frame, backend);
}

BERTH_INLINE enum berth_verdict berth_encap_ip6(struct berth_frame *frame, const struct berth_packet *packet,
						const struct berth_backend *backend)
{
	if (!berth_frame_push(frame, BERTH_IP6_BYTES))
		return BERTH_VERDICT_NO_HEADROOM;
	uint32_t network = packet->network;
	if (!berth_move_tags(frame, network, BERTH_IP6_BYTES, BERTH_ETHERTYPE_IP6))
		return BERTH_VERDICT_INTERNAL;
	struct berth_ip6 *outer = BERTH_AT(frame, struct berth_ip6, network);
	if (!outer)
		return BERTH_VERDICT_INTERNAL;
	/* The flow label is the flow's (RFC 6438), so that routers on the way spread flows. */
	uint32_t first = 6u << 28 | (uint32_t)packet->traffic_class << 20 | ((uint32_t)packet->hash & 0xfffff);
	outer->version_class_label = berth_to_be32(first);
	outer->payload = berth_to_be16((uint16_t)packet->length);
	outer->next_header = packet->is6 ? BERTH_PROTO_IP6 : BERTH_PROTO_IP4;
	outer->hop_limit = BERTH_OUTER_TTL;
	outer->src = backend->outer_src;
	outer->dst = backend->outer_dst;
	return berth_write_link(frame, backend);
}

/* Rewrites the frame for packet->backend; `port` is the port to send it from. */
BERTH_INLINE enum berth_verdict berth_emit(struct berth_frame *frame, const struct berth_packet *packet,
					   const struct berth_backend *backend, uint32_t *port)
{
	if (!(backend->flags & BERTH_BACKEND_NEXT_HOP))
		return BERTH_VERDICT_NO_NEXT_HOP;
	*port = backend->port;
	bool outer4 = berth_addr_is4(&backend->outer_dst);
	uint32_t extra = backend->mode == BERTH_MODE_L2 ? 0 : outer4 ? BERTH_IP4_BYTES : BERTH_IP6_BYTES;
	if (packet->length + extra > backend->mtu)
		return BERTH_VERDICT_TOO_BIG;
	if (backend->mode == BERTH_MODE_L2)
		return berth_write_link(frame, backend);
	return outer4 ? berth_encap_ip4(frame, packet, backend) : berth_encap_ip6(frame, packet, backend);
}
