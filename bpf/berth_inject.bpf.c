// SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only
/*
 * Beside an AF_XDP port of the DPDK engine: what berth-dpdk writes into its TAP device appears as received on
 * the real interface, so that the kernel answers ARP, ping and SSH there as if no engine stood in front.
 * Attached to the TAP's tc ingress hook.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_helpers.h>

/* The real interface; set before loading. */
const volatile __u32 berth_inject_ifindex = 0;

SEC("tc")
int berth_inject(struct __sk_buff *skb)
{
	(void)skb;
	return (int)bpf_redirect(berth_inject_ifindex, BPF_F_INGRESS);
}

const char _license[] SEC("license") = "Dual BSD/GPL";
