/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/*
 * First stage: bytes to a struct berth_packet, or a verdict. Reads nothing past the frame, and believes no
 * length that the frame does not bear out.
 */
#pragma once

#include "limits.h"
#include "packet.h"
#include "verdict.h"

/* The `size` bytes at `offset` of the frame, or NULL. */
#define BERTH_AT(frame, type, offset)                                                                              \
	({                                                                                                         \
		type *at_ = (type *)(void *)((frame)->data + (offset));                                            \
		(uint8_t *)(at_ + 1) > (frame)->end ? NULL : at_;                                                  \
	})

BERTH_INLINE enum berth_verdict berth_parse_transport(const struct berth_frame *frame, struct berth_packet *packet,
						      uint32_t at, uint32_t bytes)
{
	if (packet->protocol == BERTH_PROTO_TCP) {
		const struct berth_tcp *tcp = BERTH_AT(frame, const struct berth_tcp, at);
		if (!tcp || bytes < BERTH_TCP_BYTES)
			return BERTH_VERDICT_BAD_TCP;
		uint32_t header = (uint32_t)(tcp->offset >> 4) * 4;
		if (header < BERTH_TCP_BYTES || header > bytes)
			return BERTH_VERDICT_BAD_TCP;
		packet->sport = tcp->sport;
		packet->dport = tcp->dport;
		packet->tcp_flags = tcp->flags;
		return BERTH_NO_VERDICT;
	}
	if (packet->protocol == BERTH_PROTO_UDP) {
		const struct berth_udp *udp = BERTH_AT(frame, const struct berth_udp, at);
		if (!udp || bytes < BERTH_UDP_BYTES)
			return BERTH_VERDICT_BAD_UDP;
		uint32_t length = berth_from_be16(udp->length);
		if (length < BERTH_UDP_BYTES || length > bytes)
			return BERTH_VERDICT_BAD_UDP;
		packet->sport = udp->sport;
		packet->dport = udp->dport;
		return BERTH_NO_VERDICT;
	}
	return BERTH_VERDICT_NOT_TRANSPORT;
}

BERTH_INLINE enum berth_verdict berth_parse_ip4(const struct berth_frame *frame, struct berth_packet *packet,
						uint32_t at)
{
	const struct berth_ip4 *ip = BERTH_AT(frame, const struct berth_ip4, at);
	if (!ip || ip->version_ihl >> 4 != 4)
		return BERTH_VERDICT_BAD_IP4;
	uint32_t header = (uint32_t)(ip->version_ihl & 15) * 4;
	uint32_t length = berth_from_be16(ip->length);
	if (header < BERTH_IP4_BYTES || length < header || length > packet->bytes - at)
		return BERTH_VERDICT_BAD_IP4;

	berth_addr_set4(&packet->src, ip->src);
	berth_addr_set4(&packet->dst, ip->dst);
	packet->network = (uint8_t)at;
	packet->length = length;
	packet->protocol = ip->protocol;
	packet->traffic_class = ip->tos;
	if (berth_from_be16(ip->fragment) & BERTH_IP4_FRAGMENT_MASK) {
		packet->is_fragment = 1;
		return BERTH_NO_VERDICT;
	}
	packet->transport = (uint16_t)(at + header);
	return berth_parse_transport(frame, packet, at + header, length - header);
}

BERTH_INLINE bool berth_is_ip6_ext(uint8_t protocol)
{
	return protocol == BERTH_PROTO_HOP_BY_HOP || protocol == BERTH_PROTO_ROUTING ||
	       protocol == BERTH_PROTO_DEST_OPTIONS || protocol == BERTH_PROTO_FRAGMENT;
}

BERTH_INLINE enum berth_verdict berth_parse_ip6(const struct berth_frame *frame, struct berth_packet *packet,
						uint32_t at)
{
	const struct berth_ip6 *ip = BERTH_AT(frame, const struct berth_ip6, at);
	if (!ip)
		return BERTH_VERDICT_BAD_IP6;
	uint32_t first = berth_from_be32(ip->version_class_label);
	uint32_t payload = berth_from_be16(ip->payload);
	if (first >> 28 != 6 || payload > packet->bytes - at - BERTH_IP6_BYTES)
		return BERTH_VERDICT_BAD_IP6;

	packet->src = ip->src;
	packet->dst = ip->dst;
	packet->is6 = 1;
	packet->network = (uint8_t)at;
	packet->length = payload + BERTH_IP6_BYTES;
	packet->traffic_class = (uint8_t)(first >> 20);
	packet->protocol = ip->next_header;

	uint32_t end = at + BERTH_IP6_BYTES + payload;
	at += BERTH_IP6_BYTES;
	for (int i = 0; i < BERTH_MAX_IPV6_HEADERS && berth_is_ip6_ext(packet->protocol); i++) {
		if (at > BERTH_MAX_L4_OFFSET)
			return BERTH_VERDICT_BAD_IP6;
		const struct berth_ip6_ext *ext = BERTH_AT(frame, const struct berth_ip6_ext, at);
		if (!ext || at + sizeof(*ext) > end)
			return BERTH_VERDICT_BAD_IP6;
		uint32_t bytes = sizeof(*ext);
		if (packet->protocol == BERTH_PROTO_FRAGMENT) {
			/* An atomic fragment (offset 0, none to follow; RFC 6946) is a whole packet. */
			if (berth_from_be16(ext->fragment) & 0xfff9) {
				packet->protocol = ext->next_header;
				packet->is_fragment = 1;
				return BERTH_NO_VERDICT;
			}
		} else {
			bytes += (uint32_t)ext->length * 8;
		}
		packet->protocol = ext->next_header;
		at += bytes;
	}
	if (at > end || at > BERTH_MAX_L4_OFFSET || berth_is_ip6_ext(packet->protocol))
		return BERTH_VERDICT_BAD_IP6;
	packet->transport = (uint16_t)at;
	return berth_parse_transport(frame, packet, at, end - at);
}

/* Fills `packet` from `frame`, whose whole length in bytes is `bytes`. */
BERTH_INLINE enum berth_verdict berth_parse(const struct berth_frame *frame, struct berth_packet *packet,
					    uint32_t bytes)
{
	__builtin_memset(packet, 0, sizeof(*packet));
	packet->bytes = bytes;
	const struct berth_eth *eth = BERTH_AT(frame, const struct berth_eth, 0);
	if (!eth)
		return BERTH_VERDICT_BAD_FRAME;
	uint16_t type = berth_from_be16(eth->type);
	uint32_t at = BERTH_ETH_BYTES;
	for (int tags = 0; tags < 2 && (type == BERTH_ETHERTYPE_VLAN || type == BERTH_ETHERTYPE_QINQ); tags++) {
		const struct berth_vlan *vlan = BERTH_AT(frame, const struct berth_vlan, at);
		if (!vlan)
			return BERTH_VERDICT_BAD_FRAME;
		type = berth_from_be16(vlan->type);
		at += BERTH_VLAN_BYTES;
	}
	if (type == BERTH_ETHERTYPE_IP4)
		return berth_parse_ip4(frame, packet, at);
	if (type == BERTH_ETHERTYPE_IP6)
		return berth_parse_ip6(frame, packet, at);
	return BERTH_VERDICT_NOT_IP;
}
