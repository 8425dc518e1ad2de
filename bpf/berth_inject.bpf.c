// SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only
/*
 * For AF_XDP ports of the DPDK engine. Packets that berth-dpdk writes into a TAP device arrive as received on the
 * interface of the port, so that ARP, ping and SSH work there without changes. Attached to tc ingress of the TAP.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_helpers.h>

/* The interface of the port; berth-dpdk sets it before loading. */
const volatile __u32 berth_inject_ifindex = 0;

SEC("tc")
int berth_inject(struct __sk_buff *skb)
{
	(void)skb;
	return (int)bpf_redirect(berth_inject_ifindex, BPF_F_INGRESS);
}

const char _license[] SEC("license") = "Dual BSD/GPL";
