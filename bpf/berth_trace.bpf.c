// SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only
/*
 * Beside the XDP engine: counts the frames that the program has handed to a driver and that the driver did not
 * send, by the kernel's tracepoints; and tries whether a driver sends frames at all. A frame that was sent costs
 * one comparison a batch of up to 16.
 */
#include <linux/bpf.h>
#include <stdbool.h>

#include <bpf/bpf_helpers.h>

#include "dataplane/interface/trace.h"

/* The fields of the kernel's structs that are read here; libbpf relocates them. */
#define KERNEL __attribute__((preserve_access_index))

struct ns_common {
	unsigned int inum;
} KERNEL;

struct net {
	struct ns_common ns;
} KERNEL;

typedef struct {
	struct net *net;
} possible_net_t;

struct net_device {
	int ifindex;
	possible_net_t nd_net;
} KERNEL;

/* berthd adds a cell for each of its interfaces. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, BERTH_TRACE_CELLS);
	__type(key, struct berth_trace_key);
	__type(value, struct berth_trace_cell);
} refused SEC(".maps");

/* The process that runs a trial, written by berthd; 0: none. */
uint32_t trial_process;

static __always_inline bool is_trial(void)
{
	const uint32_t process = *(volatile uint32_t *)&trial_process;
	return process && bpf_get_current_pid_tgid() >> 32 == process;
}

static __always_inline int count(const struct net_device *device, uint32_t ifindex, uint64_t frames, int err)
{
	const struct berth_trace_key key = {.netns = device->nd_net.net->ns.inum, .ifindex = ifindex};
	struct berth_trace_cell *cell = bpf_map_lookup_elem(&refused, &key);
	if (!cell)
		return 0;
	__sync_fetch_and_add(is_trial() ? &cell->trials : &cell->frames, frames);
	cell->err = err;
	return 0;
}

/* The arguments of the tracepoints are those of Linux since 5.13. */

/* XDP_TX, a batch: device, sent, drops, err. */
SEC("tp_btf/xdp_bulk_tx")
int berth_bulk_tx(const uint64_t *argument)
{
	const struct net_device *device = (const void *)argument[0];
	const int drops = (int)argument[2];
	return drops > 0 ? count(device, (uint32_t)device->ifindex, (uint64_t)drops, (int)argument[3]) : 0;
}

/* XDP_TX of one frame by other drivers, or a program that was aborted: device, program, action. */
SEC("tp_btf/xdp_exception")
int berth_exception(const uint64_t *argument)
{
	const struct net_device *device = (const void *)argument[0];
	return count(device, (uint32_t)device->ifindex, 1, 0);
}

/* XDP_REDIRECT, a batch: from, to, sent, drops, err. */
SEC("tp_btf/xdp_devmap_xmit")
int berth_devmap_xmit(const uint64_t *argument)
{
	const struct net_device *to = (const void *)argument[1];
	const int drops = (int)argument[3];
	return drops > 0 ? count(to, (uint32_t)to->ifindex, (uint64_t)drops, (int)argument[4]) : 0;
}

/* XDP_REDIRECT of a frame that reaches no batch, for instance because the driver takes none: from, program, target,
 * err, map type, map id, interface. */
SEC("tp_btf/xdp_redirect_err")
int berth_redirect_err(const uint64_t *argument)
{
	return count((const void *)argument[0], (uint32_t)argument[6], 1, (int)argument[3]);
}

/* For a test run: redirects a frame to the interface that it names. */
SEC("xdp")
int berth_try(struct xdp_md *ctx)
{
	const struct berth_trace_frame *frame = (void *)(long)ctx->data;
	if ((void *)(frame + 1) > (void *)(long)ctx->data_end)
		return XDP_DROP;
	return (int)bpf_redirect(frame->ifindex, 0);
}

const char _license[] SEC("license") = "Dual BSD/GPL";
