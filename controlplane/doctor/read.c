// SPDX-License-Identifier: BSD-3-Clause
#include <net/if_arp.h>
#include <netinet/icmp6.h>
#include <netinet/if_ether.h>
#include <netinet/ip_icmp.h>
#include <string.h>

#include "controlplane/doctor/tag.h"

enum {
	ICMP_BYTES = 8, /* of an echo's or an error's header, in both versions */
	/* RFC 4443 sections 3.1 and 3.4. */
	UNKNOWN_NEXT_HEADER = 1,
	FAILED_POLICY = 5,
	REJECTED_ROUTE = 6,
};

/* Bytes of a packet that are still to be read. */
struct rest {
	const uint8_t *at;
	size_t length;
};

/* Moves past the next `bytes` and returns where they begin; NULL: there are fewer. */
static const uint8_t *take(struct rest *rest, size_t bytes)
{
	const uint8_t *at = rest->at;
	if (rest->length < bytes)
		return NULL;
	rest->at += bytes;
	rest->length -= bytes;
	return at;
}

static uint32_t number(const uint8_t *at, size_t bytes)
{
	uint32_t value = 0;
	for (size_t i = 0; i < bytes; i++)
		value = value << 8 | at[i];
	return value;
}

/* An IP header with what may be between it and ICMP. */
struct head {
	union berth_addr src;
	union berth_addr dst;
	uint8_t protocol;
};

static bool take_ip4(struct rest *rest, struct head *head)
{
	struct berth_ip4 ip;
	const uint8_t *at = take(rest, sizeof(ip));
	if (!at)
		return false;
	memcpy(&ip, at, sizeof(ip));
	size_t bytes = (size_t)(ip.version_ihl & 0xf) * 4;
	if (ip.version_ihl >> 4 != 4 || bytes < sizeof(ip) || !take(rest, bytes - sizeof(ip)) ||
	    berth_from_be16(ip.fragment) & BERTH_IP4_OFFSET_MASK)
		return false;
	berth_addr_set4(&head->src, ip.src);
	berth_addr_set4(&head->dst, ip.dst);
	head->protocol = ip.protocol;
	return true;
}

/* An answer to a big probe may come in fragments; the first has what is looked at. */
static bool take_ip6(struct rest *rest, struct head *head)
{
	struct berth_ip6 ip;
	const uint8_t *at = take(rest, sizeof(ip));
	if (!at)
		return false;
	memcpy(&ip, at, sizeof(ip));
	if (berth_from_be32(ip.version_class_label) >> 28 != 6)
		return false;
	head->src = ip.src;
	head->dst = ip.dst;
	head->protocol = ip.next_header;
	if (ip.next_header != BERTH_PROTO_FRAGMENT)
		return true;
	struct berth_ip6_ext fragment;
	at = take(rest, sizeof(fragment));
	if (!at)
		return false;
	memcpy(&fragment, at, sizeof(fragment));
	head->protocol = fragment.next_header;
	return berth_from_be16(fragment.fragment) >> 3 == 0;
}

static struct berth_doctor_seen read_echo(struct rest rest, const struct head *head)
{
	struct berth_doctor_seen seen = {.from = head->src};
	struct berth_doctor_mark mark;
	const uint8_t *at = take(&rest, sizeof(mark));
	if (!at)
		return seen;
	memcpy(&mark, at, sizeof(mark));
	if (mark.magic != BERTH_DOCTOR_MAGIC || mark.tag.probe >= BERTH_DOCTOR_PROBES)
		return seen;
	seen.tag = mark.tag;
	seen.word = BERTH_DOCTOR_ANSWERED;
	return seen;
}

static enum berth_doctor_word word4(uint8_t code)
{
	switch (code) {
	case ICMP_PROT_UNREACH:
	case ICMP_PORT_UNREACH:
		return BERTH_DOCTOR_REFUSED;
	case ICMP_FRAG_NEEDED:
		return BERTH_DOCTOR_TOO_BIG;
	case ICMP_NET_ANO:
	case ICMP_HOST_ANO:
	case ICMP_PKT_FILTERED:
		return BERTH_DOCTOR_FORBIDDEN;
	default:
		return BERTH_DOCTOR_NOTHING;
	}
}

static enum berth_doctor_word word6(uint8_t type, uint8_t code)
{
	if (type == ICMP6_PACKET_TOO_BIG)
		return BERTH_DOCTOR_TOO_BIG;
	if ((type == ICMP6_PARAM_PROB && code == UNKNOWN_NEXT_HEADER) ||
	    (type == ICMP6_DST_UNREACH && code == ICMP6_DST_UNREACH_NOPORT))
		return BERTH_DOCTOR_REFUSED;
	if (type == ICMP6_DST_UNREACH &&
	    (code == ICMP6_DST_UNREACH_ADMIN || code == FAILED_POLICY || code == REJECTED_ROUTE))
		return BERTH_DOCTOR_FORBIDDEN;
	return BERTH_DOCTOR_NOTHING;
}

/* An error's `word`, and which packet it is about. */
static struct berth_doctor_seen read_error(struct rest rest, const struct head *head, enum berth_doctor_word word,
					   uint32_t mtu)
{
	struct berth_doctor_seen seen = {.from = head->src, .mtu = mtu};
	struct head inner;
	bool is4 = berth_addr_is4(&head->src);
	if (!(is4 ? take_ip4(&rest, &inner) : take_ip6(&rest, &inner)))
		return seen;
	seen.about = inner.dst;
	seen.protocol = inner.protocol;
	const uint8_t *ports = inner.protocol == IPPROTO_UDP ? take(&rest, 4) : NULL;
	if (ports)
		seen.port = (uint16_t)number(ports + 2, 2);
	seen.word = word;
	return seen;
}

static struct berth_doctor_seen read_icmp4(struct rest rest, const struct head *head)
{
	const uint8_t *icmp = take(&rest, ICMP_BYTES);
	if (icmp && icmp[0] == ICMP_ECHOREPLY)
		return read_echo(rest, head);
	if (icmp && icmp[0] == ICMP_DEST_UNREACH)
		return read_error(rest, head, word4(icmp[1]), number(icmp + 6, 2));
	return (struct berth_doctor_seen){0};
}

static struct berth_doctor_seen read_advertisement(struct rest rest)
{
	struct berth_doctor_seen seen = {0};
	const uint8_t *at = take(&rest, sizeof(seen.about));
	if (!at)
		return seen;
	memcpy(&seen.about, at, sizeof(seen.about));
	seen.word = BERTH_DOCTOR_CLAIMED;
	return seen;
}

static struct berth_doctor_seen read_icmp6(struct rest rest, const struct head *head)
{
	const uint8_t *icmp = take(&rest, ICMP_BYTES);
	if (icmp && icmp[0] == ICMP6_ECHO_REPLY)
		return read_echo(rest, head);
	if (icmp && icmp[0] == ND_NEIGHBOR_ADVERT)
		return read_advertisement(rest);
	if (icmp && icmp[0] < ICMP6_ECHO_REQUEST)
		return read_error(rest, head, word6(icmp[0], icmp[1]), number(icmp + 4, 4));
	return (struct berth_doctor_seen){0};
}

static struct berth_doctor_seen read_arp(struct rest rest)
{
	struct berth_doctor_seen seen = {0};
	struct ether_arp arp;
	const uint8_t *at = take(&rest, sizeof(arp));
	if (!at)
		return seen;
	memcpy(&arp, at, sizeof(arp));
	struct berth_be32 address;
	memcpy(&address, arp.arp_spa, sizeof(address));
	berth_addr_set4(&seen.about, address);
	if (arp.ea_hdr.ar_op == berth_to_be16(ARPOP_REPLY).raw)
		seen.word = BERTH_DOCTOR_CLAIMED;
	return seen;
}

struct berth_doctor_seen berth_doctor_read(uint16_t ethertype, const uint8_t *packet, size_t length)
{
	struct rest rest = {packet, length};
	struct head head;
	switch (ethertype) {
	case ETH_P_ARP:
		return read_arp(rest);
	case BERTH_ETHERTYPE_IP4:
		if (take_ip4(&rest, &head) && head.protocol == IPPROTO_ICMP)
			return read_icmp4(rest, &head);
		break;
	case BERTH_ETHERTYPE_IP6:
		if (take_ip6(&rest, &head) && head.protocol == IPPROTO_ICMPV6)
			return read_icmp6(rest, &head);
		break;
	}
	return (struct berth_doctor_seen){0};
}
