/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/*
 * What berthd and bpf/berth_trace.bpf.c share: the counters of frames that drivers refused, and the frame of a
 * trial.
 */
#pragma once

#include <stdint.h>

enum {
	BERTH_TRACE_CELLS = 64,
	BERTH_TRACE_ETHERTYPE = 0x88b5, /* IEEE 802: local experimental */
};

/* Interface numbers are those of a network namespace. */
struct berth_trace_key {
	uint32_t netns; /* inode number */
	uint32_t ifindex;
};

struct berth_trace_cell {
	uint64_t frames; /* refused, written by any CPU */
	uint64_t trials; /* refused frames of berthd's trials, likewise */
	int32_t err;	 /* -errno of the last one; 0: the driver gave none */
	uint32_t pad;
};

/* From an interface to itself: no switch forwards it, and no host takes it. */
struct berth_trace_frame {
	uint8_t destination[6];
	uint8_t source[6];
	uint16_t ethertype; /* network byte order */
	uint8_t pad0[2];
	uint32_t ifindex; /* where it leaves */
	uint8_t pad1[40];
};
