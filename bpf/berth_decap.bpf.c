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
 * 4-byte header, IPv4 or IPv6 inside, no flags, and no private data but a list of second hops
 * (dataplane/core/gue.h; decap_hop.h says which packets go to one of them). The outer UDP checksum is not verified:
 * berth sends 0 (RFC 6935), and the inner packet has its own.
 *
 * Like a kernel tunnel with any remote address, it accepts an inner packet with any source from any sender. Filter
 * protocols 4 and 41 and the GUE ports at the edge of the network.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "bpf/decap_hop.h"
#include "bpf/decap_maps.h"
#include "bpf/decap_tunnel.h"
#include "dataplane/core/checksum.h"
#include "dataplane/core/link.h"

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

static __always_inline void add(enum berth_decap_outcome outcome)
{
	__u32 key = outcome;
	__u64 *counter = bpf_map_lookup_elem(&decap_counters, &key);
	if (counter)
		*counter += 1;
}

static __always_inline int count(enum berth_decap_outcome outcome)
{
	add(outcome);
	switch (outcome) {
	case BERTH_DECAP_DROPPED_ECN:
	case BERTH_DECAP_HOP_EXPIRED:
		return XDP_DROP;
	case BERTH_DECAP_HOP_USED:
		return XDP_TX;
	default:
		return XDP_PASS;
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

static __always_inline enum berth_decap_outcome decapsulate(struct xdp_md *ctx, const struct tunnel *tunnel)
{
	BERTH_OPEN(frame, ctx);
	enum berth_decap_outcome outcome = tunnel->type == BERTH_ETHERTYPE_IP4 ? update_inner4(frame, tunnel)
									       : update_inner6(frame, tunnel);
	if (outcome == BERTH_DECAP_PASSED || outcome == BERTH_DECAP_DROPPED_ECN)
		return outcome;
	return remove_outer(ctx, tunnel) ? outcome : BERTH_DECAP_PASSED;
}

SEC("xdp")
int berth_decap(struct xdp_md *ctx)
{
	struct tunnel tunnel = {};
	BERTH_OPEN(frame, ctx);
	if (!parse_tunnel(frame, &tunnel))
		return count(BERTH_DECAP_PASSED);
	if (tunnel.is_malformed)
		return count(BERTH_DECAP_MALFORMED);
	if (tunnel.hops) {
		enum berth_decap_outcome outcome = send_to_second_hop(ctx, &tunnel);
		if (outcome != BERTH_DECAP_HOP_UNUSED && outcome != BERTH_DECAP_HOP_NO_ROUTE)
			return count(outcome);
		add(outcome);
	}
	return count(decapsulate(ctx, &tunnel));
}

const char _license[] SEC("license") = "Dual BSD/GPL";
