/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/*
 * Mode nat: rewrites the destination of packets to a backend and the source of packets to a client. In an ICMP
 * error, which quotes a packet of the other direction, also the other end of the quoted packet. Checksums are
 * updated incrementally (RFC 1624), so an invalid one stays invalid.
 */
#pragma once

#include "abi.h"
#include "checksum.h"
#include "parse.h"

/* A rewrite of one end (address and port) of a packet. */
struct berth_nat {
	union berth_addr from; /* its address before */
	union berth_addr to;
	struct berth_be16 port; /* 0: the port stays */
	uint8_t at_source;	/* the end is the source of the packet (not of the quoted one) */
	uint8_t is6;
	uint8_t pad[4];
};

/* The difference that the address makes to a sum of header words. */
BERTH_INLINE uint32_t berth_nat_change(const struct berth_nat *nat)
{
	uint32_t change = 0;
	for (uint32_t i = nat->is6 ? 0 : 3; i < 4; i++)
		change += berth_checksum_change32(nat->from.word[i].raw, nat->to.word[i].raw);
	return change;
}

/* Rewrites the address in the IP header at `at`. Returns the difference to a sum over the whole header, for an ICMP
 * checksum that covers it (in IPv4 the header checksum compensates for the address). */
BERTH_INLINE uint32_t berth_nat_ip(struct berth_frame *frame, const struct berth_nat *nat, uint32_t at,
				   bool at_source)
{
	uint32_t change = berth_nat_change(nat);
	if (nat->is6) {
		struct berth_ip6 *ip = BERTH_AT(frame, struct berth_ip6, at);
		if (ip && at_source)
			ip->src = nat->to;
		else if (ip)
			ip->dst = nat->to;
		return change;
	}
	struct berth_ip4 *ip = BERTH_AT(frame, struct berth_ip4, at);
	if (!ip)
		return 0;
	if (at_source)
		ip->src = nat->to.word[3];
	else
		ip->dst = nat->to.word[3];
	uint16_t checksum = berth_checksum_after(ip->checksum, change);
	change += berth_checksum_change(ip->checksum, checksum);
	ip->checksum = checksum;
	return change;
}

/* A transport checksum after changes. In UDP 0 means none, and stays 0 (RFC 768). */
BERTH_INLINE uint16_t berth_nat_checksum(uint16_t checksum, bool is_udp, uint32_t change)
{
	if (is_udp && checksum == 0)
		return 0;
	uint16_t after = berth_checksum_after(checksum, change);
	return is_udp && after == 0 ? 0xffff : after;
}

/* Rewrites the port in the TCP or UDP header at `at`, and the checksum if it is before `end`. Returns the
 * difference to a sum over the header. */
BERTH_INLINE uint32_t berth_nat_ports(struct berth_frame *frame, const struct berth_nat *nat, uint32_t at,
				      uint32_t end, bool is_udp, bool at_source)
{
	struct berth_udp *udp = BERTH_AT(frame, struct berth_udp, at);
	if (!udp)
		return 0;
	uint32_t change = 0;
	if (nat->port.raw && at_source) {
		change = berth_checksum_change(udp->sport.raw, nat->port.raw);
		udp->sport = nat->port;
	} else if (nat->port.raw) {
		change = berth_checksum_change(udp->dport.raw, nat->port.raw);
		udp->dport = nat->port;
	}
	uint32_t covered = change + berth_nat_change(nat);
	if (is_udp) {
		uint16_t before = udp->checksum;
		udp->checksum = berth_nat_checksum(before, true, covered);
		return change + berth_checksum_change(before, udp->checksum);
	}
	struct BERTH_WIRE to_checksum {
		uint8_t before[16];
		uint16_t checksum;
	} *tcp = BERTH_AT(frame, struct to_checksum, at);
	if (!tcp || at + sizeof(*tcp) > end)
		return change;
	uint16_t before = tcp->checksum;
	tcp->checksum = berth_nat_checksum(before, false, covered);
	return change + berth_checksum_change(before, tcp->checksum);
}

/* Rewrites the packet that an ICMP error quotes. Returns the difference to a sum over it. */
BERTH_INLINE uint32_t berth_nat_quoted(struct berth_frame *frame, const struct berth_packet *packet,
				       const struct berth_nat *nat)
{
	uint32_t end = packet->network + packet->length;
	uint32_t at = packet->transport + (uint32_t)BERTH_ICMP_BYTES;
	struct berth_quote quote = {0};
	struct berth_ip6_headers headers = {.at = at, .end = end};
	if (at > 2 * BERTH_MAX_L4_OFFSET ||
	    berth_parse_quote(frame, packet->is6, &quote, &headers) != BERTH_NO_VERDICT)
		return 0;
	const uint32_t transport = headers.at;
	if (transport > 2 * BERTH_MAX_L4_OFFSET)
		return 0;
	return berth_nat_ip(frame, nat, at, !nat->at_source) +
	       berth_nat_ports(frame, nat, transport, end, packet->protocol == BERTH_PROTO_UDP, !nat->at_source);
}

BERTH_INLINE void berth_nat_error(struct berth_frame *frame, const struct berth_packet *packet,
				  const struct berth_nat *nat)
{
	uint32_t change = berth_nat_quoted(frame, packet, nat);
	/* The address of a router that sent the error stays. */
	union berth_addr sender = nat->to;
	if (packet->is6) {
		const struct berth_ip6 *ip = BERTH_AT(frame, const struct berth_ip6, packet->network);
		if (ip)
			sender = ip->src;
	} else {
		const struct berth_ip4 *ip = BERTH_AT(frame, const struct berth_ip4, packet->network);
		if (ip)
			berth_addr_set4(&sender, ip->src);
	}
	if (!nat->at_source || berth_addr_equal(&sender, &nat->from)) {
		berth_nat_ip(frame, nat, packet->network, nat->at_source);
		/* The checksum of ICMPv6 covers the addresses (RFC 4443 section 2.3). */
		if (packet->is6)
			change += berth_nat_change(nat);
	}
	uint32_t at = packet->transport;
	struct berth_icmp *icmp = at <= BERTH_MAX_L4_OFFSET ? BERTH_AT(frame, struct berth_icmp, at) : NULL;
	if (icmp)
		icmp->checksum = berth_checksum_after(icmp->checksum, change);
}

/* Rewrites a packet of which `nat->from` is one end. */
BERTH_RARE_STEP int berth_nat_rewrite(BERTH_HANDLE *handle, const struct berth_packet *packet,
				      const struct berth_nat *nat)
{
	if (!BERTH_IS_SET(packet) || !BERTH_IS_SET(nat))
		return BERTH_VERDICT_INTERNAL;
	BERTH_OPEN(frame, handle);
	uint32_t at = packet->transport;
	if (packet->network > BERTH_ETH_BYTES + 2 * BERTH_VLAN_BYTES || at > BERTH_MAX_L4_OFFSET)
		return BERTH_VERDICT_INTERNAL;
	if (packet->traits & BERTH_ICMP_ERROR) {
		berth_nat_error(frame, packet, nat);
		return BERTH_NO_VERDICT;
	}
	berth_nat_ip(frame, nat, packet->network, nat->at_source);
	if (!(packet->traits & BERTH_LATER_FRAGMENT))
		berth_nat_ports(frame, nat, at, UINT32_MAX, packet->protocol == BERTH_PROTO_UDP, nat->at_source);
	return BERTH_NO_VERDICT;
}
