/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/* The tunnel packets that berth_decap.bpf.c decapsulates, and the maps that say which are for this host. */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "bpf/decap_maps.h"
#include "dataplane/core/gue.h"
#include "dataplane/core/link.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, BERTH_DECAP_MAX_ADDRESSES);
	__type(key, union berth_addr);
	__type(value, __u8);
} decap_addresses SEC(".maps");

/* UDP destination ports of GUE. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, BERTH_DECAP_MAX_PORTS);
	__type(key, struct berth_be16);
	__type(value, __u8);
} decap_ports SEC(".maps");

/* A tunnel packet; offsets from the start of the frame. */
struct tunnel {
	uint32_t link;	/* bytes of the link header */
	uint32_t outer; /* bytes of the outer headers */
	uint32_t udp;	/* offset of the outer UDP header, if is_gue */
	uint32_t hops;	/* offset of struct berth_gue_hops; 0: none is left */
	uint16_t type;	/* ethertype of the inner packet; 0: not a tunnel packet */
	uint8_t tos;	/* outer TOS or traffic class */
	uint8_t is_outer6;
	uint8_t is_gue;
	uint8_t is_malformed; /* GUE variant 0 that only the kernel may read */
};

static __always_inline bool is_local(const union berth_addr *address)
{
	return bpf_map_lookup_elem(&decap_addresses, address) != NULL;
}

static __always_inline uint16_t inner_type(uint8_t protocol)
{
	return protocol == BERTH_PROTO_IP4   ? BERTH_ETHERTYPE_IP4
	       : protocol == BERTH_PROTO_IP6 ? BERTH_ETHERTYPE_IP6
					     : 0;
}

/* The private data of `bytes` at `offset`. */
static __always_inline void parse_hops(const struct berth_frame *frame, uint32_t offset, uint32_t bytes,
				       struct tunnel *tunnel)
{
	const struct berth_gue_hops *hops = BERTH_AT(frame, const struct berth_gue_hops, offset);
	if (!hops || !berth_gue_hops_are_valid(hops, bytes, tunnel->is_outer6))
		tunnel->is_malformed = true;
	else if (hops->next < hops->count)
		tunnel->hops = offset;
}

static __always_inline void parse_variant0(const struct berth_frame *frame, struct tunnel *tunnel)
{
	uint32_t offset = tunnel->link + tunnel->outer;
	const struct berth_gue *gue = BERTH_AT(frame, const struct berth_gue, offset);
	if (!gue)
		return;
	uint32_t bytes = (gue->variant_length & BERTH_GUE_LENGTH_MASK) * BERTH_GUE_LENGTH_UNIT;
	if (gue->variant_length & ~BERTH_GUE_LENGTH_MASK || gue->flags.raw)
		tunnel->is_malformed = true;
	else if (bytes)
		parse_hops(frame, offset + sizeof(*gue), bytes, tunnel);
	tunnel->type = inner_type(gue->protocol);
	tunnel->outer += sizeof(*gue) + bytes;
}

/* Variant 1 has no header: the first four bits are the IP version (4 or 6), of which the upper two are the variant,
 * 01. */
static __always_inline void parse_gue(const struct berth_frame *frame, struct tunnel *tunnel)
{
	tunnel->udp = tunnel->link + tunnel->outer;
	const struct berth_udp *udp = BERTH_AT(frame, const struct berth_udp, tunnel->udp);
	if (!udp)
		return;
	struct berth_be16 port = udp->dport;
	const uint8_t *first = BERTH_AT(frame, const uint8_t, tunnel->udp + sizeof(*udp));
	if (!first || !bpf_map_lookup_elem(&decap_ports, &port))
		return;
	tunnel->is_gue = true;
	tunnel->outer += sizeof(*udp);
	uint8_t version = *first >> 4;
	if (version == 4)
		tunnel->type = BERTH_ETHERTYPE_IP4;
	else if (version == 6)
		tunnel->type = BERTH_ETHERTYPE_IP6;
	else if (version < 4)
		parse_variant0(frame, tunnel);
}

/* The bytes behind the outer IP header. False: not a tunnel packet. */
static __always_inline bool parse_payload(const struct berth_frame *frame, uint8_t protocol, struct tunnel *tunnel)
{
	if (protocol == BERTH_PROTO_UDP)
		parse_gue(frame, tunnel);
	else
		tunnel->type = inner_type(protocol);
	return tunnel->type;
}

/* A fragment of an outer packet passes: the kernel reassembles it. */
static __always_inline bool parse_outer4(const struct berth_frame *frame, struct tunnel *tunnel)
{
	const struct berth_ip4 *ip = BERTH_AT(frame, const struct berth_ip4, tunnel->link);
	if (!ip || ip->version_ihl >> 4 != 4 || berth_from_be16(ip->fragment) & BERTH_IP4_FRAGMENT_MASK)
		return false;
	union berth_addr dst;
	berth_addr_set4(&dst, ip->dst);
	tunnel->outer = (ip->version_ihl & 0xfu) * 4;
	tunnel->tos = ip->tos;
	return tunnel->outer >= sizeof(*ip) && parse_payload(frame, ip->protocol, tunnel) && is_local(&dst);
}

static __always_inline uint8_t traffic_class(const struct berth_ip6 *ip)
{
	return (uint8_t)(berth_from_be32(ip->version_class_label) >> 20);
}

/* A packet with outer extension headers passes to the kernel. */
static __always_inline bool parse_outer6(const struct berth_frame *frame, struct tunnel *tunnel)
{
	const struct berth_ip6 *ip = BERTH_AT(frame, const struct berth_ip6, tunnel->link);
	if (!ip || berth_from_be32(ip->version_class_label) >> 28 != 6)
		return false;
	union berth_addr dst = ip->dst;
	tunnel->outer = sizeof(*ip);
	tunnel->tos = traffic_class(ip);
	tunnel->is_outer6 = true;
	return parse_payload(frame, ip->next_header, tunnel) && is_local(&dst);
}

static __always_inline bool parse_tunnel(const struct berth_frame *frame, struct tunnel *tunnel)
{
	uint16_t type;
	if (!berth_parse_link(frame, &type, &tunnel->link))
		return false;
	switch (type) {
	case BERTH_ETHERTYPE_IP4:
		return parse_outer4(frame, tunnel);
	case BERTH_ETHERTYPE_IP6:
		return parse_outer6(frame, tunnel);
	default:
		return false;
	}
}
