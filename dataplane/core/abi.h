/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/*
 * Every struct that the control plane and an engine share, and the image that holds them.
 *
 * An image is a set of sections, each an array of one struct. The XDP engine keeps a section as one mmapable
 * BPF array, the DPDK engine keeps them one behind the other in a shared file; the bytes are the same, and
 * berthd maps either and reads and writes plain memory. Integers are host order unless their type says
 * otherwise; all padding is named and zero.
 *
 * Published configuration (services, backends, vips) is doubled: generation G stands in half G & 1 and is
 * never edited. The next generation is written into the other half, which is free once no worker can still
 * read it, and becomes current by one store to ctl.generation.
 */
#pragma once

#include "limits.h"
#include "types.h"
#include "verdict.h"

#define BERTH_MAGIC UINT64_C(0x3130687472656221)
#define BERTH_ABI_VERSION 1

/* How large an image is. Fixed when the image is made. */
struct berth_geometry {
	uint32_t services;	  /* per half, slot 0 unused */
	uint32_t backends;	  /* per half, slot 0 unused, a multiple of BERTH_ADMITS_PER_LINE */
	uint32_t vips;		  /* per half, a power of two */
	uint32_t row_lines;	  /* lines of BERTH_ROWS_PER_LINE rows that all services share */
	uint32_t flow_buckets;	  /* a power of two */
	uint32_t session_buckets; /* a power of two */
	uint32_t workers;
	uint32_t pad;
};
BERTH_ASSERT_SIZE(struct berth_geometry, 32);

/* A network interface as an engine sees it. */
struct berth_port {
	uint32_t ifindex; /* kernel interface; 0 where there is none */
	uint8_t mac[6];
	uint16_t mtu; /* bytes of the largest network-layer packet */
	uint32_t pad;
};
BERTH_ASSERT_SIZE(struct berth_port, 16);

/* Image header. */
struct berth_ctl {
	/* Written once by berthd, before anything reads the image. */
	uint64_t magic;
	uint32_t abi;
	uint32_t pad0;
	struct berth_geometry geometry;
	uint8_t pad1[16];
	/* Written by berthd; read by workers once a burst. */
	uint64_t generation;
	uint8_t pad2[56];
	/* The clock of engines that have no better one (XDP), written by any worker: `now` is CLOCK_MONOTONIC
	 * in seconds and is refreshed when jiffies reach `refresh`. */
	uint64_t refresh;
	uint64_t now;
	uint8_t pad3[48];
	/* Written once by berthd: the key of every hash. */
	uint8_t secret[BERTH_SECRET_BYTES];
	/* Written by berthd before a generation that names them. */
	struct berth_port ports[BERTH_MAX_PORTS];
};
BERTH_ASSERT_SIZE(struct berth_ctl, 640);

enum berth_affinity {
	BERTH_AFFINITY_FLOW,
	BERTH_AFFINITY_CLIENT,
};

/* States of a table word; see flowtab.h. */
enum berth_state {
	BERTH_STATE_CLAIMED,	 /* being inserted */
	BERTH_STATE_HALF_OPEN,	 /* TCP: one side's first packet seen, unconfirmed */
	BERTH_STATE_ESTABLISHED, /* TCP */
	BERTH_STATE_CLOSING,	 /* TCP: FIN or RST seen */
	BERTH_STATE_ONE_WAY,	 /* UDP: one packet seen, unconfirmed */
	BERTH_STATE_REPEATED,	 /* UDP: more than one packet seen */
	BERTH_STATE_SESSION,	 /* a client's session */
	BERTH_STATE_COUNT = 8,
};

/* A service: one address, protocol and port. Slot = service number, stable while the service exists. */
struct berth_service {
	uint64_t id;			     /* identity across restarts; 0: the slot is free */
	uint32_t flow_key;		     /* what distinguishes this service's flows in the hash */
	uint32_t session_key;		     /* the same for its sessions */
	uint32_t row_line;		     /* first line of its selection table */
	uint32_t rows;			     /* 0: no backends */
	uint32_t timeout[BERTH_STATE_COUNT]; /* seconds of silence after which a word of that state expires */
	uint8_t affinity;		     /* enum berth_affinity */
	uint8_t prefix4;		     /* bits of a client's address that make it the same client */
	uint8_t prefix6;
	uint8_t pad[5];
};
BERTH_ASSERT_SIZE(struct berth_service, 64);

enum berth_mode {
	BERTH_MODE_L2,	 /* rewrite the link addresses; the backend answers the client directly */
	BERTH_MODE_IPIP, /* encapsulate in IPv4 or IPv6; likewise */
};

enum berth_backend_flag {
	BERTH_BACKEND_NEXT_HOP = 1, /* port, dst_mac and src_mac are known */
};

/* A server of one service. Slot = backend number, stable while the backend exists. */
struct berth_backend {
	uint64_t id;	  /* identity across restarts; 0: the slot is free */
	uint32_t service; /* the service number that it belongs to */
	uint8_t port;	  /* index into ctl.ports of the way to it */
	uint8_t mode;	  /* enum berth_mode */
	uint8_t flags;	  /* enum berth_backend_flag */
	uint8_t admin;	  /* control plane only: what an operator asked for, kept across restarts */
	uint8_t dst_mac[6];
	uint8_t src_mac[6];
	uint16_t mtu; /* of the way to it */
	uint8_t pad[2];
	union berth_addr outer_dst; /* its address, as the outer destination; its family is the outer family */
	union berth_addr outer_src;
};
BERTH_ASSERT_SIZE(struct berth_backend, 64);
_Static_assert(offsetof(struct berth_backend, src_mac) == offsetof(struct berth_backend, dst_mac) + 6,
	       "written into a frame as one");

/* A slot of the classifier: address, protocol, port -> service. Port 0 stands for any port; protocol 0 marks
 * an address that some service has. */
struct berth_vip {
	union berth_addr addr;
	struct berth_be16 port;
	uint8_t protocol;
	uint8_t used;
	uint32_t service; /* 0 in a marker */
	uint8_t pad[8];
};
BERTH_ASSERT_SIZE(struct berth_vip, 32);
_Static_assert(offsetof(struct berth_vip, used) == offsetof(struct berth_vip, port) + 3, "compared as one word");

/* A row of a selection table: backend numbers. */
struct berth_row {
	uint16_t first;
	uint16_t second; /* who takes over when the first may not; 0: nobody */
};

struct berth_row_line {
	struct berth_row row[BERTH_ROWS_PER_LINE];
};
BERTH_ASSERT_SIZE(struct berth_row_line, 64);

/* What a backend may get right now. One byte per backend, written by berthd alone, effective at once. */
enum berth_admit {
	BERTH_ADMIT_FLOWS = 1,	  /* packets of flows that it already has */
	BERTH_ADMIT_SESSIONS = 2, /* new flows of clients that it already has */
	BERTH_ADMIT_NEW = 4,	  /* new clients, and new flows where there is no client affinity */
	BERTH_ADMIT_ALL = 7,
};

struct berth_admit_line {
	uint8_t backend[BERTH_ADMITS_PER_LINE];
};
BERTH_ASSERT_SIZE(struct berth_admit_line, 64);

/* A bucket of the flow or session table; flowtab.h says what a word means. */
struct berth_bucket {
	uint64_t word[BERTH_BUCKET_WORDS];
};
BERTH_ASSERT_SIZE(struct berth_bucket, 64);

/* One worker's own counters; written by that worker alone. */
struct berth_worker {
	uint64_t seen;	  /* the generation it read last; with `running`, tells when an old one is unused */
	uint64_t running; /* 1 while the worker may hold references into a generation */
	uint64_t bursts;  /* receive calls that brought packets, and all of them (DPDK) */
	uint64_t polls;
	uint64_t pad0[4];
	uint64_t received;
	uint64_t verdict[32];
	uint64_t event[16];
	uint64_t pad1[7];
};
BERTH_ASSERT_SIZE(struct berth_worker, 512);
_Static_assert(BERTH_VERDICT_COUNT <= 32, "a worker has a counter for every verdict");
_Static_assert(BERTH_EVENT_COUNT <= 16, "a worker has a counter for every event");

/* Per worker: one for every service number (packets that got no backend), then one for every backend number
 * (packets steered to it). Written by that worker alone. */
struct berth_tally {
	uint64_t packets;
	uint64_t bytes; /* of whole frames as received */
	uint64_t flows; /* new flows */
	uint64_t pad;
};
BERTH_ASSERT_SIZE(struct berth_tally, 32);

/*
 * The sections of an image. X(name, element type, how many for geometry `g`). The XDP engine's maps bear
 * these names.
 */
#define BERTH_SECTIONS(X)                                                                                          \
	X(ctl, struct berth_ctl, 1)                                                                                \
	X(services, struct berth_service, 2 * (g)->services)                                                       \
	X(backends, struct berth_backend, 2 * (g)->backends)                                                       \
	X(vips, struct berth_vip, 2 * (g)->vips)                                                                   \
	X(rows, struct berth_row_line, (g)->row_lines)                                                             \
	X(admits, struct berth_admit_line, (g)->backends / BERTH_ADMITS_PER_LINE)                                  \
	X(flows, struct berth_bucket, (g)->flow_buckets)                                                           \
	X(sessions, struct berth_bucket, (g)->session_buckets)                                                     \
	X(workers, struct berth_worker, (g)->workers)                                                              \
	X(tallies, struct berth_tally, (g)->workers *((g)->services + (g)->backends))

struct berth_image;

/*
 * What a worker holds for one burst: the current generation's half of each doubled section, the time, its own
 * counters. The accessors berth_at_SECTION(view, index) give a pointer to an element, or NULL past the end;
 * image.h defines them for memory, bpf/maps.h for BPF maps.
 */
struct berth_view {
#ifndef __bpf__ /* where a stack is 512 bytes */
	const struct berth_image *image;
#endif
	uint32_t now; /* seconds, CLOCK_MONOTONIC */
	uint32_t worker;
	uint32_t services; /* per half, and where the current half begins */
	uint32_t first_service;
	uint32_t backends;
	uint32_t first_backend;
	uint32_t first_vip;
	uint32_t vip_mask;
	uint32_t flow_mask; /* buckets - 1 */
	uint32_t session_mask;
	uint32_t first_tally; /* of this worker */
	uint32_t row_lines;
};

BERTH_INLINE struct berth_view berth_view_make(const struct berth_image *image, const struct berth_geometry *g,
					       uint64_t generation, uint32_t worker, uint32_t now)
{
	uint32_t half = (uint32_t)generation & 1;
	(void)image;
	return (struct berth_view){
#ifndef __bpf__
		.image = image,
#endif
		.now = now,
		.worker = worker,
		.services = g->services,
		.first_service = half * g->services,
		.backends = g->backends,
		.first_backend = half * g->backends,
		.first_vip = half * g->vips,
		.vip_mask = g->vips - 1,
		.flow_mask = g->flow_buckets - 1,
		.session_mask = g->session_buckets - 1,
		.first_tally = worker * (g->services + g->backends),
		.row_lines = g->row_lines,
	};
}
