/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The file by which berth-dpdk hands copies of packets to berthd. It is there while a capture runs: berthd creates
 * it in the directory that only root can enter, and berth-dpdk, which looks for it, maps it. One ring for each
 * worker follows the head.
 *
 * Neither end waits for the other. A full ring is counted. berth-dpdk ends the capture when berthd says so, or has
 * not said for BERTH_CAPTURE_ALIVE_MS that it goes on; so a berthd that was killed leaves none behind.
 */
#pragma once

#include <stdio.h>

#include "dataplane/core/atomic.h"
#include "dataplane/interface/capture.h"
#include "dataplane/interface/store.h"

#define BERTH_CAPTURE_MAGIC UINT64_C(0x3170616368747262)

enum {
	BERTH_CAPTURE_SLOTS = 512, /* records of a ring, a power of two */
	BERTH_CAPTURE_ALIVE_MS = 5000,
	BERTH_CAPTURE_PATH_BYTES = 320,
};

struct berth_capture_ring {
	/* Written by the worker: records ever, and packets that match without one. */
	uint64_t written;
	uint64_t missed;
	uint64_t pad0[6];
	/* Written by berthd: records ever. */
	uint64_t read;
	uint64_t pad1[7];
	struct berth_capture_record record[BERTH_CAPTURE_SLOTS];
};

struct berth_capture_head {
	uint64_t magic;	     /* set last: the rest is there */
	uint64_t renewed_ms; /* CLOCK_MONOTONIC, of berthd's last look */
	struct berth_capture_filter filter;
	uint32_t workers; /* rings */
	uint32_t is_over; /* set by berthd */
	uint32_t taken;	  /* set by berth-dpdk: 1 while its workers copy packets */
	uint32_t pad;
};
BERTH_ASSERT_SIZE(struct berth_capture_head, 64);

static inline uint64_t berth_capture_file_bytes(uint32_t workers)
{
	return sizeof(struct berth_capture_head) + workers * sizeof(struct berth_capture_ring);
}

static inline struct berth_capture_ring *berth_capture_rings(struct berth_capture_head *head)
{
	return (struct berth_capture_ring *)(void *)(head + 1);
}

static inline void berth_capture_path(char path[BERTH_CAPTURE_PATH_BYTES], const char *instance)
{
	snprintf(path, BERTH_CAPTURE_PATH_BYTES, BERTH_SHM_DIRECTORY "/%s.capture", instance);
}
