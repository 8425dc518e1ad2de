/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A burst's way through the core's stages: receive all and prefetch their lines of the flow table, steer those
 * that are known there and prefetch what the others need, steer these and claim words for new flows, settle and
 * send all, hand all over. Called by workers, each with a pipeline of its own.
 *
 * Every packet of a burst gets exactly one verdict, counted once, when its fate is certain: one that finds its
 * transmit ring full is TX_FULL and not what it would have been, one that finds the ring to the kernel full is
 * PASS_FULL. (A backend's tally counts what was steered to it, sent or not.)
 *
 * A shared mbuf (a clone, or one that somebody else holds) is never written: to be forwarded it would have to
 * be copied, which is an allocation in the packet path for what no driver's receive queue brings. It is
 * dropped as NO_HEADROOM: there is no room that is ours in front of it. It may pass to the kernel, unwritten.
 *
 * A fragment whose datagram's first one is not known yet (it went to another queue, or the network turned them
 * round) is held: a few of them, for a moment. It is looked at again after each burst, and has its verdict only
 * then.
 */
#pragma once

#include <rte_mbuf.h>
#include <rte_ring.h>
#include <stdbool.h>

#include "dataplane/core/image.h"
#include "dataplane/core/packet.h"

enum {
	BERTH_BURST = 32,
	BERTH_HELD = 32,
};

/* A port as the pipeline sees it. Written before workers run. */
struct berth_pipeline_port {
	uint16_t id;	       /* DPDK's number */
	bool chains;	       /* transmits packets of several segments */
	bool kernel_has_own;   /* the kernel receives everything itself: what passes need not be handed over */
	struct rte_ring *host; /* what the kernel sends through this port, or NULL; for worker 0 */
};

/* Packets of one burst that leave by one port. */
struct berth_pipeline_out {
	uint32_t n;
	struct rte_mbuf *mbuf[BERTH_BURST + BERTH_HELD];
	uint8_t verdict[BERTH_BURST + BERTH_HELD];
};

/* A fragment that waits for its datagram's first. */
struct berth_pipeline_held {
	struct berth_packet packet;
	struct rte_mbuf *mbuf;
	uint64_t since; /* cycles */
	uint32_t port;
};

/* One worker's. */
struct berth_pipeline {
	const struct berth_pipeline_port *ports;
	uint32_t n_ports;
	uint16_t queue;	       /* this worker's transmit queue, on every port */
	struct rte_ring *pass; /* to the kernel, mbuf->port saying from which port; single producer */
	struct berth_pipeline_out out[BERTH_MAX_PORTS];
	uint64_t hold_cycles; /* how long fragments are held; 0: not at all */
	uint32_t n_held;
	struct berth_pipeline_held held[BERTH_HELD];
};

/* Takes `n` packets (at most BERTH_BURST) that were received on `port`; all are gone or held afterwards. To be
 * called with none, too, while some are held. */
typedef void berth_pipeline_fn(struct berth_pipeline *pipeline, const struct berth_view *view, uint32_t port,
			       struct rte_mbuf **mbufs, uint32_t n);

/* The same code for any x86-64, and for one with AVX2 and BMI2, where it is half as fast again: a bucket is read in
 * two loads instead of eight. berth_pipeline_run is the one that tests and benchmarks compile for themselves. */
berth_pipeline_fn berth_pipeline_run_generic;
berth_pipeline_fn berth_pipeline_run_avx2;
berth_pipeline_fn berth_pipeline_run;

/* The one for this processor. */
static inline berth_pipeline_fn *berth_pipeline_here(void)
{
#ifdef __x86_64__
	if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2"))
		return berth_pipeline_run_avx2;
#endif
	return berth_pipeline_run_generic;
}

/* Lets go of what is held: dropped, and counted so. */
void berth_pipeline_release(struct berth_pipeline *pipeline, const struct berth_view *view);

/* Transmits what the kernel sends through the ports; returns how many packets there were. What does not fit
 * the transmit ring is counted as the event HOST_UNSENT. */
uint32_t berth_pipeline_send_host(struct berth_pipeline *pipeline, const struct berth_view *view);
