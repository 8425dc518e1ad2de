/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/*
 * For backends of services in mode ipip or gue whose kernel has no tunnel device: takes the outer header off
 * packets that are IPv4 or IPv6 in IPv4 or IPv6 (RFC 2003, 2473, 4213), or in UDP to one of the GUE ports, and
 * addressed to this host, and gives what is inside to the kernel, under the link header and VLAN tags it came
 * with. All else goes on as it came.
 *
 * Of GUE (draft-ietf-intarea-gue) variant 1 is taken, where the inner packet stands right behind the UDP header,
 * and variant 0 with its 4-byte header if it carries IPv4 or IPv6 and neither options nor flags. The outer UDP
 * checksum is not looked at: berth sends 0 (RFC 6935), and what is inside has checksums of its own.
 *
 * As with a kernel tunnel of any remote, whoever can reach this host can send it an inner packet of any
 * source; let the network's edge keep protocols 4 and 41 and the GUE ports out.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "bpf/decap.h"
#include "dataplane/core/packet.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, BERTH_DECAP_MAX_ADDRESSES);
	__type(key, union berth_addr);
	__type(value, __u8);
} decap_addresses SEC(".maps");

/* UDP ports on which GUE comes. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, BERTH_DECAP_MAX_PORTS);
	__type(key, struct berth_be16);
	__type(value, __u8);
} decap_ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, BERTH_DECAP_OUTCOME_COUNT);
	__type(key, __u32);
	__type(value, __u64);
} decap_counters SEC(".maps");

/* Link header with at most two tags: what is moved over the outer header. */
enum {
	LINK_BYTES_MAX = BERTH_ETH_BYTES + 2 * BERTH_VLAN_BYTES
};

/* ECN field of IPv4 TOS and IPv6 traffic class (RFC 3168 section 5). */
enum {
	NOT_ECT = 0,
	ECT_1 = 1,
	ECT_0 = 2,
	CE = 3,
	ECN_MASK = 3
};

/* A packet in a packet: where its inner one begins and what the outer says. */
struct tunnel {
	uint32_t link;	/* bytes before the outer header */
	uint32_t outer; /* bytes of the outer headers */
	uint16_t type;	/* ethertype of the inner packet; 0: there is none */
	uint8_t tos;	/* of the outer: TOS or traffic class */
	uint8_t outer6;
	uint8_t gue;
};

/* GUE variant 0. */
struct gue {
	uint8_t variant_length; /* variant, control bit, options in 4 bytes */
	uint8_t protocol;
	struct berth_be16 flags;
};
BERTH_ASSERT_SIZE(struct gue, 4);

static __always_inline int leave(enum berth_decap_outcome outcome)
{
	__u32 key = outcome;
	__u64 *count = bpf_map_lookup_elem(&decap_counters, &key);
	if (count)
		*count += 1;
	return outcome == BERTH_DECAP_DROPPED_ECN ? XDP_DROP : XDP_PASS;
}

/* The `bytes` at `offset` of the frame, or NULL where it is shorter. */
static __always_inline void *at(struct xdp_md *ctx, uint32_t offset, uint32_t bytes)
{
	uint8_t *data = (void *)(long)ctx->data;
	uint8_t *end = (void *)(long)ctx->data_end;
	return data + offset + bytes <= end ? data + offset : NULL;
}

static __always_inline bool is_tag(uint16_t type)
{
	return type == BERTH_ETHERTYPE_VLAN || type == BERTH_ETHERTYPE_QINQ;
}

/* Ethertype of the packet under the link header and up to two tags; 0: the frame is too short. */
static __always_inline uint16_t parse_link(struct xdp_md *ctx, uint32_t *bytes)
{
	const struct berth_eth *eth = at(ctx, 0, sizeof(*eth));
	if (!eth)
		return 0;
	uint16_t type = berth_from_be16(eth->type);
	*bytes = sizeof(*eth);
	for (int i = 0; i < 2 && is_tag(type); i++) {
		const struct berth_vlan *vlan = at(ctx, *bytes, sizeof(*vlan));
		if (!vlan)
			return 0;
		type = berth_from_be16(vlan->type);
		*bytes += sizeof(*vlan);
	}
	return type;
}

static __always_inline bool is_mine(const union berth_addr *address)
{
	return bpf_map_lookup_elem(&decap_addresses, address) != NULL;
}

static __always_inline uint16_t inner_type(uint8_t protocol)
{
	return protocol == BERTH_PROTO_IP4   ? BERTH_ETHERTYPE_IP4
	       : protocol == BERTH_PROTO_IP6 ? BERTH_ETHERTYPE_IP6
					     : 0;
}

/* What is behind the UDP header that begins at `offset`. The first four bits tell variant 1, which has no header of
 * its own: they are an IP version then, and their first two 01. */
static __always_inline void parse_gue(struct xdp_md *ctx, uint32_t offset, struct tunnel *tunnel)
{
	const struct berth_udp *udp = at(ctx, offset, sizeof(*udp) + sizeof(struct gue));
	if (!udp)
		return;
	struct berth_be16 port = udp->dport;
	if (!bpf_map_lookup_elem(&decap_ports, &port))
		return;
	const struct gue *gue = (const void *)(udp + 1);
	tunnel->gue = true;
	tunnel->outer += sizeof(*udp);
	switch (gue->variant_length >> 4) {
	case 4:
		tunnel->type = BERTH_ETHERTYPE_IP4;
		break;
	case 6:
		tunnel->type = BERTH_ETHERTYPE_IP6;
		break;
	case 0:
		tunnel->outer += sizeof(*gue);
		tunnel->type = gue->variant_length || gue->flags.raw ? 0 : inner_type(gue->protocol);
	}
}

/* What is behind the outer IP header. */
static __always_inline bool parse_inner(struct xdp_md *ctx, uint8_t protocol, struct tunnel *tunnel)
{
	if (protocol == BERTH_PROTO_UDP)
		parse_gue(ctx, tunnel->link + tunnel->outer, tunnel);
	else
		tunnel->type = inner_type(protocol);
	return tunnel->type;
}

/* Fragments of an outer packet are the kernel's to put together: it gets them untouched. */
static __always_inline bool parse_outer4(struct xdp_md *ctx, struct tunnel *tunnel)
{
	const struct berth_ip4 *ip = at(ctx, tunnel->link, sizeof(*ip));
	if (!ip || ip->version_ihl >> 4 != 4 || berth_from_be16(ip->fragment) & BERTH_IP4_FRAGMENT_MASK)
		return false;
	union berth_addr dst;
	berth_addr_set4(&dst, ip->dst);
	tunnel->outer = (ip->version_ihl & 0xfu) * 4;
	tunnel->tos = ip->tos;
	return tunnel->outer >= sizeof(*ip) && parse_inner(ctx, ip->protocol, tunnel) && is_mine(&dst);
}

static __always_inline uint8_t traffic_class(const struct berth_ip6 *ip)
{
	return (uint8_t)(berth_from_be32(ip->version_class_label) >> 20);
}

static __always_inline bool parse_outer6(struct xdp_md *ctx, struct tunnel *tunnel)
{
	const struct berth_ip6 *ip = at(ctx, tunnel->link, sizeof(*ip));
	if (!ip || berth_from_be32(ip->version_class_label) >> 28 != 6)
		return false;
	union berth_addr dst = ip->dst;
	tunnel->outer = sizeof(*ip);
	tunnel->tos = traffic_class(ip);
	tunnel->outer6 = true;
	return parse_inner(ctx, ip->next_header, tunnel) && is_mine(&dst);
}

static __always_inline bool parse_tunnel(struct xdp_md *ctx, struct tunnel *tunnel)
{
	switch (parse_link(ctx, &tunnel->link)) {
	case BERTH_ETHERTYPE_IP4:
		return parse_outer4(ctx, tunnel);
	case BERTH_ETHERTYPE_IP6:
		return parse_outer6(ctx, tunnel);
	default:
		return false;
	}
}

/* The inner packet's ECN field, from both (RFC 6040 section 4.2, figure 4). -1: must be dropped, because the
 * network saw congestion and the inner packet's sender could not be told. */
static __always_inline int inner_ecn(uint8_t outer, uint8_t inner)
{
	outer &= ECN_MASK;
	inner &= ECN_MASK;
	if (outer == CE)
		return inner == NOT_ECT ? -1 : CE;
	return outer == ECT_1 && inner == ECT_0 ? ECT_1 : inner;
}

/* The header's checksum after one of its 16-bit words changed (RFC 1624, equation 3). */
static __always_inline uint16_t checksum_after(uint16_t checksum, uint16_t from, uint16_t to)
{
	uint32_t sum = (uint16_t)~checksum + (uint32_t)(uint16_t)~from + to;
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static __always_inline enum berth_decap_outcome taken_out(const struct tunnel *tunnel)
{
	enum berth_decap_outcome outcome = tunnel->type == BERTH_ETHERTYPE_IP4 ? BERTH_DECAP_4IN4
									       : BERTH_DECAP_6IN4;
	if (tunnel->outer6)
		outcome += BERTH_DECAP_4IN6 - BERTH_DECAP_4IN4;
	if (tunnel->gue)
		outcome += BERTH_DECAP_GUE_4IN4 - BERTH_DECAP_4IN4;
	return outcome;
}

static __always_inline enum berth_decap_outcome settle_inner4(struct xdp_md *ctx, const struct tunnel *tunnel)
{
	struct berth_ip4 *ip = at(ctx, tunnel->link + tunnel->outer, sizeof(*ip));
	if (!ip || ip->version_ihl >> 4 != 4)
		return BERTH_DECAP_PASSED;
	int ecn = inner_ecn(tunnel->tos, ip->tos);
	if (ecn < 0)
		return BERTH_DECAP_DROPPED_ECN;
	uint8_t tos = (uint8_t)((ip->tos & ~ECN_MASK) | ecn);
	if (tos != ip->tos) {
		struct berth_be16 from = berth_to_be16((uint16_t)(ip->version_ihl << 8 | ip->tos));
		struct berth_be16 to = berth_to_be16((uint16_t)(ip->version_ihl << 8 | tos));
		ip->checksum = checksum_after(ip->checksum, from.raw, to.raw);
		ip->tos = tos;
	}
	return taken_out(tunnel);
}

static __always_inline enum berth_decap_outcome settle_inner6(struct xdp_md *ctx, const struct tunnel *tunnel)
{
	struct berth_ip6 *ip = at(ctx, tunnel->link + tunnel->outer, sizeof(*ip));
	if (!ip || berth_from_be32(ip->version_class_label) >> 28 != 6)
		return BERTH_DECAP_PASSED;
	int ecn = inner_ecn(tunnel->tos, traffic_class(ip));
	if (ecn < 0)
		return BERTH_DECAP_DROPPED_ECN;
	uint32_t first = berth_from_be32(ip->version_class_label) & ~((uint32_t)ECN_MASK << 20);
	ip->version_class_label = berth_to_be32(first | (uint32_t)ecn << 20);
	return taken_out(tunnel);
}

/* Takes the outer headers out from between the link header and the inner packet. */
static __always_inline bool strip(struct xdp_md *ctx, const struct tunnel *tunnel)
{
	/* Kept aside, because the old and the new place of the link header may overlap. */
	uint8_t link[LINK_BYTES_MAX];
	const uint8_t *from = at(ctx, 0, sizeof(link));
	if (!from)
		return false;
	__builtin_memcpy(link, from, sizeof(link));
	if (bpf_xdp_adjust_head(ctx, (int)tunnel->outer))
		return false;
	uint8_t *to = at(ctx, 0, sizeof(link));
	if (!to)
		return false;
	struct berth_be16 type = berth_to_be16(tunnel->type);
	switch (tunnel->link) {
	case BERTH_ETH_BYTES:
		__builtin_memcpy(to, link, BERTH_ETH_BYTES - sizeof(type));
		__builtin_memcpy(to + BERTH_ETH_BYTES - sizeof(type), &type, sizeof(type));
		return true;
	case BERTH_ETH_BYTES + BERTH_VLAN_BYTES:
		__builtin_memcpy(to, link, BERTH_ETH_BYTES + BERTH_VLAN_BYTES - sizeof(type));
		__builtin_memcpy(to + BERTH_ETH_BYTES + BERTH_VLAN_BYTES - sizeof(type), &type, sizeof(type));
		return true;
	default:
		__builtin_memcpy(to, link, LINK_BYTES_MAX - sizeof(type));
		__builtin_memcpy(to + LINK_BYTES_MAX - sizeof(type), &type, sizeof(type));
		return true;
	}
}

SEC("xdp")
int berth_decap(struct xdp_md *ctx)
{
	struct tunnel tunnel = {};
	if (!parse_tunnel(ctx, &tunnel))
		return leave(BERTH_DECAP_PASSED);
	enum berth_decap_outcome outcome = tunnel.type == BERTH_ETHERTYPE_IP4 ? settle_inner4(ctx, &tunnel)
									      : settle_inner6(ctx, &tunnel);
	if (outcome == BERTH_DECAP_PASSED || outcome == BERTH_DECAP_DROPPED_ECN)
		return leave(outcome);
	return leave(strip(ctx, &tunnel) ? outcome : BERTH_DECAP_PASSED);
}

const char _license[] SEC("license") = "Dual BSD/GPL";
