/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/*
 * The XDP engine, in berth_xdp.bpf.c alone and in berth_capture.bpf.c with copies of packets: runs each packet
 * through the stages of the core (core/stages.h), a burst of one, and turns the verdict into an XDP action. It has
 * no packet rules of its own.
 */
#pragma once

#include "bpf/maps.h"

#include "dataplane/core/packet.h"

static inline __attribute__((always_inline)) bool berth_frame_push(struct berth_frame *frame, uint32_t bytes)
{
	struct xdp_md *ctx = frame->handle;
	if (bpf_xdp_adjust_head(ctx, -(int)bytes))
		return false;
	frame->data = (uint8_t *)(long)ctx->data;
	frame->end = (uint8_t *)(long)ctx->data_end;
	return true;
}

static inline __attribute__((always_inline)) bool berth_frame_trim(struct berth_frame *frame, uint32_t bytes)
{
	struct xdp_md *ctx = frame->handle;
	int64_t has = frame->end - frame->data;
	BERTH_OPAQUE(has); /* clang would subtract halves of pointers, which the verifier refuses */
	if (bpf_xdp_adjust_tail(ctx, (int)bytes - (int)has))
		return false;
	frame->data = (uint8_t *)(long)ctx->data;
	frame->end = (uint8_t *)(long)ctx->data_end;
	return true;
}

#include "dataplane/core/drops.h"
#include "dataplane/core/stages.h"

#include "bpf/sweeper.h"

enum {
	/* A jiffy is 1 to 10 ms (CONFIG_HZ 1000 to 100), so the clock is read every 10 to 100 ms. Reading jiffies
	 * is one inlined load; a clock helper is a call of about 18 ns. */
	REFRESH_JIFFIES = 10,
};

/* The time of the tables. */
static __always_inline uint32_t clock_now(struct berth_ctl *ctl)
{
	uint64_t jiffies = bpf_jiffies64();
	if ((int64_t)(jiffies - BERTH_LOAD(&ctl->refresh)) >= 0) {
		const uint64_t now_ns = bpf_ktime_get_ns();
		BERTH_STORE(&ctl->now_ns, now_ns);
		BERTH_STORE(&ctl->now, berth_clock_now(ctl, (uint32_t)(now_ns / NANOSECONDS)));
		BERTH_STORE(&ctl->refresh, jiffies + REFRESH_JIFFIES);
	}
	return (uint32_t)BERTH_LOAD(&ctl->now);
}

/* The index of an interface in the ports of the half; BERTH_MAX_PORTS if it is not one of them. A function of its
 * own: the verifier then follows the rest of the program once, and not once for each port. */
BERTH_STEP int berth_port_of(uint32_t half, uint32_t ifindex)
{
	const struct berth_ctl *ctl = berth_at_ctl(NULL, 0);
	for (uint32_t i = 0; ctl && i < BERTH_MAX_PORTS; i++)
		if (ctl->ports[half & 1][i].ifindex == ifindex)
			return (int)i;
	return BERTH_MAX_PORTS;
}

/* Scratch memory per CPU: on the stack it would take a third of the 512 bytes of a chain of calls. A program is not
 * interrupted by another run of itself on the same CPU. */
struct scratch {
	struct berth_packet packet;
	struct berth_view view;
	/* What the view was made for. 0: no interface. */
	uint64_t generation;
	uint32_t ifindex;
	uint32_t pad;
	struct berth_entry entry;
	struct berth_egress egress;
	uint8_t unused[64 - 40];
};
_Static_assert(sizeof(struct scratch) == 192, "three memory lines");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, BERTH_MAX_WORKERS);
	__type(key, __u32);
	__type(value, struct scratch);
} scratches SEC(".maps");

/* Makes the view of this packet. It nearly always is that of the packet before, but for the time: nothing else in
 * it changes within a generation. (A former table that has ended is read until the next one: it is empty, and the
 * program keeps its memory.) */
static __always_inline void make_view(struct scratch *scratch, struct berth_ctl *ctl, uint32_t cpu,
				      uint32_t ifindex)
{
	const uint64_t generation = BERTH_LOAD(&ctl->generation);
	const uint32_t now = clock_now(ctl);
	if (BERTH_LIKELY(scratch->generation == generation && scratch->ifindex == ifindex)) {
		scratch->view.now = now;
		return;
	}
	scratch->view = berth_view_make(NULL, &ctl->geometry, generation, cpu, now);
	scratch->view.former_flow_bits = BERTH_LOAD(&ctl->former_flow_bits);
	scratch->view.former_session_bits = BERTH_LOAD(&ctl->former_session_bits);
	berth_view_set_port(&scratch->view, ctl, (uint32_t)berth_port_of(scratch->view.global, ifindex));
	scratch->generation = generation;
	scratch->ifindex = ifindex;
}

/* Packets that are longer than the MTU of the interface that they came by, and than their path's, by interface:
 * with a generic program merged segments (engine/merging of the control plane). */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, __u64);
} merged SEC(".maps");

/* Not inline: the code for packets that fit stays together. */
static __noinline int note_too_big(struct xdp_md *ctx, uint32_t length)
{
	uint32_t mtu = length, ifindex = ctx->ingress_ifindex;
	uint64_t none = 0;
	if (bpf_check_mtu(ctx, 0, &mtu, 0, 0) != BPF_MTU_CHK_RET_FRAG_NEEDED)
		return 0;
	bpf_map_update_elem(&merged, &ifindex, &none, BPF_NOEXIST);
	uint64_t *packets = bpf_map_lookup_elem(&merged, &ifindex);
	if (packets)
		__sync_fetch_and_add(packets, 1);
	return 0;
}

/* One frame, from its bytes to the XDP action. */
static __always_inline int berth_run(struct xdp_md *ctx)
{
	struct berth_ctl *ctl = berth_at_ctl(NULL, 0);
	uint32_t cpu = bpf_get_smp_processor_id();
	struct scratch *scratch = bpf_map_lookup_elem(&scratches, &cpu);
	if (!ctl || !scratch)
		return XDP_PASS;
	make_view(scratch, ctl, cpu, ctx->ingress_ifindex);
	struct berth_frame frame = {
		.data = (uint8_t *)(long)ctx->data,
		.end = (uint8_t *)(long)ctx->data_end,
		.handle = ctx,
	};
	enum berth_verdict verdict = berth_forward_in(&scratch->view, &frame, &scratch->packet, &scratch->entry,
						      (uint32_t)(frame.end - frame.data), &scratch->egress);
	if (BERTH_UNLIKELY(verdict == BERTH_VERDICT_ANSWERED_TOO_BIG || verdict == BERTH_VERDICT_TOO_BIG))
		note_too_big(ctx, scratch->packet.length);
	switch (BERTH_VERDICT_CLASS(verdict)) {
	case BERTH_CLASS_PASS:
		return XDP_PASS;
	case BERTH_CLASS_DROP:
		berth_drop_keep(&scratch->view, &scratch->packet, verdict);
		return XDP_DROP;
	case BERTH_CLASS_ANSWER:
		return XDP_TX;
	default:
		break;
	}
	uint32_t ifindex = ctl->ports[scratch->view.global & 1][scratch->egress.port % BERTH_MAX_PORTS].ifindex;
	return ifindex == ctx->ingress_ifindex ? XDP_TX : (int)bpf_redirect(ifindex, 0);
}
