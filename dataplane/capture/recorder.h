/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a worker does for a capture: copies the packets of a burst as they arrive and as they leave, and writes
 * those that match into its ring. The variants of the pipeline with a suffix "_recording" call it; the others have
 * no code for it. No function allocates, locks or makes a system call; the clock is read as often as in worker.c.
 */
#pragma once

#include <rte_mbuf.h>

#include "dataplane/interface/capture_file.h"

enum {
	BERTH_RECORDER_PACKETS = 64, /* of a burst, with those that were held */
};

struct berth_recorder {
	struct berth_capture_filter filter;
	struct berth_capture_ring *ring;
	uint64_t ns_per_cycle; /* in units of 2^-32 */
	uint64_t interval_cycles;
	uint64_t read_at_cycles; /* of the clock, which read `read_ns` */
	uint64_t read_ns;
	uint64_t now_ns; /* of this burst */
	uint64_t second; /* of `in_second` */
	uint32_t in_second;
	/* Packets of this burst. */
	uint32_t n;
	const struct rte_mbuf *mbuf[BERTH_RECORDER_PACKETS];
	struct berth_capture_record record[BERTH_RECORDER_PACKETS];
};

/* Main lcore. */
void berth_recorder_init(struct berth_recorder *recorder, const struct berth_capture_filter *filter,
			 struct berth_capture_ring *ring);
/* Begins a burst: copies its packets, which arrived on `port`. */
void berth_recorder_begin(struct berth_recorder *recorder, struct rte_mbuf *const *mbufs, uint32_t n,
			  uint32_t port);
/* Copies one more, which was held. */
void berth_recorder_arrive(struct berth_recorder *recorder, const struct rte_mbuf *mbuf, uint32_t port);
/* Copies a packet that is about to leave by `out_port`; of another class it does not leave. */
void berth_recorder_decide(struct berth_recorder *recorder, const struct rte_mbuf *mbuf,
			   const struct berth_packet *packet, enum berth_verdict verdict, uint32_t out_port);
/* Packets that were decided before do not leave. */
void berth_recorder_revoke(struct berth_recorder *recorder, struct rte_mbuf *const *mbufs, uint32_t n,
			   enum berth_verdict verdict);
/* Writes the packets of the burst that were decided and match. */
void berth_recorder_end(struct berth_recorder *recorder);
