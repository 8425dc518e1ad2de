/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/*
 * Decapsulation for backends of services in mode ipip or gue. XDP, on the interface towards berth.
 *
 *   link header, VLAN tags | outer IP (, UDP, GUE) | inner IP ...   addressed to this host
 *   link header, VLAN tags | inner IP ...                           what the kernel receives
 *
 * It removes the outer header of IPv4 or IPv6 in IPv4 or IPv6 (RFC 2003, 2473, 4213) and in UDP to one of the GUE
 * ports. All other packets pass to the kernel unchanged.
 *
 * GUE (draft-ietf-intarea-gue): variant 1, in which the inner packet follows the UDP header, and variant 0 with a
 * 4-byte header, IPv4 or IPv6 inside, no options and no flags. The outer UDP checksum is not verified: berth sends
 * 0 (RFC 6935), and the inner packet has its own.
 *
 * Like a kernel tunnel with any remote address, it accepts an inner packet with any source from any sender. Filter
 * protocols 4 and 41 and the GUE ports at the edge of the network.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "bpf/decap_maps.h"
#include "dataplane/core/checksum.h"
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

/* One counter for each enum berth_decap_outcome. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, BERTH_DECAP_OUTCOME_COUNT);
	__type(key, __u32);
	__type(value, __u64);
} decap_counters SEC(".maps");

/* ECN field of IPv4 TOS and IPv6 traffic class (RFC 3168 section 5). */
enum {
	NOT_ECT = 0,
	ECT_1 = 1,
	ECT_0 = 2,
	CE = 3,
	ECN_MASK = 3
};

struct tunnel {
	uint32_t link;	/* bytes of the link header */
	uint32_t outer; /* bytes of the outer headers */
	uint16_t type;	/* ethertype of the inner packet; 0: not a tunnel packet */
	uint8_t tos;	/* outer TOS or traffic class */
	uint8_t is_outer6;
	uint8_t is_gue;
};

/* UDP and GUE variant 0. */
struct gue {
	struct berth_udp udp;
	uint8_t variant_length; /* variant (2 bits), control (1), length of the options in 4 bytes (5) */
	uint8_t protocol;
	struct berth_be16 flags;
};
BERTH_ASSERT_SIZE(struct gue, 12);

static __always_inline int count(enum berth_decap_outcome outcome)
{
	__u32 key = outcome;
	__u64 *counter = bpf_map_lookup_elem(&decap_counters, &key);
	if (counter)
		*counter += 1;
	return outcome == BERTH_DECAP_DROPPED_ECN ? XDP_DROP : XDP_PASS;
}

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

/* The UDP header at `offset`. Variant 1 has no header: the first four bits are the IP version (4 or 6), of which
 * the upper two are the variant, 01. */
static __always_inline void parse_gue(const struct berth_frame *frame, uint32_t offset, struct tunnel *tunnel)
{
	const struct gue *gue = BERTH_AT(frame, const struct gue, offset);
	if (!gue)
		return;
	struct berth_be16 port = gue->udp.dport;
	if (!bpf_map_lookup_elem(&decap_ports, &port))
		return;
	tunnel->is_gue = true;
	tunnel->outer += sizeof(gue->udp);
	switch (gue->variant_length >> 4) {
	case 4:
		tunnel->type = BERTH_ETHERTYPE_IP4;
		break;
	case 6:
		tunnel->type = BERTH_ETHERTYPE_IP6;
		break;
	case 0:
		tunnel->outer += sizeof(*gue) - sizeof(gue->udp);
		tunnel->type = gue->variant_length || gue->flags.raw ? 0 : inner_type(gue->protocol);
	}
}

/* The bytes behind the outer IP header. False: not a tunnel packet. */
static __always_inline bool parse_payload(const struct berth_frame *frame, uint8_t protocol, struct tunnel *tunnel)
{
	if (protocol == BERTH_PROTO_UDP)
		parse_gue(frame, tunnel->link + tunnel->outer, tunnel);
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

/* The ECN field of the decapsulated packet (RFC 6040 section 4.2, figure 4). -1: drop, because the inner packet
 * cannot carry the congestion mark of the outer one. */
static __always_inline int decapsulated_ecn(uint8_t outer, uint8_t inner)
{
	outer &= ECN_MASK;
	inner &= ECN_MASK;
	if (outer == CE)
		return inner == NOT_ECT ? -1 : CE;
	return outer == ECT_1 && inner == ECT_0 ? ECT_1 : inner;
}

static __always_inline enum berth_decap_outcome outcome_of(const struct tunnel *tunnel)
{
	enum berth_decap_outcome outcome = tunnel->type == BERTH_ETHERTYPE_IP4 ? BERTH_DECAP_4IN4
									       : BERTH_DECAP_6IN4;
	if (tunnel->is_outer6)
		outcome += BERTH_DECAP_4IN6 - BERTH_DECAP_4IN4;
	if (tunnel->is_gue)
		outcome += BERTH_DECAP_GUE_4IN4 - BERTH_DECAP_4IN4;
	return outcome;
}

static __always_inline enum berth_decap_outcome update_inner4(const struct berth_frame *frame,
							      const struct tunnel *tunnel)
{
	struct berth_ip4 *ip = BERTH_AT(frame, struct berth_ip4, tunnel->link + tunnel->outer);
	if (!ip || ip->version_ihl >> 4 != 4)
		return BERTH_DECAP_PASSED;
	int ecn = decapsulated_ecn(tunnel->tos, ip->tos);
	if (ecn < 0)
		return BERTH_DECAP_DROPPED_ECN;
	uint8_t tos = (uint8_t)((ip->tos & ~ECN_MASK) | ecn);
	if (tos != ip->tos) {
		struct berth_be16 from = berth_to_be16((uint16_t)(ip->version_ihl << 8 | ip->tos));
		struct berth_be16 to = berth_to_be16((uint16_t)(ip->version_ihl << 8 | tos));
		ip->checksum = berth_checksum_after(ip->checksum, berth_checksum_change(from.raw, to.raw));
		ip->tos = tos;
	}
	return outcome_of(tunnel);
}

static __always_inline enum berth_decap_outcome update_inner6(const struct berth_frame *frame,
							      const struct tunnel *tunnel)
{
	struct berth_ip6 *ip = BERTH_AT(frame, struct berth_ip6, tunnel->link + tunnel->outer);
	if (!ip || berth_from_be32(ip->version_class_label) >> 28 != 6)
		return BERTH_DECAP_PASSED;
	int ecn = decapsulated_ecn(tunnel->tos, traffic_class(ip));
	if (ecn < 0)
		return BERTH_DECAP_DROPPED_ECN;
	uint32_t first = berth_from_be32(ip->version_class_label) & ~((uint32_t)ECN_MASK << 20);
	ip->version_class_label = berth_to_be32(first | (uint32_t)ecn << 20);
	return outcome_of(tunnel);
}

struct link {
	uint8_t addresses[BERTH_LINK_ADDRESSES_BYTES];
	struct berth_link_tags tags;
};

/* Removes the outer headers: the link header moves behind them. It is copied first, because bytes in front of the
 * frame cannot be read. */
static __always_inline bool remove_outer(struct xdp_md *ctx, const struct tunnel *tunnel)
{
	BERTH_OPEN(frame, ctx);
	const struct link *from = BERTH_AT(frame, const struct link, 0);
	if (!from)
		return false;
	const struct link link = *from;
	if (bpf_xdp_adjust_head(ctx, (int)tunnel->outer))
		return false;
	const struct berth_frame inner = {(uint8_t *)(long)ctx->data, (uint8_t *)(long)ctx->data_end, ctx};
	struct link *to = BERTH_AT(&inner, struct link, 0);
	if (!to)
		return false;
	__builtin_memcpy(to->addresses, link.addresses, sizeof(link.addresses));
	berth_copy_tags(&to->tags, &link.tags, tunnel->link, tunnel->type);
	return true;
}

SEC("xdp")
int berth_decap(struct xdp_md *ctx)
{
	struct tunnel tunnel = {};
	BERTH_OPEN(frame, ctx);
	if (!parse_tunnel(frame, &tunnel))
		return count(BERTH_DECAP_PASSED);
	enum berth_decap_outcome outcome = tunnel.type == BERTH_ETHERTYPE_IP4 ? update_inner4(frame, &tunnel)
									      : update_inner6(frame, &tunnel);
	if (outcome == BERTH_DECAP_PASSED || outcome == BERTH_DECAP_DROPPED_ECN)
		return count(outcome);
	return count(remove_outer(ctx, &tunnel) ? outcome : BERTH_DECAP_PASSED);
}

const char _license[] SEC("license") = "Dual BSD/GPL";
