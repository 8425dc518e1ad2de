/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/*
 * Stage 1: parses a frame into a struct berth_packet, or gives a verdict. It reads no byte outside the frame and
 * checks every length against the frame.
 */
#pragma once

#include "limits.h"
#include "link.h"
#include "packet.h"
#include "verdict.h"

/* Position in the header chain of an IPv6 packet. */
struct berth_ip6_headers {
	uint32_t at;	      /* offset of the next header; in the end, of the first that is no extension header */
	uint32_t end;	      /* offset of the packet's end */
	struct berth_be32 id; /* fragments: identification; below offset and flags, and the payload's offset */
	uint16_t fragment;
	uint16_t fragment_at;
	uint8_t protocol;	   /* of the header at `at` */
	uint8_t traits;		   /* first or later fragment */
	uint8_t has_segments_left; /* a routing header: the destination is a stop on the way */
	uint8_t pad;
};

BERTH_INLINE bool berth_is_ip6_ext(uint8_t protocol)
{
	return protocol == BERTH_PROTO_HOP_BY_HOP || protocol == BERTH_PROTO_ROUTING ||
	       protocol == BERTH_PROTO_DEST_OPTIONS || protocol == BERTH_PROTO_FRAGMENT;
}

/* Whether another extension header follows. Behind the header of a later fragment there is payload. */
BERTH_INLINE bool berth_has_ip6_header(const struct berth_ip6_headers *headers)
{
	return !(headers->traits & BERTH_LATER_FRAGMENT) && berth_is_ip6_ext(headers->protocol);
}

/* Skips the extension headers at `headers`, whose at, end and protocol are set. BERTH_VERDICT_BAD_IP6, or none. */
BERTH_RARE_STEP int berth_skip_ip6_headers(BERTH_HANDLE *handle, struct berth_ip6_headers *headers)
{
	if (!BERTH_IS_SET(headers))
		return BERTH_VERDICT_INTERNAL;
	BERTH_OPEN(frame, handle);
	for (int i = 0; i < BERTH_MAX_IPV6_HEADERS && berth_has_ip6_header(headers); i++) {
		uint32_t at = headers->at;
		if (at > BERTH_MAX_L4_OFFSET)
			return BERTH_VERDICT_BAD_IP6;
		const struct berth_ip6_ext *ext = BERTH_AT(frame, const struct berth_ip6_ext, at);
		if (!ext || at + sizeof(*ext) > headers->end)
			return BERTH_VERDICT_BAD_IP6;
		headers->at = at + (uint32_t)sizeof(*ext);
		if (headers->protocol != BERTH_PROTO_FRAGMENT) {
			headers->at += (uint32_t)ext->length * 8;
			if (headers->protocol == BERTH_PROTO_ROUTING)
				headers->has_segments_left |= (berth_from_be16(ext->fragment) &
							       BERTH_IP6_SEGMENTS_LEFT_MASK) != 0;
		} else if (berth_from_be16(ext->fragment) & (BERTH_IP6_OFFSET_MASK | BERTH_IP6_MORE_FRAGMENTS)) {
			/* (Without either it is an atomic fragment, a whole packet: RFC 6946.) */
			if (headers->traits)
				return BERTH_VERDICT_BAD_IP6;
			headers->fragment = berth_from_be16(ext->fragment);
			headers->fragment_at = (uint16_t)headers->at;
			headers->id = ext->id;
			headers->traits = headers->fragment & BERTH_IP6_OFFSET_MASK ? BERTH_LATER_FRAGMENT
										    : BERTH_FIRST_FRAGMENT;
		}
		headers->protocol = ext->next_header;
	}
	if (headers->at > headers->end || headers->at > BERTH_MAX_L4_OFFSET || berth_has_ip6_header(headers))
		return BERTH_VERDICT_BAD_IP6;
	return BERTH_NO_VERDICT;
}

/* Whether a fragment fits a datagram; `offset` and `payload` in bytes. */
BERTH_INLINE bool berth_fragment_is_valid(uint32_t offset, uint32_t payload, bool more)
{
	return offset + payload <= UINT16_MAX && (!more || (payload != 0 && payload % 8 == 0));
}

/* Whether an ICMP message reports a lost packet in a way that a host may act upon (RFC 1122, RFC 4443). */
BERTH_INLINE bool berth_is_icmp_error(uint8_t type, bool is6)
{
	if (is6)
		return type >= BERTH_ICMP6_UNREACHABLE && type <= BERTH_ICMP6_PARAMETER_PROBLEM;
	return type == BERTH_ICMP_UNREACHABLE || type == BERTH_ICMP_TIME_EXCEEDED ||
	       type == BERTH_ICMP_PARAMETER_PROBLEM;
}

/* The packet that an ICMP error quotes. It went from the service to the client. */
struct berth_quote {
	union berth_addr client;
	union berth_addr service;
};

/* Parses the quoted IP header at headers->at. NOT_TCP_UDP if no transport header follows. */
BERTH_INLINE enum berth_verdict berth_parse_quote_ip4(struct berth_frame *frame, struct berth_quote *quote,
						      struct berth_ip6_headers *headers)
{
	const struct berth_ip4 *ip = BERTH_AT(frame, const struct berth_ip4, headers->at);
	if (!ip || ip->version_ihl >> 4 != 4 || (ip->version_ihl & 15) * 4 < BERTH_IP4_BYTES)
		return BERTH_VERDICT_BAD_ICMP;
	berth_addr_set4(&quote->client, ip->dst);
	berth_addr_set4(&quote->service, ip->src);
	headers->at += (uint32_t)(ip->version_ihl & 15) * 4;
	headers->protocol = ip->protocol;
	if (headers->at > headers->end)
		return BERTH_VERDICT_BAD_ICMP;
	return berth_from_be16(ip->fragment) & BERTH_IP4_OFFSET_MASK ? BERTH_VERDICT_NOT_TCP_UDP : BERTH_NO_VERDICT;
}

BERTH_INLINE enum berth_verdict berth_parse_quote_ip6(struct berth_frame *frame, struct berth_quote *quote,
						      struct berth_ip6_headers *headers)
{
	const struct berth_ip6 *ip = BERTH_AT(frame, const struct berth_ip6, headers->at);
	if (!ip || berth_from_be32(ip->version_class_label) >> 28 != 6 ||
	    headers->at + BERTH_IP6_BYTES > headers->end)
		return BERTH_VERDICT_BAD_ICMP;
	quote->client = ip->dst;
	quote->service = ip->src;
	headers->at += BERTH_IP6_BYTES;
	headers->protocol = ip->next_header;
	if (berth_is_ip6_ext(headers->protocol) &&
	    berth_skip_ip6_headers(BERTH_HANDLE_OF(frame), headers) != BERTH_NO_VERDICT)
		return BERTH_VERDICT_BAD_ICMP;
	return headers->traits & BERTH_LATER_FRAGMENT ? BERTH_VERDICT_NOT_TCP_UDP : BERTH_NO_VERDICT;
}

/* Parses the quoted packet at headers->at, of which there are the bytes before headers->end: headers->at and
 * headers->protocol become those of its transport header, of which there are 8 bytes then. */
BERTH_INLINE enum berth_verdict berth_parse_quote(struct berth_frame *frame, bool is6, struct berth_quote *quote,
						  struct berth_ip6_headers *headers)
{
	enum berth_verdict verdict = is6 ? berth_parse_quote_ip6(frame, quote, headers)
					 : berth_parse_quote_ip4(frame, quote, headers);
	if (verdict != BERTH_NO_VERDICT)
		return verdict;
	if (headers->protocol != BERTH_PROTO_TCP && headers->protocol != BERTH_PROTO_UDP)
		return BERTH_VERDICT_NOT_TCP_UDP;
	return headers->at + BERTH_UDP_BYTES > headers->end ? BERTH_VERDICT_BAD_ICMP : BERTH_NO_VERDICT;
}

/* Parses the ICMP message at packet->transport: an error gets the addresses and ports of the flow that it is about.
 */
BERTH_RARE_STEP int berth_parse_icmp(BERTH_HANDLE *handle, struct berth_packet *packet, uint32_t end)
{
	if (!BERTH_IS_SET(packet))
		return BERTH_VERDICT_INTERNAL;
	BERTH_OPEN(frame, handle);
	uint32_t at = packet->transport;
	if (at > BERTH_MAX_L4_OFFSET || at + BERTH_ICMP_BYTES > end)
		return BERTH_VERDICT_NOT_TCP_UDP;
	const struct berth_icmp *icmp = BERTH_AT(frame, const struct berth_icmp, at);
	if (!icmp || !berth_is_icmp_error(icmp->type, packet->is6))
		return BERTH_VERDICT_NOT_TCP_UDP;
	struct berth_quote quote = {0};
	struct berth_ip6_headers headers = {.at = at + BERTH_ICMP_BYTES, .end = end};
	enum berth_verdict verdict = berth_parse_quote(frame, packet->is6, &quote, &headers);
	if (verdict != BERTH_NO_VERDICT)
		return verdict;
	/* Only the sender of the quoted packet is informed. */
	if (headers.at > 2 * BERTH_MAX_L4_OFFSET || !berth_addr_equal(&quote.service, &packet->dst))
		return BERTH_VERDICT_BAD_ICMP;
	const struct berth_udp *ports = BERTH_AT(frame, const struct berth_udp, headers.at);
	if (!ports)
		return BERTH_VERDICT_BAD_ICMP;
	packet->src = quote.client;
	packet->sport = ports->dport;
	packet->dport = ports->sport;
	packet->protocol = headers.protocol;
	packet->traits |= BERTH_ICMP_ERROR;
	return BERTH_NO_VERDICT;
}

/* Copies both ports in one store, as the hash loads them: a load that spans smaller stores can't be forwarded. */
BERTH_INLINE void berth_read_ports(struct berth_packet *packet, const void *header)
{
	const uint32_t both = ((const struct berth_wire32 *)header)->raw;
	__builtin_memcpy(&packet->sport, &both, sizeof(both));
}

BERTH_INLINE enum berth_verdict berth_parse_transport(struct berth_frame *frame, struct berth_packet *packet,
						      uint32_t at, uint32_t bytes)
{
	if (packet->protocol == BERTH_PROTO_TCP) {
		const struct berth_tcp *tcp = BERTH_AT(frame, const struct berth_tcp, at);
		if (!tcp || bytes < BERTH_TCP_BYTES)
			return BERTH_VERDICT_BAD_TCP;
		uint32_t header = (uint32_t)(tcp->offset >> 4) * 4;
		if (header < BERTH_TCP_BYTES || header > bytes)
			return BERTH_VERDICT_BAD_TCP;
		berth_read_ports(packet, tcp);
		packet->tcp_flags = tcp->flags;
		if ((tcp->flags & (BERTH_TCP_SYN | BERTH_TCP_ACK | BERTH_TCP_RST)) == BERTH_TCP_SYN)
			packet->traits |= BERTH_OPENS_CONNECTION;
		packet->traits |= bytes > header ? BERTH_HAS_PAYLOAD : 0;
		return BERTH_NO_VERDICT;
	}
	if (packet->protocol == BERTH_PROTO_UDP) {
		const struct berth_udp *udp = BERTH_AT(frame, const struct berth_udp, at);
		if (!udp || bytes < BERTH_UDP_BYTES)
			return BERTH_VERDICT_BAD_UDP;
		uint32_t length = berth_from_be16(udp->length);
		if (length < BERTH_UDP_BYTES || (length > bytes && !(packet->traits & BERTH_FIRST_FRAGMENT)))
			return BERTH_VERDICT_BAD_UDP;
		berth_read_ports(packet, udp);
		return BERTH_NO_VERDICT;
	}
	if (packet->protocol == (packet->is6 ? BERTH_PROTO_ICMP6 : BERTH_PROTO_ICMP) &&
	    !(packet->traits & BERTH_FRAGMENT))
		return (enum berth_verdict)berth_parse_icmp(BERTH_HANDLE_OF(frame), packet, at + bytes);
	return BERTH_VERDICT_NOT_TCP_UDP;
}

/* The verdict of a later fragment, whose protocol is set. */
BERTH_INLINE enum berth_verdict berth_parse_later(struct berth_packet *packet)
{
	bool is_ours = packet->protocol == BERTH_PROTO_TCP || packet->protocol == BERTH_PROTO_UDP ||
		       (packet->is6 && berth_is_ip6_ext(packet->protocol));
	return is_ours ? BERTH_NO_VERDICT : BERTH_VERDICT_NOT_TCP_UDP;
}

BERTH_INLINE enum berth_verdict berth_parse_ip4(struct berth_frame *frame, struct berth_packet *packet, uint32_t at)
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
	packet->traits = ip->ttl <= 1 ? BERTH_TTL_EXPIRES : 0;
	uint32_t fragment = berth_from_be16(ip->fragment);
	if (BERTH_UNLIKELY(fragment & BERTH_IP4_FRAGMENT_MASK)) {
		uint32_t offset = (fragment & BERTH_IP4_OFFSET_MASK) * 8;
		packet->traits |= offset ? BERTH_LATER_FRAGMENT : BERTH_FIRST_FRAGMENT;
		if (!berth_fragment_is_valid(offset, length - header, fragment & BERTH_IP4_MORE_FRAGMENTS))
			return BERTH_VERDICT_BAD_IP4;
		if (offset)
			return berth_parse_later(packet);
	}
	packet->transport = (uint16_t)(at + header);
	return berth_parse_transport(frame, packet, at + header, length - header);
}

BERTH_INLINE bool berth_is_mapped_ip4(const struct berth_ip6 *ip)
{
	union berth_addr src = ip->src, dst = ip->dst;
	return berth_addr_is4(&src) || berth_addr_is4(&dst);
}

/* The extension headers at packet->transport, up to the packet's end: packet->protocol and packet->transport become
 * those of what follows them. */
BERTH_RARE_STEP int berth_parse_ip6_ext(BERTH_HANDLE *handle, struct berth_packet *packet, uint32_t end)
{
	if (!BERTH_IS_SET(packet))
		return BERTH_VERDICT_INTERNAL;
	struct berth_ip6_headers headers = {.at = packet->transport, .end = end, .protocol = packet->protocol};
	int verdict = berth_skip_ip6_headers(handle, &headers);
	if (verdict != BERTH_NO_VERDICT)
		return verdict;
	packet->protocol = headers.protocol;
	packet->transport = (uint16_t)headers.at;
	packet->traits |= headers.traits;
	bool more = headers.fragment & BERTH_IP6_MORE_FRAGMENTS;
	if (headers.traits &&
	    !berth_fragment_is_valid(headers.fragment & BERTH_IP6_OFFSET_MASK, end - headers.fragment_at, more))
		return BERTH_VERDICT_BAD_IP6;
	/* The destination forwards it or reports an error (RFC 8200 section 4.4): the kernel's task. */
	if (headers.has_segments_left)
		return BERTH_VERDICT_ROUTING_HEADER;
	if (headers.traits & BERTH_LATER_FRAGMENT)
		return berth_parse_later(packet);
	return BERTH_NO_VERDICT;
}

BERTH_INLINE enum berth_verdict berth_parse_ip6(struct berth_frame *frame, struct berth_packet *packet, uint32_t at)
{
	const struct berth_ip6 *ip = BERTH_AT(frame, const struct berth_ip6, at);
	if (!ip)
		return BERTH_VERDICT_BAD_IP6;
	uint32_t first = berth_from_be32(ip->version_class_label);
	uint32_t payload = berth_from_be16(ip->payload);
	/* IPv4-mapped IPv6 addresses must not be on the wire (RFC 4942 section 2.2). */
	if (first >> 28 != 6 || payload > packet->bytes - at - BERTH_IP6_BYTES || berth_is_mapped_ip4(ip))
		return BERTH_VERDICT_BAD_IP6;

	packet->src = ip->src;
	packet->dst = ip->dst;
	packet->is6 = 1;
	packet->network = (uint8_t)at;
	packet->length = payload + BERTH_IP6_BYTES;
	packet->traffic_class = (uint8_t)(first >> 20);
	packet->protocol = ip->next_header;
	packet->traits = ip->hop_limit <= 1 ? BERTH_TTL_EXPIRES : 0;

	uint32_t end = at + BERTH_IP6_BYTES + payload;
	packet->transport = (uint16_t)(at + BERTH_IP6_BYTES);
	if (BERTH_UNLIKELY(berth_is_ip6_ext(packet->protocol))) {
		int verdict = berth_parse_ip6_ext(BERTH_HANDLE_OF(frame), packet, end);
		if (verdict != BERTH_NO_VERDICT || packet->traits & BERTH_LATER_FRAGMENT)
			return (enum berth_verdict)verdict;
		if (packet->transport > BERTH_MAX_L4_OFFSET)
			return BERTH_VERDICT_BAD_IP6;
	}
	return berth_parse_transport(frame, packet, packet->transport, end - packet->transport);
}

/* Fills `packet` from `frame`; `bytes` is the length of the frame with all its segments. */
BERTH_INLINE enum berth_verdict berth_parse(struct berth_frame *frame, struct berth_packet *packet, uint32_t bytes)
{
	__builtin_memset(packet, 0, sizeof(*packet));
	packet->bytes = bytes;
	uint16_t type;
	uint32_t at;
	if (!berth_parse_link(frame, &type, &at))
		return BERTH_VERDICT_BAD_FRAME;
	if (type == BERTH_ETHERTYPE_IP4)
		return berth_parse_ip4(frame, packet, at);
	if (type == BERTH_ETHERTYPE_IP6)
		return berth_parse_ip6(frame, packet, at);
	return BERTH_VERDICT_NOT_IP;
}
