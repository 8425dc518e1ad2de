// SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only
/*
 * The cost of XDP itself (e2e.py): each packet to one address is counted, gets configured link addresses and leaves
 * by the interface where it arrived. No parsing beyond that, no lookup, no state.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

struct bare {
	__u64 packets;
	__be32 address;
	__u8 macs[2 * ETH_ALEN]; /* destination, source */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct bare);
} bare_map SEC(".maps");

SEC("xdp")
int bare(struct xdp_md *ctx)
{
	const __u32 zero = 0;
	struct bare *bare = bpf_map_lookup_elem(&bare_map, &zero);
	struct ethhdr *eth = (void *)(long)ctx->data;
	struct iphdr *ip = (void *)(eth + 1);
	if (!bare || (void *)(ip + 1) > (void *)(long)ctx->data_end || eth->h_proto != bpf_htons(ETH_P_IP) ||
	    ip->daddr != bare->address)
		return XDP_PASS;
	__builtin_memcpy(eth, bare->macs, sizeof(bare->macs));
	__sync_fetch_and_add(&bare->packets, 1);
	return XDP_TX;
}

const char _license[] SEC("license") = "Dual BSD/GPL";
