/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/*
 * GUE with second hops: the packet is for this host or for another one. It is for the next one of them if it is
 * TCP, does not open a connection, and this kernel does not have its connection. The outer packet then goes there,
 * and its source stays, so that ICMP errors still reach berth.
 *
 * The kernel knows the way, and says so only if it forwards packets (net.ipv4.conf.eth0.forwarding,
 * net.ipv6.conf.all.forwarding). Packets cannot circle: each hop is used once, and the outer TTL decreases.
 */
#pragma once

#include "bpf/decap_tunnel.h"
#include "dataplane/core/checksum.h"

enum {
	ADDRESS_FAMILY4 = 2,  /* AF_INET */
	ADDRESS_FAMILY6 = 10, /* AF_INET6 */
};

/* Bytes of a hop, as a shift. */
enum {
	HOP4_SHIFT = 2,
	HOP6_SHIFT = 4,
};

/* The kernel's connection with these addresses and ports in any state, also one of which only the SYN cookie is
 * left (`ip` and `tcp` are the headers of the packet). */
static __always_inline bool has_connection(struct xdp_md *ctx, struct bpf_sock_tuple *tuple, uint32_t tuple_bytes,
					   void *ip, uint32_t ip_bytes, struct berth_tcp *tcp)
{
	struct bpf_sock *sock = bpf_skc_lookup_tcp(ctx, tuple, tuple_bytes, (uint64_t)BPF_F_CURRENT_NETNS, 0);
	if (!sock)
		return false;
	bool found = sock->state != BPF_TCP_LISTEN ||
		     bpf_tcp_check_syncookie(sock, ip, ip_bytes, (struct tcphdr *)tcp, sizeof(*tcp)) == 0;
	bpf_sk_release(sock);
	return found;
}

static __always_inline bool opens_connection(const struct berth_tcp *tcp)
{
	return (tcp->flags & (BERTH_TCP_SYN | BERTH_TCP_ACK)) == BERTH_TCP_SYN;
}

/* Packets in doubt are for this host: fragments, headers that are cut short, other protocols than TCP. */
static __always_inline bool is_for_second_hop4(struct xdp_md *ctx, const struct berth_frame *frame, uint32_t inner)
{
	struct berth_ip4 *ip = BERTH_AT(frame, struct berth_ip4, inner);
	if (!ip || ip->protocol != BERTH_PROTO_TCP || berth_from_be16(ip->fragment) & BERTH_IP4_FRAGMENT_MASK)
		return false;
	struct berth_tcp *tcp = BERTH_AT(frame, struct berth_tcp, inner + (ip->version_ihl & 0xfu) * 4);
	if (!tcp || opens_connection(tcp))
		return false;
	struct bpf_sock_tuple tuple = {.ipv4 = {ip->src.raw, ip->dst.raw, tcp->sport.raw, tcp->dport.raw}};
	return !has_connection(ctx, &tuple, sizeof(tuple.ipv4), ip, sizeof(*ip), tcp);
}

static __always_inline bool is_for_second_hop6(struct xdp_md *ctx, const struct berth_frame *frame, uint32_t inner)
{
	struct berth_ip6 *ip = BERTH_AT(frame, struct berth_ip6, inner);
	if (!ip || ip->next_header != BERTH_PROTO_TCP)
		return false;
	struct berth_tcp *tcp = BERTH_AT(frame, struct berth_tcp, inner + sizeof(*ip));
	if (!tcp || opens_connection(tcp))
		return false;
	struct bpf_sock_tuple tuple;
	__builtin_memcpy(tuple.ipv6.saddr, &ip->src, sizeof(ip->src));
	__builtin_memcpy(tuple.ipv6.daddr, &ip->dst, sizeof(ip->dst));
	tuple.ipv6.sport = tcp->sport.raw;
	tuple.ipv6.dport = tcp->dport.raw;
	return !has_connection(ctx, &tuple, sizeof(tuple.ipv6), ip, sizeof(*ip), tcp);
}

/* The address of the next second hop. False: it is not in the frame. */
static __always_inline bool read_hop(const struct berth_frame *frame, const struct tunnel *tunnel,
				     union berth_addr *hop)
{
	const struct berth_gue_hops *hops = BERTH_AT(frame, const struct berth_gue_hops, tunnel->hops);
	if (!hops)
		return false;
	/* The verifier of Linux 6.1 knows no bounds of a product, but those of a shift. */
	uint32_t next = hops->next;
	if (next > BERTH_GUE_LENGTH_MASK)
		return false;
	next <<= tunnel->is_outer6 ? HOP6_SHIFT : HOP4_SHIFT;
	uint32_t offset = tunnel->hops + sizeof(*hops) + next;
	if (tunnel->is_outer6) {
		const union berth_addr *address = BERTH_AT(frame, const union berth_addr, offset);
		if (address)
			*hop = *address;
		return address;
	}
	const struct berth_be32 *address = BERTH_AT(frame, const struct berth_be32, offset);
	if (address)
		berth_addr_set4(hop, *address);
	return address;
}

/* Asks the kernel for the way of the outer packet from the interface `route->ifindex` to the hop. Its answer; sets
 * `ttl`. */
static __always_inline long find_route(struct xdp_md *ctx, const struct berth_frame *frame,
				       const struct tunnel *tunnel, const union berth_addr *hop,
				       struct bpf_fib_lookup *route, uint8_t *ttl)
{
	route->l4_protocol = BERTH_PROTO_UDP;
	/* By the default route, the kernel would send to a multicast address. */
	if (!berth_is_host_address(hop, tunnel->is_outer6))
		return -1;
	if (tunnel->is_outer6) {
		const struct berth_ip6 *ip = BERTH_AT(frame, const struct berth_ip6, tunnel->link);
		if (!ip)
			return -1;
		*ttl = ip->hop_limit;
		route->family = ADDRESS_FAMILY6;
		route->tot_len = (uint16_t)(berth_from_be16(ip->payload) + sizeof(*ip));
		__builtin_memcpy(route->ipv6_src, &ip->src, sizeof(ip->src));
		__builtin_memcpy(route->ipv6_dst, hop, sizeof(*hop));
	} else {
		const struct berth_ip4 *ip = BERTH_AT(frame, const struct berth_ip4, tunnel->link);
		if (!ip)
			return -1;
		*ttl = ip->ttl;
		route->family = ADDRESS_FAMILY4;
		route->tot_len = berth_from_be16(ip->length);
		route->ipv4_src = ip->src.raw;
		route->ipv4_dst = hop->word[3].raw;
	}
	return bpf_fib_lookup(ctx, route, sizeof(*route), 0);
}

/* Addresses the outer packet to the hop. The UDP checksum becomes 0, as berth sends it (RFC 6935). */
static __always_inline bool readdress(const struct berth_frame *frame, const struct tunnel *tunnel,
				      const union berth_addr *hop)
{
	struct berth_gue_hops *hops = BERTH_AT(frame, struct berth_gue_hops, tunnel->hops);
	struct berth_udp *udp = BERTH_AT(frame, struct berth_udp, tunnel->udp);
	struct berth_ip4 *ip4 = BERTH_AT(frame, struct berth_ip4, tunnel->link);
	if (!hops || !udp || !ip4)
		return false;
	if (tunnel->is_outer6) {
		struct berth_ip6 *ip6 = BERTH_AT(frame, struct berth_ip6, tunnel->link);
		if (!ip6)
			return false;
		ip6->dst = *hop;
	} else {
		uint32_t change = berth_checksum_change32(ip4->dst.raw, hop->word[3].raw);
		ip4->checksum = berth_checksum_after(ip4->checksum, change);
		ip4->dst = hop->word[3];
	}
	udp->checksum = 0;
	hops->next++;
	return true;
}

/* To the link that the packet came from, with TTL and link addresses of the route. */
static __always_inline bool write_route(struct berth_frame *frame, const struct tunnel *tunnel,
					const struct bpf_fib_lookup *route)
{
	struct berth_eth *eth = BERTH_AT(frame, struct berth_eth, 0);
	if (!eth || !berth_decrement_ttl(frame, tunnel->link, tunnel->is_outer6))
		return false;
	__builtin_memcpy(eth->dst, route->dmac, sizeof(eth->dst));
	__builtin_memcpy(eth->src, route->smac, sizeof(eth->src));
	return true;
}

/* HOP_UNUSED and HOP_NO_ROUTE: the frame is unchanged, and for this host. HOP_USED and HOP_KERNEL: it is addressed
 * to the hop. The kernel forwards what needs more than the link addresses, and decrements the TTL itself. */
static __always_inline enum berth_decap_outcome send_to_second_hop(struct xdp_md *ctx, const struct tunnel *tunnel)
{
	BERTH_OPEN(frame, ctx);
	uint32_t inner = tunnel->link + tunnel->outer;
	union berth_addr hop;
	if (!(tunnel->type == BERTH_ETHERTYPE_IP4 ? is_for_second_hop4(ctx, frame, inner)
						  : is_for_second_hop6(ctx, frame, inner)) ||
	    !read_hop(frame, tunnel, &hop))
		return BERTH_DECAP_HOP_UNUSED;
	const uint32_t ingress = ctx->ingress_ifindex;
	struct bpf_fib_lookup route = {.ifindex = ingress};
	uint8_t ttl = 0;
	long answer = find_route(ctx, frame, tunnel, &hop, &route, &ttl);
	if (answer != BPF_FIB_LKUP_RET_SUCCESS && answer != BPF_FIB_LKUP_RET_NO_NEIGH &&
	    answer != BPF_FIB_LKUP_RET_FRAG_NEEDED)
		return BERTH_DECAP_HOP_NO_ROUTE;
	if (ttl <= 1)
		return BERTH_DECAP_HOP_EXPIRED;
	if (!readdress(frame, tunnel, &hop))
		return BERTH_DECAP_HOP_UNUSED;
	if (answer != BPF_FIB_LKUP_RET_SUCCESS || route.ifindex != ingress || tunnel->link != BERTH_ETH_BYTES)
		return BERTH_DECAP_HOP_KERNEL;
	return write_route(frame, tunnel, &route) ? BERTH_DECAP_HOP_USED : BERTH_DECAP_HOP_EXPIRED;
}
