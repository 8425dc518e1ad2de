/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/*
 * Every struct that the control plane and an engine share, and the image that holds them.
 *
 * An image is a set of sections, each an array of one struct. The XDP engine keeps a section as one mmapable
 * BPF array, the DPDK engine keeps them one behind the other in a shared file; the bytes are the same, and
 * berthd maps either and reads and writes plain memory. Integers are host order unless their type says
 * otherwise; all padding is named and zero.
 *
 * Published configuration (services, backends, vips, globals) is doubled: generation G stands in half G & 1 and is
 * never edited. The next generation is written into the other half, which is free once no worker can still
 * read it, and becomes current by one store to ctl.generation.
 */
#pragma once

#include "limits.h"
#include "mode.h"
#include "types.h"
#include "verdict.h"

#define BERTH_MAGIC UINT64_C(0x3130687472656221)
#define BERTH_ABI_VERSION 3

/* How large an image is. Fixed when the image is made. */
struct berth_geometry {
	uint32_t services;	  /* per half, slot 0 unused */
	uint32_t backends;	  /* per half, slot 0 unused, a multiple of BERTH_ELIGIBILITY_PER_LINE */
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

/* How a new client or flow is placed. */
enum berth_scheduler {
	BERTH_SCHEDULER_MAGLEV,	     /* its row's first choice */
	BERTH_SCHEDULER_ROUND_ROBIN, /* the next row's first choice */
	BERTH_SCHEDULER_LEAST_CONN,  /* the less loaded of its row's two choices */
};

/* What becomes of established TCP flows to a backend that takes no packets any more. */
enum berth_down {
	BERTH_DOWN_REHASH, /* they go to another backend */
	BERTH_DOWN_RESET,  /* their clients get a RST */
};

/* What becomes of a new flow whose client's session is on a backend with more than its share. */
enum berth_overload {
	BERTH_OVERLOAD_STICK,
	BERTH_OVERLOAD_SPILL, /* that flow goes elsewhere; the session stays */
};

/* What becomes of a session that failed over when its backend is back. */
enum berth_failback {
	BERTH_FAILBACK_STAY,
	BERTH_FAILBACK_RETURN, /* the client's next flow takes it back */
};

/* States of a table word; see word.h. */
enum berth_state {
	BERTH_STATE_CLAIMED,	 /* being inserted */
	BERTH_STATE_HALF_OPEN,	 /* TCP: one side's first packet seen, unconfirmed */
	BERTH_STATE_ESTABLISHED, /* TCP */
	BERTH_STATE_CLOSING,	 /* TCP: FIN or RST seen */
	BERTH_STATE_UNREPLIED,	 /* UDP: one packet seen, unconfirmed */
	BERTH_STATE_ASSURED,	 /* UDP: more than one packet seen */
	BERTH_STATE_SESSION,	 /* a client's session */
	BERTH_STATE_FRAGMENT,	 /* a datagram's first fragment seen: where the others go */
	BERTH_STATE_COUNT,
};

/* A service: addresses, protocol and ports. Slot = service number, stable while the service exists. */
struct berth_service {
	uint64_t id;			     /* identity across restarts; 0: the slot is free */
	uint32_t session_key;		     /* what distinguishes this service's sessions in the hash */
	uint32_t row_line;		     /* first line of its selection table */
	uint32_t rows;			     /* 0: no backends */
	uint32_t timeout[BERTH_STATE_COUNT]; /* seconds of silence after which a word of that state expires */
	uint8_t affinity;		     /* enum berth_affinity */
	uint8_t prefix4;		     /* bits of a client's address that make it the same client */
	uint8_t prefix6;
	uint8_t scheduler; /* enum berth_scheduler */
	uint8_t down;	   /* enum berth_down */
	uint8_t overload;  /* enum berth_overload */
	uint8_t failback;  /* enum berth_failback */
	uint8_t pad0;
	uint16_t session_service; /* whose backends' numbers its sessions hold: its own, or its group's first one's
				   */
	uint8_t pad2[2];
	/* Mode nat: whom its backends' answers come from. */
	union berth_addr address;
	struct berth_be16 port; /* 0: the port that the backend sent from */
	uint8_t pad1[6];
	/* Control plane only: what backends carried that are gone, kept across restarts. Zero in tables from before
	 * these members were, which is right, so the version is the same. */
	uint64_t retired_packets;
	uint64_t retired_bytes;
	uint64_t retired_flows;
	uint8_t pad3[16];
};
BERTH_ASSERT_SIZE(struct berth_service, 128);

enum berth_backend_flag {
	BERTH_BACKEND_NEXT_HOP = 1, /* port, dst_mac and src_mac are known */
};

/* A server of one service. Slot = backend number, stable while the backend exists. */
struct berth_backend {
	uint64_t id;	     /* identity across restarts; 0: the slot is free */
	uint16_t service;    /* the service number that it belongs to */
	uint8_t source_bits; /* low bits of outer_src that vary by flow, at most BERTH_MAX_SOURCE_BITS */
	uint8_t forced;	     /* control plane only: its health by an operator's word, kept across restarts */
	uint8_t port;	     /* index into ctl.ports of the way to it */
	uint8_t mode;	     /* enum berth_mode */
	uint8_t flags;	     /* enum berth_backend_flag */
	uint8_t admin;	     /* control plane only: what an operator asked for, kept across restarts */
	uint8_t dst_mac[6];
	uint8_t src_mac[6];
	uint16_t mtu;		 /* of the way to it: bytes of the largest network-layer packet */
	struct berth_be16 dport; /* gue: the outer UDP port; nat: the port it listens on, 0: the one asked for */
	union berth_addr
		address; /* its own: the outer destination, whose family is the outer family; nat: the new one */
	union berth_addr outer_src; /* ipip, gue; its source_bits are 0 */
	uint16_t sibling;	    /* the same server in its group's next service; round in a ring; 0: no group */
	uint16_t backup;	    /* where its sessions go when it is gone; 0: wherever selection says */
	uint32_t load_unit;	    /* least-conn: what a flow adds to its load */
	uint32_t evict_at; /* control plane only: second in which its drain ends, kept across restarts; 0: never */
	uint8_t pad1[52];
};
BERTH_ASSERT_SIZE(struct berth_backend, 128);
_Static_assert(offsetof(struct berth_backend, src_mac) == offsetof(struct berth_backend, dst_mac) + 6,
	       "written into a frame as one");

enum berth_vip_kind {
	BERTH_VIP_FREE,
	BERTH_VIP_EXACT,   /* one address and one port */
	BERTH_VIP_RANGE,   /* an address or a prefix, and ports `first` to `last` */
	BERTH_VIP_ADDRESS, /* an address or a prefix that some service has; protocol and port 0 */
	/* The same for one protocol: whose a packet without ports is. Its one service, if that has client affinity,
	 * or one of a group's that list the same servers. With service 0 it says that there is none, and hides a
	 * shorter prefix's slot. */
	BERTH_VIP_PORTLESS,
	BERTH_VIP_RETURN,	  /* nat: a backend's address and port */
	BERTH_VIP_RETURN_RANGE,	  /* nat: a backend's address, and ports `first` to `last` */
	BERTH_VIP_RETURN_ADDRESS, /* nat: a backend's address; protocol and port 0 */
	BERTH_VIP_OWN,		  /* nat: an address of berth's own host; protocol and port 0 */
};

/* A slot of the classifier: address, protocol, port -> service; classify.h says which kinds are looked for when.
 * Bits of an address past its prefix are 0. */
struct berth_vip {
	union berth_addr addr;
	struct berth_be16 port; /* in EXACT and RETURN; of a prefix, 128 less its bits; else 0 */
	uint8_t protocol;
	uint8_t kind;	   /* enum berth_vip_kind */
	uint32_t service;  /* number; 0: of none in particular */
	uint32_t flow_key; /* what distinguishes the service's flows in the hash */
	uint16_t first;	   /* ranges: the first and the last port, host order */
	uint16_t last;
};
BERTH_ASSERT_SIZE(struct berth_vip, 32);
_Static_assert(offsetof(struct berth_vip, kind) == offsetof(struct berth_vip, port) + 3, "compared as one word");

enum berth_route_kind {
	BERTH_ROUTE_NONE,   /* the list ends here */
	BERTH_ROUTE_KERNEL, /* the kernel knows the way: clients on the link, link addresses not known yet */
	BERTH_ROUTE_HOP,    /* all others are known */
};

/* The way to some clients, for what mode nat sends back. */
struct berth_route {
	union berth_addr prefix; /* bits past `bits` are 0 */
	uint8_t bits;		 /* of 128; an IPv4 prefix has 96 more than its own; with 0 bits IPv4 is met, too */
	uint8_t kind;		 /* enum berth_route_kind */
	uint8_t port;		 /* index into ctl.ports */
	uint8_t pad0;
	uint8_t dst_mac[6];
	uint8_t src_mac[6];
	uint16_t mtu;
	uint8_t pad1[14];
};
BERTH_ASSERT_SIZE(struct berth_route, 48);
_Static_assert(offsetof(struct berth_route, src_mac) == offsetof(struct berth_route, dst_mac) + 6,
	       "written into a frame as one");

/* What a generation says that is no one service's. */
struct berth_globals {
	/* Lengths of the prefixes that RANGE, ADDRESS and SOLE slots have, longest first, each once, 0 after the
	 * last; of 128, an IPv4 prefix 96 more than its own. Whole addresses (128) are not listed and looked for
	 * always. */
	uint8_t prefix_bits[BERTH_MAX_PREFIX_LENGTHS];
	uint8_t has_returns; /* whether there are RETURN slots */
	uint8_t pad[7];
	/* The least of all services', by state: no younger word has expired. 0 is always right, and slow. */
	uint32_t least_timeout[BERTH_STATE_COUNT];
	struct berth_route route[BERTH_MAX_ROUTES]; /* longest prefix first; no match: the kernel's */
};
BERTH_ASSERT_SIZE(struct berth_globals, 48 + 48 * BERTH_MAX_ROUTES);

/* A row of a selection table: backend numbers; 0: none. */
struct berth_row {
	uint16_t primary;
	uint16_t alternate; /* for new flows that the primary backend is not eligible for */
};

struct berth_row_line {
	struct berth_row row[BERTH_ROWS_PER_LINE];
};
BERTH_ASSERT_SIZE(struct berth_row_line, 64);

/* What a backend may get right now. One byte per backend, written by berthd alone, effective at once. */
enum berth_eligible {
	BERTH_ELIGIBLE_FLOWS = 1,    /* packets of flows that it already has */
	BERTH_ELIGIBLE_SESSIONS = 2, /* new flows of clients that it already has */
	BERTH_ELIGIBLE_NEW = 4,	     /* new clients, and new flows where there is no client affinity */
	BERTH_ELIGIBLE_ALL = 7,
	BERTH_OVER_SHARE = 8, /* it has more than its share of flows: new ones only if nobody else takes them */
	BERTH_AT_LIMIT = 16,  /* it has as many flows as it may have: no new ones at all */
};

struct berth_eligibility_line {
	uint8_t backend[BERTH_ELIGIBILITY_PER_LINE];
};
BERTH_ASSERT_SIZE(struct berth_eligibility_line, 64);

/* Least-conn: live flows of each backend times its load_unit. Written by berthd when it has counted them; workers
 * add their new ones. */
struct berth_load_line {
	uint32_t backend[BERTH_LOADS_PER_LINE];
};
BERTH_ASSERT_SIZE(struct berth_load_line, 64);

/* Why a session is on its backend. */
enum berth_reason {
	BERTH_REASON_NONE,
	BERTH_REASON_SELECTED,
	BERTH_REASON_SPILLED,	  /* selection's first choice had more than its share */
	BERTH_REASON_FAILED_OVER, /* from a backend that was gone */
	BERTH_REASON_RETURNED,	  /* to the backend from which it had failed over */
	BERTH_REASON_MOVED,	  /* by an operator */
	BERTH_REASON_PINNED,	  /* by an operator, until it is cleared */
};

/* Beside each word of the session table: who that is. For people, but what depends on where a session came from or
 * when: failback, pins, attempts to a backend that it left. Written by whoever writes the word, after it. */
struct berth_client {
	union berth_addr addr; /* its prefix */
	uint32_t since;	       /* second in which it came to this backend */
	uint32_t flows;	       /* begun since */
	uint32_t tag;	       /* of the word that this is about */
	uint16_t from;	/* FAILED_OVER, RETURNED, MOVED: the backend before; PINNED: the one it is pinned to */
	uint8_t reason; /* enum berth_reason */
	uint8_t pad;
};
BERTH_ASSERT_SIZE(struct berth_client, 32);

/* A bucket of the flow or session table; word.h says what a word means. */
struct berth_bucket {
	uint64_t word[BERTH_BUCKET_WORDS];
};
BERTH_ASSERT_SIZE(struct berth_bucket, 64);

/* A power of two. */
#define BERTH_WORKER_VERDICTS 64

/* One worker's own counters; written by that worker alone. */
struct berth_worker {
	uint64_t seen;	  /* the generation it read last; with `running`, tells when an old one is unused */
	uint64_t running; /* 1 while the worker may hold references into a generation */
	uint64_t bursts;  /* receive calls that brought packets, and all of them (DPDK) */
	uint64_t polls;
	uint64_t answers_at; /* the second in which it sent `answers` ICMP errors */
	uint64_t answers;
	uint64_t pad0[2];
	uint64_t received;
	uint64_t verdict[BERTH_WORKER_VERDICTS];
	uint64_t event[16];
	uint64_t pad1[7];
};
BERTH_ASSERT_SIZE(struct berth_worker, 768);
_Static_assert(BERTH_VERDICT_COUNT <= BERTH_WORKER_VERDICTS, "a worker has a counter for every verdict");
_Static_assert(BERTH_EVENT_COUNT <= 16, "a worker has a counter for every event");

/* Per worker: one for every service number (packets that got no backend), then one for every backend number
 * (packets steered to it). Written by that worker alone. */
struct berth_tally {
	uint64_t packets;
	uint64_t bytes; /* of whole frames as received */
	uint64_t flows; /* new flows */
	uint64_t turn;	/* a service's: the next row for round-robin */
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
	X(globals, struct berth_globals, 2)                                                                        \
	X(rows, struct berth_row_line, (g)->row_lines)                                                             \
	X(eligibility, struct berth_eligibility_line, (g)->backends / BERTH_ELIGIBILITY_PER_LINE)                  \
	X(loads, struct berth_load_line, (g)->backends / BERTH_LOADS_PER_LINE)                                     \
	X(flows, struct berth_bucket, (g)->flow_buckets)                                                           \
	X(sessions, struct berth_bucket, (g)->session_buckets)                                                     \
	X(clients, struct berth_client, (g)->session_buckets *BERTH_BUCKET_WORDS)                                  \
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
	uint32_t global;
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
		.global = half,
		.flow_mask = g->flow_buckets - 1,
		.session_mask = g->session_buckets - 1,
		.first_tally = worker * (g->services + g->backends),
		.row_lines = g->row_lines,
	};
}
