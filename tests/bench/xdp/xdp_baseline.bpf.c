// SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only
/*
 * The baseline of berth's XDP program: a small load balancer of the common kind. Services in a hash map; flows in
 * an LRU hash map keyed by the 5-tuple, filled on a miss from a row of 65,537; backends in an array; counters of
 * packets and bytes per CPU. IPv4 and TCP only, no timeouts, no states, no client affinity.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/tcp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "tests/bench/xdp/xdp.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, struct bench_service_key);
	__type(value, struct bench_service);
} base_services SEC(".maps");

/* max_entries is set to the number of flows before the program is loaded. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1);
	__type(key, struct bench_flow_key);
	__type(value, struct bench_flow);
} base_flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, BENCH_ROWS);
	__type(key, __u32);
	__type(value, __u32);
} base_rows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, BENCH_BACKENDS);
	__type(key, __u32);
	__type(value, struct bench_backend);
} base_backends SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, BENCH_COUNTERS);
	__type(key, __u32);
	__type(value, struct bench_counter);
} base_counters SEC(".maps");

static __always_inline void count(__u32 index, __u64 bytes)
{
	struct bench_counter *counter = bpf_map_lookup_elem(&base_counters, &index);
	if (!counter)
		return;
	counter->packets++;
	counter->bytes += bytes;
}

static __always_inline __u32 rotate(__u32 x, int by)
{
	return x << by | x >> (32 - by);
}

/* A hash of client address and ports. */
static __always_inline __u32 hash_client(const struct bench_flow_key *key)
{
	__u32 x = key->saddr * 0xcc9e2d51u;
	x = rotate(x, 15) * 0x1b873593u;
	x ^= ((__u32)key->sport << 16 | key->dport) * 0x85ebca6bu;
	x ^= x >> 16;
	x *= 0xc2b2ae35u;
	return x ^ x >> 13;
}

/* Selects the flow's backend and inserts the flow. */
static __always_inline __u32 select(const struct bench_service *service, const struct bench_flow_key *key)
{
	__u32 row = service->first_row + hash_client(key) % BENCH_ROWS;
	const __u32 *backend = bpf_map_lookup_elem(&base_rows, &row);
	if (!backend)
		return 0;
	struct bench_flow flow = {.backend = *backend};
	bpf_map_update_elem(&base_flows, key, &flow, BPF_ANY);
	count(BENCH_MISSES, 0);
	return flow.backend;
}

/* In 16-bit stores: struct ethhdr is packed, and its fields would be copied byte by byte. */
static __always_inline int rewrite(struct ethhdr *eth, const struct bench_backend *backend)
{
	__u16 *to = (void *)eth;
	for (int i = 0; i < ETH_ALEN; i++)
		to[i] = backend->macs[i];
	return XDP_TX;
}

static __always_inline __u16 checksum(const struct iphdr *ip)
{
	const __u16 *word = (const void *)ip;
	__u32 sum = 0;
	for (int i = 0; i < 10; i++)
		sum += word[i];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (__u16)~sum;
}

static __always_inline int encapsulate(struct xdp_md *ctx, const struct bench_backend *backend, __u16 length,
				       __u8 tos)
{
	if (bpf_xdp_adjust_head(ctx, -(int)sizeof(struct iphdr)))
		return XDP_DROP;
	void *data = (void *)(long)ctx->data;
	struct ethhdr *eth = data;
	struct iphdr *ip = data + sizeof(*eth);
	if ((void *)(ip + 1) > (void *)(long)ctx->data_end)
		return XDP_DROP;
	eth->h_proto = bpf_htons(ETH_P_IP);
	ip->version = 4;
	ip->ihl = 5;
	ip->tos = tos;
	ip->tot_len = bpf_htons(length + sizeof(*ip));
	ip->id = 0;
	ip->frag_off = bpf_htons(0x4000);
	ip->ttl = 64;
	ip->protocol = IPPROTO_IPIP;
	ip->check = 0;
	ip->saddr = backend->outer_src;
	ip->daddr = backend->outer_dst;
	ip->check = checksum(ip);
	return rewrite(eth, backend);
}

SEC("xdp")
int bench_baseline(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	const struct iphdr *ip = data + sizeof(*eth);
	const struct tcphdr *tcp = data + sizeof(*eth) + sizeof(*ip);
	if ((void *)(tcp + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP))
		return XDP_PASS;
	if (ip->version != 4 || ip->ihl != 5 || ip->protocol != IPPROTO_TCP || ip->frag_off & bpf_htons(0x3fff))
		return XDP_PASS;
	__u64 bytes = (__u64)(end - data);
	__u16 length = bpf_ntohs(ip->tot_len);
	__u8 tos = ip->tos;

	struct bench_service_key asked = {.address = ip->daddr, .port = tcp->dest, .protocol = ip->protocol};
	const struct bench_service *service = bpf_map_lookup_elem(&base_services, &asked);
	if (!service)
		return XDP_PASS;
	struct bench_flow_key key = {
		.saddr = ip->saddr,
		.daddr = ip->daddr,
		.sport = tcp->source,
		.dport = tcp->dest,
		.protocol = ip->protocol,
	};
	const struct bench_flow *flow = bpf_map_lookup_elem(&base_flows, &key);
	__u32 number = flow ? flow->backend : select(service, &key);
	const struct bench_backend *backend = bpf_map_lookup_elem(&base_backends, &number);
	if (!backend)
		return XDP_DROP;
	count(number, bytes);
	return backend->is_ipip ? encapsulate(ctx, backend, length, tos) : rewrite(eth, backend);
}

const char _license[] SEC("license") = "Dual BSD/GPL";
