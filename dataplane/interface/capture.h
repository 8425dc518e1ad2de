/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/*
 * Copies of packets with their verdicts, from an engine to berthd: the filter, and a record. Written while a
 * capture runs, by bpf/berth_capture.bpf.c or by the workers of berth-dpdk (capture_file.h).
 */
#pragma once

#include "dataplane/core/packet.h"
#include "dataplane/core/verdict.h"

enum {
	BERTH_CAPTURE_SNAP = 512,	    /* bytes of a frame that are copied, at most */
	BERTH_CAPTURE_RING_BYTES = 2 << 20, /* 1,700 records */
	BERTH_CAPTURE_PER_SECOND = 2000,    /* records of a worker, at most */
};

/* What a packet must match; 0: anything. Numbers and names of core/packet.h. */
struct berth_capture_filter {
	union berth_addr host; /* of the client or the service */
	uint64_t verdicts;     /* a bit each; never 0 */
	uint16_t service;
	uint16_t backend;
	struct berth_be16 port; /* source or destination */
	uint8_t protocol;
	uint8_t has_host;
};
BERTH_ASSERT_SIZE(struct berth_capture_filter, 32);

struct berth_capture_record {
	struct berth_packet packet; /* as the engine read it */
	uint64_t time_ns;	    /* CLOCK_MONOTONIC */
	uint32_t ifindex;	    /* XDP: where it arrived */
	uint32_t action;     /* enum xdp_action that the program returned; DPDK: the one that does the same */
	uint32_t in_bytes;   /* of the frame that arrived */
	uint32_t out_bytes;  /* of the frame that left; 0: none */
	uint16_t in_copied;  /* bytes in `in` */
	uint16_t out_copied; /* bytes in `out` */
	uint8_t verdict;     /* enum berth_verdict */
	uint8_t in_port;     /* DPDK: where it arrived, an index into ctl.ports plus 1; 0: not known */
	uint8_t out_port;    /* likewise, where it left */
	uint8_t pad;
	uint8_t in[BERTH_CAPTURE_SNAP];
	uint8_t out[BERTH_CAPTURE_SNAP];
};
BERTH_ASSERT_SIZE(struct berth_capture_record, 96 + 2 * BERTH_CAPTURE_SNAP);

BERTH_INLINE bool berth_capture_has_end(const struct berth_capture_filter *filter,
					const struct berth_packet *packet)
{
	const bool is_host = !filter->has_host || berth_addr_equal(&filter->host, &packet->src) ||
			     berth_addr_equal(&filter->host, &packet->dst);
	const bool is_port = !filter->port.raw || filter->port.raw == packet->sport.raw ||
			     filter->port.raw == packet->dport.raw;
	return is_host && is_port;
}

BERTH_INLINE bool berth_capture_matches(const struct berth_capture_filter *filter,
					const struct berth_packet *packet, uint32_t verdict)
{
	return (filter->verdicts >> (verdict & 63) & 1) &&
	       (!filter->service || filter->service == packet->service) &&
	       (!filter->backend || filter->backend == packet->backend) &&
	       (!filter->protocol || filter->protocol == packet->protocol) && berth_capture_has_end(filter, packet);
}
