// SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only
/*
 * The baselines of berth's XDP program: load balancers of the common kind. Services in a hash map; flows in an LRU
 * hash map keyed by the 5-tuple, filled on a miss from a row of 65,537; backends in an array; counters of packets
 * and bytes per CPU. IPv4 and TCP only, no timeouts, no states, no client affinity.
 *
 * bench_baseline: the least that does this. bench_peer: what a published one does for a packet of a known flow: an
 * LRU hash of each CPU, a configured gateway, an outer source address by client, and three counters.
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

struct peer_flows_of_cpu {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1);
	__type(key, struct bench_flow_key);
	__type(value, struct bench_peer_flow);
} peer_flows_of_none SEC(".maps");

/* One for each CPU that runs the program, put in before it runs. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, BENCH_CPUS);
	__type(key, __u32);
	__array(values, struct peer_flows_of_cpu);
} peer_flows SEC(".maps");

/* The link addresses of the gateway. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct bench_backend);
} peer_gateway SEC(".maps");

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

static __always_inline __u32 select(const struct bench_service *service, const struct bench_flow_key *key)
{
	__u32 row = service->first_row + hash_client(key) % BENCH_ROWS;
	const __u32 *backend = bpf_map_lookup_elem(&base_rows, &row);
	count(BENCH_MISSES, 0);
	return backend ? *backend : 0;
}

/* The backend of the flow, from its entry, which is made if there is none. */
static __always_inline __u32 find(const struct bench_service *service, const struct bench_flow_key *key)
{
	const struct bench_flow *known = bpf_map_lookup_elem(&base_flows, key);
	if (known)
		return known->backend;
	struct bench_flow flow = {.backend = select(service, key)};
	bpf_map_update_elem(&base_flows, key, &flow, BPF_ANY);
	return flow.backend;
}

static __always_inline __u32 find_as_peer(const struct bench_service *service, const struct bench_flow_key *key)
{
	__u32 cpu = bpf_get_smp_processor_id();
	void *flows = bpf_map_lookup_elem(&peer_flows, &cpu);
	count(BENCH_LOOKUPS, 1);
	if (!flows)
		return 0;
	struct bench_peer_flow *known = bpf_map_lookup_elem(flows, key);
	if (known) {
		if (key->protocol == IPPROTO_UDP)
			known->at = bpf_ktime_get_ns();
		return known->backend;
	}
	struct bench_peer_flow flow = {.backend = select(service, key)};
	bpf_map_update_elem(flows, key, &flow, BPF_ANY);
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

static __always_inline int encapsulate(struct xdp_md *ctx, const struct bench_backend *backend, __be32 source,
				       const struct bench_backend *gateway, __u16 length, __u8 tos)
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
	ip->saddr = source;
	ip->daddr = backend->outer_dst;
	ip->check = checksum(ip);
	return rewrite(eth, gateway);
}

/* What both need of a packet. */
struct parsed {
	struct bench_flow_key key;
	__u64 bytes;
	__u16 length;
	__u8 tos;
};

static __always_inline const struct bench_service *parse(struct xdp_md *ctx, struct parsed *parsed)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	const struct iphdr *ip = data + sizeof(*eth);
	const struct tcphdr *tcp = data + sizeof(*eth) + sizeof(*ip);
	if ((void *)(tcp + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP))
		return NULL;
	if (ip->version != 4 || ip->ihl != 5 || ip->protocol != IPPROTO_TCP || ip->frag_off & bpf_htons(0x3fff))
		return NULL;
	*parsed = (struct parsed){
		.key = {.saddr = ip->saddr,
			.daddr = ip->daddr,
			.sport = tcp->source,
			.dport = tcp->dest,
			.protocol = ip->protocol},
		.bytes = (__u64)(end - data),
		.length = bpf_ntohs(ip->tot_len),
		.tos = ip->tos,
	};
	struct bench_service_key asked = {.address = ip->daddr, .port = tcp->dest, .protocol = ip->protocol};
	return bpf_map_lookup_elem(&base_services, &asked);
}

SEC("xdp")
int bench_baseline(struct xdp_md *ctx)
{
	struct parsed parsed;
	const struct bench_service *service = parse(ctx, &parsed);
	if (!service)
		return XDP_PASS;
	__u32 number = find(service, &parsed.key);
	const struct bench_backend *backend = bpf_map_lookup_elem(&base_backends, &number);
	if (!backend)
		return XDP_DROP;
	count(number, parsed.bytes);
	void *data = (void *)(long)ctx->data;
	if (data + sizeof(struct ethhdr) > (void *)(long)ctx->data_end)
		return XDP_DROP;
	return rewrite(data, backend);
}

SEC("xdp")
int bench_peer(struct xdp_md *ctx)
{
	const __u32 zero = 0;
	struct parsed parsed;
	const struct bench_service *service = parse(ctx, &parsed);
	if (!service)
		return XDP_PASS;
	__u32 number = find_as_peer(service, &parsed.key);
	const struct bench_backend *backend = bpf_map_lookup_elem(&base_backends, &number);
	const struct bench_backend *gateway = bpf_map_lookup_elem(&peer_gateway, &zero);
	if (!backend || !gateway)
		return XDP_DROP;
	count(BENCH_OF_SERVICE, parsed.bytes);
	count(number, parsed.bytes);
	__be32 source = bpf_htonl(0xac100000) | ((parsed.key.saddr ^ parsed.key.sport) & bpf_htonl(0xffff));
	return encapsulate(ctx, backend, source, gateway, parsed.length, parsed.tos);
}

const char _license[] SEC("license") = "Dual BSD/GPL";
