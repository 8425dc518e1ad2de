// SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only
/*
 * Writes a packet of a random flow into the buffer of the test run and tail-calls the measured program. Flow i has
 * the same addresses as in tests/bench/support/rig.c.
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
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct bench_draw);
} draw SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} measured SEC(".maps");

struct frame {
	struct ethhdr eth;
	struct iphdr ip;
	struct tcphdr tcp;
} __attribute__((packed));

/* The same sequence as rig_random_below(). */
static __always_inline __u32 draw_at_random(struct bench_draw *from)
{
	__u64 x = from->random;
	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	from->random = x;
	return (__u64)(__u32)(x >> 16) * from->flows >> 32;
}

static __always_inline __u32 draw_next(struct bench_draw *from)
{
	__u32 flow = from->next;
	from->next = flow + 1 < from->flows ? flow + 1 : 0;
	return flow;
}

static __always_inline __u16 fold(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (__u16)~sum;
}

/* Stores of whole fields, as they are loaded later: loads of other sizes can't be forwarded. */
static __always_inline void write_frame(void *at, __u32 flow, const struct bench_draw *from)
{
	struct ethhdr *eth = at;
	struct iphdr *ip = at + sizeof(*eth);
	struct tcphdr *tcp = at + sizeof(*eth) + sizeof(*ip);
	const __u8 dst[ETH_ALEN] = {2, 0, 0, 0, 1, 1}, src[ETH_ALEN] = {2, 0, 0, 0, 0, 1};
	__builtin_memcpy(eth->h_dest, dst, ETH_ALEN);
	__builtin_memcpy(eth->h_source, src, ETH_ALEN);
	eth->h_proto = bpf_htons(ETH_P_IP);
	__u32 saddr = 0x0a000000 + (flow & 0xffffff);
	__u32 daddr = from->services ? BENCH_SERVICES + flow % from->services : 0xcb00710a;
	const __u16 bytes = sizeof(*ip) + sizeof(*tcp);
	*(__u16 *)ip = bpf_htons(0x4500);
	ip->tot_len = bpf_htons(bytes);
	ip->id = 0;
	ip->frag_off = 0;
	ip->ttl = 64;
	ip->protocol = IPPROTO_TCP;
	ip->check = bpf_htons(fold(0x4500 + bytes + (64 << 8 | IPPROTO_TCP) + (daddr >> 16) + (daddr & 0xffff) +
				   (saddr >> 16) + (saddr & 0xffff)));
	ip->saddr = bpf_htonl(saddr);
	ip->daddr = bpf_htonl(daddr);
	tcp->source = bpf_htons((__u16)(1024 + (flow >> 24)));
	tcp->dest = bpf_htons(80);
	tcp->seq = 0;
	tcp->ack_seq = 0;
	((__u8 *)tcp)[12] = 5 << 4;
	((__u8 *)tcp)[13] = (__u8)from->tcp_flags;
	tcp->window = 0;
	tcp->check = 0;
	tcp->urg_ptr = 0;
}

SEC("xdp")
int bench_generate(struct xdp_md *ctx)
{
	const __u32 key = 0;
	struct bench_draw *from = bpf_map_lookup_elem(&draw, &key);
	if (!from)
		return XDP_ABORTED;
	/* A test run keeps the frame bounds that the program left for the previous packet. */
	long grown = (long)ctx->data_end - (long)ctx->data - BENCH_FRAME_BYTES;
	if (bpf_xdp_adjust_head(ctx, (int)grown))
		return XDP_ABORTED;
	void *data = (void *)(long)ctx->data;
	if (data + BENCH_FRAME_BYTES > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	write_frame(data, from->random ? draw_at_random(from) : draw_next(from), from);
	/* A locked instruction: the packet is then in the cache, like one from a NIC, and not in the store
	 * buffer; and nothing of what is measured begins before the generator's end. */
	__sync_fetch_and_add(&from->drawn, 1);
	bpf_tail_call(ctx, &measured, 0);
	return XDP_ABORTED;
}

/* The empty program, whose cost is subtracted. */
SEC("xdp")
int bench_empty(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_TX;
}

const char _license[] SEC("license") = "Dual BSD/GPL";
