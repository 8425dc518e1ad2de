/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/*
 * Sweeps the tables of the XDP engine without berthd and without packets (core/sweep.h): a timer, which runs as
 * long as its map is pinned. berthd starts it by running the program berth_sweep once. BPF timers: kernel 5.15.
 */
#pragma once

#include "bpf/maps.h"

#include "dataplane/core/sweep.h"

enum {
	NANOSECONDS = 1000000000,
	SWEEP_CLOCK = 1,	     /* CLOCK_MONOTONIC */
	SWEEP_WAIT_NS = NANOSECONDS, /* until the next look whether a sweep is due */
	SWEEP_STEP_NS = 10000000,    /* between the steps of a sweep */
	SWEEP_HAS_TIMER = -16,	     /* -EBUSY: it has been started before */
};

/* bpf_ktime_get_ns is CLOCK_MONOTONIC, as in berthd. */
static __always_inline uint32_t clock_read(const struct berth_ctl *ctl)
{
	return berth_clock_now(ctl, (uint32_t)(bpf_ktime_get_ns() / NANOSECONDS));
}

struct sweeper {
	struct bpf_timer timer;
	struct berth_sweep sweep;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct sweeper);
} sweeper SEC(".maps");

static int on_sweep(void *map, __u32 *key, struct sweeper *own)
{
	(void)map;
	(void)key;
	struct berth_ctl *ctl = berth_at_ctl(NULL, 0);
	bool has_more = false;
	if (ctl) {
		/* The half that it reads stays: a grace period waits for timers, too (they run in softirqs). */
		struct berth_view view = berth_view_make(NULL, &ctl->geometry, BERTH_LOAD(&ctl->generation), 0,
							 clock_read(ctl));
		view.former_flow_bits = BERTH_LOAD(&ctl->former_flow_bits);
		view.former_session_bits = BERTH_LOAD(&ctl->former_session_bits);
		has_more = berth_sweep_step(ctl, &view, &own->sweep);
	}
	bpf_timer_start(&own->timer, has_more ? SWEEP_STEP_NS : SWEEP_WAIT_NS, 0);
	return 0;
}

/* Starts the timer: XDP_PASS, or a negative errno. The kernel may lack memory for it at the moment (it takes no
 * locks for that, so it can fail at any time). The packet is of no interest. */
SEC("xdp")
int berth_sweep(struct xdp_md *ctx)
{
	(void)ctx;
	const __u32 key = 0;
	struct sweeper *own = bpf_map_lookup_elem(&sweeper, &key);
	if (!own)
		return XDP_ABORTED;
	long err = bpf_timer_init(&own->timer, &sweeper, SWEEP_CLOCK);
	if (!err || err == SWEEP_HAS_TIMER)
		err = bpf_timer_set_callback(&own->timer, on_sweep);
	if (!err)
		err = bpf_timer_start(&own->timer, SWEEP_WAIT_NS, 0);
	return err ? (int)err : XDP_PASS;
}
