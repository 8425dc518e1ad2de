/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runs bursts of mbufs through the stages of the core (core/stages.h): receive all, with prefetches; steer all;
 * send each into the buffer of a port; transmit the buffers. Called by workers, each with a pipeline of its own.
 *
 * Each packet has exactly one verdict, counted once it is final: with a full transmit ring it is TX_FULL instead,
 * with a full ring to the kernel PASS_FULL. (The tally of a backend counts all packets steered to it.)
 *
 * A shared mbuf (a clone, or one with more references) is never written. A copy would be an allocation in the
 * packet path, and no driver receives such mbufs. If it would be forwarded it is dropped as NO_HEADROOM; it can
 * pass to the kernel.
 *
 * A later fragment whose first fragment has not arrived (it is in another queue, or the network reordered them) is
 * held: up to BERTH_HELD fragments for hold_cycles. It is retried after each burst and has its verdict only then.
 */
#pragma once

#include <rte_mbuf.h>
#include <rte_ring.h>
#include <stdbool.h>

#include "dataplane/core/image.h"
#include "dataplane/core/packet.h"

struct berth_recorder;

enum {
	BERTH_BURST = 32,
	BERTH_HELD = 32,
};

/* A port as the pipeline sees it. Written before workers run. */
struct berth_pipeline_port {
	uint16_t id;	       /* DPDK's number */
	bool chains;	       /* transmits packets of several segments */
	bool kernel_has_own;   /* the kernel interface receives all packets itself: passed ones are freed */
	struct rte_ring *host; /* packets that the kernel sends through this port, or NULL; for worker 0 */
};

/* Packets of one burst that leave by one port. */
struct berth_pipeline_out {
	uint32_t n;
	struct rte_mbuf *mbuf[BERTH_BURST + BERTH_HELD];
	uint8_t verdict[BERTH_BURST + BERTH_HELD];
};

/* A later fragment that waits for its first one. */
struct berth_pipeline_held {
	struct berth_packet packet;
	struct rte_mbuf *mbuf;
	uint64_t since; /* cycles */
	uint32_t port;
};

/* The pipeline of one worker; only that worker uses it. */
struct berth_pipeline {
	const struct berth_pipeline_port *ports;
	uint32_t n_ports;
	uint16_t queue;	       /* this worker's transmit queue, on every port */
	struct rte_ring *pass; /* to the kernel; mbuf->port is the index of the receiving port; single producer */
	struct berth_pipeline_out out[BERTH_MAX_PORTS];
	uint64_t hold_cycles; /* TSC cycles for which fragments are held; 0: not held */
	uint32_t n_held;
	struct berth_pipeline_held held[BERTH_HELD];
	struct berth_recorder *recorder; /* used by the recording variants alone; set before they run */
};

/* Runs `n` packets (at most BERTH_BURST) that were received on `port`. Afterwards each is sent, passed, freed or
 * held. Call it with 0 packets, too, while some are held. */
typedef void berth_pipeline_fn(struct berth_pipeline *pipeline, const struct berth_view *view, uint32_t port,
			       struct rte_mbuf **mbufs, uint32_t n);

/* For any x86-64, and for AVX2 and BMI2 with one and a half times the speed: a bucket is read by two loads instead
 * of eight. berth_pipeline_run is the variant that tests and benchmarks compile with their own flags. */
berth_pipeline_fn berth_pipeline_run_generic;
berth_pipeline_fn berth_pipeline_run_avx2;
berth_pipeline_fn berth_pipeline_run;

/* The same with copies of packets for a capture (capture/recorder.h). */
berth_pipeline_fn berth_pipeline_run_generic_recording;
berth_pipeline_fn berth_pipeline_run_avx2_recording;

static inline bool berth_pipeline_has_avx2(void)
{
#ifdef __x86_64__
	return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
#else
	return false;
#endif
}

/* The variants for this processor. */
static inline berth_pipeline_fn *berth_pipeline_for_cpu(void)
{
	return berth_pipeline_has_avx2() ? berth_pipeline_run_avx2 : berth_pipeline_run_generic;
}

static inline berth_pipeline_fn *berth_pipeline_recording_for_cpu(void)
{
	return berth_pipeline_has_avx2() ? berth_pipeline_run_avx2_recording : berth_pipeline_run_generic_recording;
}

/* Drops the held fragments, and counts them. */
void berth_pipeline_release(struct berth_pipeline *pipeline, const struct berth_view *view);

/* Transmits the packets that the kernel sends through the ports; returns their number. Those that do not fit the
 * transmit ring are dropped and counted as the event HOST_UNSENT. */
uint32_t berth_pipeline_send_host(struct berth_pipeline *pipeline, const struct berth_view *view);
