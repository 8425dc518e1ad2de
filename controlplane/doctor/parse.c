// SPDX-License-Identifier: BSD-3-Clause
#include <net/if_arp.h>
#include <netinet/icmp6.h>
#include <netinet/if_ether.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <string.h>

#include "controlplane/doctor/payload.h"

enum {
	ICMP_BYTES = 8, /* header of an echo or an error, in both versions */
	/* RFC 4443 sections 3.1 and 3.4. */
	UNKNOWN_NEXT_HEADER = 1,
	SOURCE_POLICY = 5,
	REJECT_ROUTE = 6,
};

/* The unread bytes of a packet. */
struct unread {
	const uint8_t *at;
	size_t length;
};

/* Returns the next `bytes` and moves behind them. NULL: fewer are left. */
static const uint8_t *consume(struct unread *rest, size_t bytes)
{
	const uint8_t *at = rest->at;
	if (rest->length < bytes)
		return NULL;
	rest->at += bytes;
	rest->length -= bytes;
	return at;
}

static uint32_t read_be(const uint8_t *at, size_t bytes)
{
	uint32_t value = 0;
	for (size_t i = 0; i < bytes; i++)
		value = value << 8 | at[i];
	return value;
}

/* Fields of an IP header and its fragment header. */
struct ip_header {
	union berth_addr src;
	union berth_addr dst;
	uint8_t protocol;
};

static bool consume_ip4(struct unread *rest, struct ip_header *ip_header)
{
	struct berth_ip4 ip;
	const uint8_t *at = consume(rest, sizeof(ip));
	if (!at)
		return false;
	memcpy(&ip, at, sizeof(ip));
	size_t bytes = (size_t)(ip.version_ihl & 0xf) * 4;
	if (ip.version_ihl >> 4 != 4 || bytes < sizeof(ip) || !consume(rest, bytes - sizeof(ip)) ||
	    berth_from_be16(ip.fragment) & BERTH_IP4_OFFSET_MASK)
		return false;
	berth_addr_set4(&ip_header->src, ip.src);
	berth_addr_set4(&ip_header->dst, ip.dst);
	ip_header->protocol = ip.protocol;
	return true;
}

/* The answer to a LARGE probe may be fragmented; the first fragment contains the payload. */
static bool consume_ip6(struct unread *rest, struct ip_header *ip_header)
{
	struct berth_ip6 ip;
	const uint8_t *at = consume(rest, sizeof(ip));
	if (!at)
		return false;
	memcpy(&ip, at, sizeof(ip));
	if (berth_from_be32(ip.version_class_label) >> 28 != 6)
		return false;
	ip_header->src = ip.src;
	ip_header->dst = ip.dst;
	ip_header->protocol = ip.next_header;
	if (ip.next_header != BERTH_PROTO_FRAGMENT)
		return true;
	struct berth_ip6_ext fragment;
	at = consume(rest, sizeof(fragment));
	if (!at)
		return false;
	memcpy(&fragment, at, sizeof(fragment));
	ip_header->protocol = fragment.next_header;
	return berth_from_be16(fragment.fragment) >> 3 == 0;
}

/* A reply, or a request that came back. */
static struct berth_doctor_reply parse_echo(struct unread rest, const struct ip_header *ip_header,
					    enum berth_doctor_reply_type type)
{
	struct berth_doctor_reply reply = {.from = ip_header->src};
	struct berth_doctor_payload payload;
	const uint8_t *at = consume(&rest, sizeof(payload));
	if (!at)
		return reply;
	memcpy(&payload, at, sizeof(payload));
	if (payload.magic != BERTH_DOCTOR_MAGIC || payload.id.probe >= BERTH_DOCTOR_PROBES)
		return reply;
	reply.id = payload.id;
	reply.type = type;
	return reply;
}

static enum berth_doctor_reply_type icmp4_type(uint8_t code)
{
	switch (code) {
	case ICMP_PROT_UNREACH:
	case ICMP_PORT_UNREACH:
		return BERTH_DOCTOR_REPLY_UNREACHABLE;
	case ICMP_FRAG_NEEDED:
		return BERTH_DOCTOR_REPLY_TOO_BIG;
	case ICMP_NET_UNREACH:
	case ICMP_HOST_UNREACH:
		return BERTH_DOCTOR_REPLY_NO_ROUTE;
	case ICMP_NET_ANO:
	case ICMP_HOST_ANO:
	case ICMP_PKT_FILTERED:
		return BERTH_DOCTOR_REPLY_PROHIBITED;
	default:
		return BERTH_DOCTOR_REPLY_NONE;
	}
}

static enum berth_doctor_reply_type icmp6_type(uint8_t type, uint8_t code)
{
	if (type == ICMP6_PACKET_TOO_BIG)
		return BERTH_DOCTOR_REPLY_TOO_BIG;
	if ((type == ICMP6_PARAM_PROB && code == UNKNOWN_NEXT_HEADER) ||
	    (type == ICMP6_DST_UNREACH && code == ICMP6_DST_UNREACH_NOPORT))
		return BERTH_DOCTOR_REPLY_UNREACHABLE;
	if (type == ICMP6_DST_UNREACH &&
	    (code == ICMP6_DST_UNREACH_ADMIN || code == SOURCE_POLICY || code == REJECT_ROUTE))
		return BERTH_DOCTOR_REPLY_PROHIBITED;
	if (type == ICMP6_DST_UNREACH && (code == ICMP6_DST_UNREACH_NOROUTE || code == ICMP6_DST_UNREACH_ADDR))
		return BERTH_DOCTOR_REPLY_NO_ROUTE;
	return BERTH_DOCTOR_REPLY_NONE;
}

/* Parses the packet that an ICMP error quotes. */
static struct berth_doctor_reply parse_error(struct unread rest, const struct ip_header *ip_header,
					     enum berth_doctor_reply_type type, uint32_t mtu)
{
	struct berth_doctor_reply reply = {.from = ip_header->src, .mtu = mtu};
	struct ip_header inner;
	bool is4 = berth_addr_is4(&ip_header->src);
	if (!(is4 ? consume_ip4(&rest, &inner) : consume_ip6(&rest, &inner)))
		return reply;
	reply.original_dst = inner.dst;
	reply.protocol = inner.protocol;
	bool has_ports = inner.protocol == IPPROTO_UDP || inner.protocol == IPPROTO_TCP;
	const uint8_t *ports = has_ports ? consume(&rest, 4) : NULL;
	if (ports) {
		reply.to_port = (uint16_t)read_be(ports, 2);
		reply.port = (uint16_t)read_be(ports + 2, 2);
	}
	reply.type = type;
	return reply;
}

static struct berth_doctor_reply parse_icmp4(struct unread rest, const struct ip_header *ip_header)
{
	const uint8_t *icmp = consume(&rest, ICMP_BYTES);
	if (icmp && icmp[0] == ICMP_ECHOREPLY)
		return parse_echo(rest, ip_header, BERTH_DOCTOR_REPLY_ECHO);
	if (icmp && icmp[0] == ICMP_ECHO)
		return parse_echo(rest, ip_header, BERTH_DOCTOR_REPLY_REQUEST);
	if (icmp && icmp[0] == ICMP_DEST_UNREACH)
		return parse_error(rest, ip_header, icmp4_type(icmp[1]), read_be(icmp + 6, 2));
	return (struct berth_doctor_reply){0};
}

static struct berth_doctor_reply parse_advertisement(struct unread rest)
{
	struct berth_doctor_reply reply = {0};
	const uint8_t *at = consume(&rest, sizeof(reply.original_dst));
	if (!at)
		return reply;
	memcpy(&reply.original_dst, at, sizeof(reply.original_dst));
	reply.type = BERTH_DOCTOR_REPLY_NEIGHBOR;
	return reply;
}

static struct berth_doctor_reply parse_icmp6(struct unread rest, const struct ip_header *ip_header)
{
	const uint8_t *icmp = consume(&rest, ICMP_BYTES);
	if (icmp && icmp[0] == ICMP6_ECHO_REPLY)
		return parse_echo(rest, ip_header, BERTH_DOCTOR_REPLY_ECHO);
	if (icmp && icmp[0] == ICMP6_ECHO_REQUEST)
		return parse_echo(rest, ip_header, BERTH_DOCTOR_REPLY_REQUEST);
	if (icmp && icmp[0] == ND_NEIGHBOR_ADVERT)
		return parse_advertisement(rest);
	if (icmp && icmp[0] < ICMP6_ECHO_REQUEST)
		return parse_error(rest, ip_header, icmp6_type(icmp[0], icmp[1]), read_be(icmp + 4, 4));
	return (struct berth_doctor_reply){0};
}

static struct berth_doctor_reply parse_tcp(struct unread rest, const struct ip_header *ip_header)
{
	struct berth_doctor_reply reply = {.from = ip_header->src};
	struct tcphdr tcp;
	const uint8_t *at = consume(&rest, sizeof(tcp));
	if (!at)
		return reply;
	memcpy(&tcp, at, sizeof(tcp));
	reply.port = berth_from_be16((struct berth_be16){tcp.th_sport});
	reply.to_port = berth_from_be16((struct berth_be16){tcp.th_dport});
	reply.sequence = berth_from_be32((struct berth_be32){tcp.th_ack}) - 1;
	if (tcp.th_flags & TH_RST)
		reply.type = BERTH_DOCTOR_REPLY_REFUSED;
	else if ((tcp.th_flags & (TH_SYN | TH_ACK)) == (TH_SYN | TH_ACK))
		reply.type = BERTH_DOCTOR_REPLY_OPEN;
	return reply;
}

static struct berth_doctor_reply parse_arp(struct unread rest)
{
	struct berth_doctor_reply reply = {0};
	struct ether_arp arp;
	const uint8_t *at = consume(&rest, sizeof(arp));
	if (!at)
		return reply;
	memcpy(&arp, at, sizeof(arp));
	struct berth_be32 address;
	memcpy(&address, arp.arp_spa, sizeof(address));
	berth_addr_set4(&reply.original_dst, address);
	if (arp.ea_hdr.ar_op == berth_to_be16(ARPOP_REPLY).raw)
		reply.type = BERTH_DOCTOR_REPLY_NEIGHBOR;
	return reply;
}

static struct berth_doctor_reply parse_ip(struct unread rest, const struct ip_header *ip_header)
{
	switch (ip_header->protocol) {
	case IPPROTO_ICMP:
		return parse_icmp4(rest, ip_header);
	case IPPROTO_ICMPV6:
		return parse_icmp6(rest, ip_header);
	case IPPROTO_TCP:
		return parse_tcp(rest, ip_header);
	default:
		return (struct berth_doctor_reply){0};
	}
}

struct berth_doctor_reply berth_doctor_parse(uint16_t ethertype, const uint8_t *packet, size_t length)
{
	struct unread rest = {packet, length};
	struct ip_header ip_header;
	switch (ethertype) {
	case ETH_P_ARP:
		return parse_arp(rest);
	case BERTH_ETHERTYPE_IP4:
		if (consume_ip4(&rest, &ip_header))
			return parse_ip(rest, &ip_header);
		break;
	case BERTH_ETHERTYPE_IP6:
		if (consume_ip6(&rest, &ip_header))
			return parse_ip(rest, &ip_header);
		break;
	}
	return (struct berth_doctor_reply){0};
}
