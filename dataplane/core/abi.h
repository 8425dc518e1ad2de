/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/*
 * The structs that the control plane and an engine share, and the image that holds them.
 *
 * An image is a set of sections; each is an array of one struct. In the XDP engine a section is a mmapable BPF
 * array; in the DPDK engine the sections are in shared files. The bytes are the same, and berthd maps either into
 * its memory. Integers are in host order unless their type says that they are not. All padding is named and zero.
 *
 * The stores (flows, sessions, clients) outlive an image: the next one, of another ABI version or geometry, uses
 * them as they are. What they hold has a version of its own (BERTH_WORD_FORMAT).
 *
 * Published configuration (services, backends, vips, globals, ctl.ports) exists twice: generation G is in half G &
 * 1 and is never edited. berthd writes the next generation into the other half once no worker can still read that
 * half, and makes it current by one store to ctl.generation.
 */
#pragma once

#include "drop_cell.h"
#include "load_cell.h"
#include "mode.h"
#include "timing_line.h"
#include "types.h"
#include "verdict.h"

#define BERTH_MAGIC UINT64_C(0x3130687472656221)
#define BERTH_ABI_VERSION 15

/* The size of an image; fixed when the image is created. */
struct berth_geometry {
	uint32_t services;	  /* per half; number 0 is unused */
	uint32_t backends;	  /* per half; number 0 is unused; a multiple of BERTH_ELIGIBILITY_PER_LINE */
	uint32_t vips;		  /* per half, a power of two */
	uint32_t row_lines;	  /* lines of BERTH_ROWS_PER_LINE rows, both halves together */
	uint32_t flow_buckets;	  /* a power of two */
	uint32_t session_buckets; /* a power of two */
	uint32_t workers;
	uint32_t pad;
};
BERTH_ASSERT_SIZE(struct berth_geometry, 32);

/* A network interface as an engine sees it. */
struct berth_port {
	uint8_t mac[6];
	uint16_t mtu;	  /* bytes, from the IP header on */
	uint32_t ifindex; /* kernel interface; 0: none */
	uint32_t pad;
};
BERTH_ASSERT_SIZE(struct berth_port, 16);

/* A link address at which this host receives frames of a port: the port's own, or that of a VLAN, macvlan, bridge
 * or bond on it. */
struct berth_link {
	uint8_t mac[6];
	uint8_t port;	 /* index into the ports of the generation (ctl.ports) */
	uint8_t is_used; /* 0: end of the list */
};
BERTH_ASSERT_SIZE(struct berth_link, 8);

/* Recognises damage of published configuration: interface/image_check.h. All zeros in older tables. */
struct berth_seal {
	uint64_t generation; /* that it belongs to */
	uint64_t digest;     /* of all that exists twice, and of the secret */
};

/* Image header. */
struct berth_ctl {
	/* Written once by berthd, before anything reads the image. */
	uint64_t magic;
	uint32_t abi;
	/* The first 16 bytes are the same in each version: berthd reads them in an image of another one. Written by
	 * who sweeps the tables: the time at which the last complete sweep began (clock.h); 0: not known. */
	uint32_t swept;
	/* Written once by berthd. */
	struct berth_geometry geometry;
	/* Written by berth-dpdk when it has the lock of the image file: its process id, by which berthd finds it.
	 */
	uint32_t engine_pid;
	uint8_t pad1[12];
	/* Written by berthd; read by workers once a burst. */
	uint64_t generation;
	/* Control plane and start of an engine only: the seal of generation G is number G & 1. */
	struct berth_seal seal[2];
	/* Written by berthd: the sizes of the former tables (former.h), log2 of the buckets, plus 1; 0: none. Set
	 * before anything reads the image; they become 0 once no live word is left. */
	uint8_t former_flow_bits;
	uint8_t former_session_bits;
	uint8_t pad2[22];
	/* The clock of the XDP engine, written by any worker: `now` is the time of the tables (clock.h); it is
	 * updated when jiffies reach `refresh`. */
	uint64_t refresh;
	uint64_t now;
	uint64_t now_ns; /* CLOCK_MONOTONIC in nanoseconds, of the same moment */
	uint8_t pad3[40];
	/* Written once by berthd: the key of every hash. */
	uint8_t secret[BERTH_SECRET_BYTES];
	/* Published configuration: the ports of generation G, and their link addresses, are in half G & 1. */
	struct berth_port ports[2][BERTH_MAX_PORTS];
	struct berth_link links[2][BERTH_MAX_LINKS];
};
BERTH_ASSERT_SIZE(struct berth_ctl, 1920);

enum berth_affinity {
	BERTH_AFFINITY_FLOW,
	BERTH_AFFINITY_CLIENT,
};

/* How a new client or flow is placed. */
enum berth_scheduler {
	BERTH_SCHEDULER_MAGLEV,	     /* the primary of its row */
	BERTH_SCHEDULER_ROUND_ROBIN, /* the primary of the next row */
	BERTH_SCHEDULER_LEAST_CONN,  /* the less loaded backend of its row */
};

/* berth_service.flags. */
enum berth_service_flag {
	BERTH_SERVICE_LIMITS = 1, /* of new flows: `limit` or `source_limit` */
	BERTH_SERVICE_FORMER_ROWS =
		2, /* behind the lines of its rows as many: `primary` is the backend before, or 0 */
};

/* What happens to established TCP flows whose backend is no longer eligible for flows. */
enum berth_down {
	BERTH_DOWN_REHASH, /* another backend is selected */
	BERTH_DOWN_RESET,  /* the client gets a RST */
};

/* What happens to a new flow whose client's session is on a backend that is over its share. */
enum berth_overload {
	BERTH_OVERLOAD_STICK, /* it goes to that backend */
	BERTH_OVERLOAD_SPILL, /* it goes to another backend; the session stays */
};

/* What happens to a session that failed over, once its former backend is eligible again. */
enum berth_failback {
	BERTH_FAILBACK_STAY,   /* it stays */
	BERTH_FAILBACK_RETURN, /* the client's next flow moves it back */
};

/* States of a table word; see word.h. A service has one protocol, so TCP and UDP share them. */
enum berth_state {
	BERTH_STATE_CLAIMED,	 /* an insert that is not settled yet */
	BERTH_STATE_UNCONFIRMED, /* one packet seen (TCP half-open, UDP unreplied); a session without other flows */
	BERTH_STATE_CONFIRMED,	 /* more packets seen (TCP established, UDP assured) */
	BERTH_STATE_PROVEN,	 /* the same, and answered or in use for longer */
	BERTH_STATE_CLOSING,	 /* TCP: FIN or RST of one side seen */
	BERTH_STATE_CLOSED,	 /* TCP, mode nat: FIN of both sides, or a RST of the backend seen */
	BERTH_STATE_SESSION,	 /* a client's session with a confirmed flow */
	BERTH_STATE_FRAGMENT,	 /* a datagram whose first fragment was seen */
	BERTH_STATE_COUNT,
};

/* A limit of new flows. */
struct berth_limit {
	uint32_t interval_ns; /* between two flows; 0: no limit */
	uint16_t burst_ms;    /* a flow may come earlier by so much */
	uint8_t prefix4;      /* of a source: length of its prefix; of a service: 0 */
	uint8_t prefix6;
};
BERTH_ASSERT_SIZE(struct berth_limit, 8);

/* A service: addresses, protocol and ports. The index is the service number, stable while the service exists. */
struct berth_service {
	uint64_t id;			     /* identity across restarts; 0: the number is free */
	uint32_t session_key;		     /* the service's part in the session hash */
	uint32_t row_line;		     /* first line of its selection table */
	uint32_t rows;			     /* 0: no backends */
	uint32_t timeout[BERTH_STATE_COUNT]; /* seconds without a packet after which a word of that state expires */
	uint8_t affinity;		     /* enum berth_affinity */
	uint8_t prefix4; /* prefix length of a client: addresses with equal prefixes are one client */
	uint8_t prefix6;
	uint8_t scheduler;	  /* enum berth_scheduler */
	uint8_t down;		  /* enum berth_down */
	uint8_t overload;	  /* enum berth_overload */
	uint8_t failback;	  /* enum berth_failback */
	uint8_t flags;		  /* enum berth_service_flag */
	uint16_t session_service; /* sessions hold backend numbers of this service: itself, or its group */
	struct berth_be16 port;	  /* mode nat: source port of the packets to clients; 0: that of the backend */
	union berth_addr address; /* mode nat: their source address */
	struct berth_limit limit; /* of all new flows */
	/* Control plane only: totals of removed backends, kept across restarts. */
	uint64_t retired_packets;
	uint64_t retired_bytes;
	uint64_t retired_flows;
	uint64_t rows_digest;		 /* of its selection table; 0: unknown, as in older tables */
	struct berth_limit source_limit; /* of the new flows of each source */
};
BERTH_ASSERT_SIZE(struct berth_service, 128);

enum berth_backend_flag {
	BERTH_BACKEND_NEXT_HOP = 1, /* port, dst_mac and src_mac are resolved */
	BERTH_BACKEND_TIMED = 2,    /* nat, TCP: some of its new flows are timed (timing.h) */
};

/* A backend of one service. The index is the backend number, stable while the backend exists. */
struct berth_backend {
	uint64_t id;	     /* identity across restarts; 0: the slot is free */
	uint16_t service;    /* its service number */
	uint8_t source_bits; /* low bits of outer_src that vary by flow, up to BERTH_MAX_SOURCE_BITS */
	uint8_t forced;	     /* control plane only: health forced by an operator, kept across restarts */
	uint8_t port;	     /* of the next hop: index into the ports of the generation (ctl.ports) */
	uint8_t mode;	     /* enum berth_mode */
	uint8_t flags;	     /* enum berth_backend_flag */
	uint8_t admin;	     /* control plane only: administrative state, kept across restarts */
	uint8_t dst_mac[6];
	uint8_t src_mac[6];
	uint16_t mtu;		    /* path MTU to it: bytes, from the (outer) IP header on */
	struct berth_be16 dport;    /* gue: the outer UDP port; nat: the port it listens on, 0: the packet's */
	union berth_addr address;   /* the outer destination and family; nat: the new destination */
	union berth_addr outer_src; /* ipip, gue: the outer source; its source_bits are 0 */
	uint16_t sibling;	    /* the same server in the next service of the group, a ring; 0: no group */
	uint16_t backup;	    /* backend that its sessions fail over to; 0: by selection */
	uint32_t load_unit;	    /* least-conn: what one flow adds to its load; else 0 */
	uint32_t evict_at; /* control plane only: second in which its drain ends, kept across restarts; 0: never */
	uint8_t health;	   /* control plane only: by its checks, whatever overrides it; 0: unknown */
	uint8_t pad1[51];
};
BERTH_ASSERT_SIZE(struct berth_backend, 128);
_Static_assert(offsetof(struct berth_backend, src_mac) == offsetof(struct berth_backend, dst_mac) + 6,
	       "copied as one");

enum berth_vip_kind {
	BERTH_VIP_FREE,
	BERTH_VIP_EXACT,   /* one address and one port */
	BERTH_VIP_RANGE,   /* an address or a prefix, and ports `first` to `last` */
	BERTH_VIP_ADDRESS, /* an address or a prefix of any service; protocol and port 0 */
	/* An address or a prefix, for one protocol: the service for portless fragments. It is the only service
	 * there, with client affinity, or one of a group with the same servers. Service 0: none; hides the slot of
	 * a shorter prefix. */
	BERTH_VIP_PORTLESS,
	BERTH_VIP_RETURN,	  /* nat: a backend's address and port */
	BERTH_VIP_RETURN_RANGE,	  /* nat: a backend's address, and ports `first` to `last` */
	BERTH_VIP_RETURN_ADDRESS, /* nat: a backend's address; protocol and port 0 */
	BERTH_VIP_OWN,		  /* nat: an address of berth's own host; protocol and port 0 */
};

/* A slot of the classifier: address, protocol, port -> service. classify.h has the order of the lookups. Address
 * bits behind the prefix are 0. */
struct berth_vip {
	union berth_addr addr;
	struct berth_be16 port; /* EXACT, RETURN: the port; a prefix: 128 - its length; else 0 */
	uint8_t protocol;
	uint8_t kind;	   /* enum berth_vip_kind */
	uint32_t service;  /* service number; 0: none */
	uint32_t flow_key; /* the service's part in the flow hash */
	uint16_t first;	   /* ranges: first and last port, host order */
	uint16_t last;
};
BERTH_ASSERT_SIZE(struct berth_vip, 32);
_Static_assert(offsetof(struct berth_vip, kind) == offsetof(struct berth_vip, port) + 3, "compared as one word");

enum berth_route_kind {
	BERTH_ROUTE_NONE,   /* end of the list */
	BERTH_ROUTE_KERNEL, /* the kernel routes: clients on the link, unresolved next hops */
	BERTH_ROUTE_HOP,    /* port, link addresses and MTU are set */
};

/* A route to clients, for return traffic of mode nat. */
struct berth_route {
	union berth_addr prefix; /* bits behind `bits` are 0 */
	uint8_t bits;		 /* prefix length of 128; IPv4: 96 + its own; 0 matches IPv4 too */
	uint8_t kind;		 /* enum berth_route_kind */
	uint8_t port;		 /* index into the ports of the generation (ctl.ports) */
	uint8_t pad0;
	uint8_t dst_mac[6];
	uint8_t src_mac[6];
	uint16_t mtu;
	uint8_t pad1[14];
};
BERTH_ASSERT_SIZE(struct berth_route, 48);
_Static_assert(BERTH_BACKEND_FILTER_BITS == 1 << 16, "a bit's number has 16 bits");
_Static_assert(offsetof(struct berth_route, src_mac) == offsetof(struct berth_route, dst_mac) + 6, "copied as one");

/* The part of a generation that belongs to no single service. */
struct berth_globals {
	/* Prefix lengths of RANGE, ADDRESS and PORTLESS slots: longest first, each once, 0 after the last; of 128,
	 * IPv4: 96 + its own. Full addresses (128) are not listed; they are always looked up. */
	uint8_t prefix_bits[BERTH_MAX_PREFIX_LENGTHS];
	uint8_t has_returns; /* there are RETURN slots */
	uint8_t pad[7];
	/* Smallest timeout of all services, by state: no younger word has expired. 0 is always correct, and slow.
	 */
	uint32_t least_timeout[BERTH_STATE_COUNT];
	/* The addresses of all backends, a bit for each hash. */
	uint64_t backend_filter[BERTH_BACKEND_FILTER_BITS / 64];
	struct berth_route route[BERTH_MAX_ROUTES]; /* longest prefix first; no match: the kernel routes */
};
BERTH_ASSERT_SIZE(struct berth_globals, 48 + BERTH_BACKEND_FILTER_BITS / 8 + 48 * BERTH_MAX_ROUTES);

/* The bit of an address in berth_globals.backend_filter. */
BERTH_INLINE uint32_t berth_backend_filter_bit(const union berth_addr *addr)
{
	const uint64_t mixed = (addr->half[0] ^ addr->half[1] >> 32) * UINT64_C(0x9e3779b97f4a7c15);
	return (uint32_t)((mixed + addr->half[1]) * UINT64_C(0xd6e8feb86659fd93) >> 48);
}

/* A row of a selection table: backend numbers; 0: none. */
struct berth_row {
	uint16_t primary;
	uint16_t alternate; /* for new flows that the primary backend is not eligible for */
};

struct berth_row_line {
	struct berth_row row[BERTH_ROWS_PER_LINE];
};
BERTH_ASSERT_SIZE(struct berth_row_line, 64);

/* What a backend is eligible for. One byte per backend, written by berthd alone, effective at once. */
enum berth_eligible {
	BERTH_ELIGIBLE_FLOWS = 1,    /* packets of its existing flows */
	BERTH_ELIGIBLE_SESSIONS = 2, /* new flows of clients with a session on it */
	BERTH_ELIGIBLE_NEW = 4,	     /* new clients; without client affinity, new flows */
	BERTH_ELIGIBLE_ALL = 7,
	BERTH_OVER_SHARE = 8, /* over its share of flows: new ones only if no other backend accepts them */
	BERTH_AT_LIMIT = 16,  /* at its limit of flows: no new ones */
};

struct berth_eligibility_line {
	uint8_t backend[BERTH_ELIGIBILITY_PER_LINE];
};
BERTH_ASSERT_SIZE(struct berth_eligibility_line, 64);

/* The reason why a session is on its backend. */
enum berth_reason {
	BERTH_REASON_NONE,
	BERTH_REASON_SELECTED,
	BERTH_REASON_SPILLED,	  /* the row's primary was over its share */
	BERTH_REASON_FAILED_OVER, /* its backend was not eligible */
	BERTH_REASON_RETURNED,	  /* back to the backend that it failed over from */
	BERTH_REASON_MOVED,	  /* by an operator */
	BERTH_REASON_PINNED,	  /* by an operator, until it is cleared */
};

/* The client of a session word. For listings, and for failback, pins and failed attempts on a former backend.
 * Written after the word, by its writer. */
struct berth_client {
	union berth_addr addr; /* its prefix */
	uint32_t since;	       /* second in which it was placed on this backend */
	uint32_t flows;	       /* new flows since */
	uint32_t tag;	       /* of the session word; another tag: the record is stale */
	uint16_t from;	       /* FAILED_OVER, RETURNED, MOVED: the backend before; PINNED: the pinned one */
	uint8_t reason;	       /* enum berth_reason */
	uint8_t pad;
};
BERTH_ASSERT_SIZE(struct berth_client, 32);

/* A bucket of the flow or session table: one memory line. word.h has the layout of a word. */
struct berth_bucket {
	uint64_t word[BERTH_BUCKET_WORDS];
};
BERTH_ASSERT_SIZE(struct berth_bucket, 64);

#define BERTH_WORKER_VERDICTS 64 /* a power of two */

/* One worker's own counters; written by that worker alone. */
struct berth_worker {
	uint64_t seen;	  /* the generation that it read last */
	uint64_t running; /* 1 while the worker may read a generation; 0: quiescent */
	uint64_t bursts;  /* DPDK: receive calls that returned packets, and all receive calls */
	uint64_t polls;
	uint64_t busy_cycles; /* DPDK: of the turns that received packets */
	uint64_t polled_ns;   /* DPDK: CLOCK_MONOTONIC, when its last turn began */
	uint64_t pad0[2];
	uint64_t received;
	uint64_t verdict[BERTH_WORKER_VERDICTS];
	uint64_t event[16];
	uint64_t pad1[7];
};
BERTH_ASSERT_SIZE(struct berth_worker, 768);
_Static_assert(BERTH_VERDICT_COUNT <= BERTH_WORKER_VERDICTS, "a worker has a counter for every verdict");
_Static_assert(BERTH_EVENT_COUNT <= 16, "a worker has a counter for every event");

/* The kinds of ICMP errors that berth sends. */
enum berth_answer {
	BERTH_ANSWER_TOO_BIG,
	BERTH_ANSWER_TIME_EXCEEDED,
	BERTH_ANSWER_COUNT,
};

/* ICMP errors that a worker has sent, written by that worker alone. A slot stands for the clients with one hash:
 * its upper 24 bits are the second, its lower 8 bits the errors sent in it. */
struct berth_budgets {
	uint32_t slot[BERTH_ANSWER_COUNT][BERTH_ANSWER_SLOTS];
};
BERTH_ASSERT_SIZE(struct berth_budgets, 4096);
_Static_assert(BERTH_MAX_ANSWERS <= UINT8_MAX, "a slot has 8 bits for it");

/* Totals of a worker: one per service number (packets without a backend), then one per backend number (packets
 * steered to it). Written by that worker alone. */
struct berth_tally {
	uint64_t packets;
	uint64_t bytes; /* of whole frames as received */
	union {
		uint64_t flows;	  /* of a backend: new flows */
		uint64_t limited; /* of a service: packets over a limit of new flows */
	};
	uint64_t turn; /* of a service: its next row for round-robin */
};
BERTH_ASSERT_SIZE(struct berth_tally, 32);

/* The sections of an image. X(name, element type, number of elements for geometry `g`). The maps of the XDP engine
 * have these names. */
#define BERTH_SECTIONS(X) BERTH_OWN_SECTIONS(X) BERTH_STORE_SECTIONS(X)

/* Those that begin anew with each image. */
#define BERTH_OWN_SECTIONS(X)                                                                                      \
	X(ctl, struct berth_ctl, 1)                                                                                \
	X(services, struct berth_service, 2 * (g)->services)                                                       \
	X(backends, struct berth_backend, 2 * (g)->backends)                                                       \
	X(vips, struct berth_vip, 2 * (g)->vips)                                                                   \
	X(globals, struct berth_globals, 2)                                                                        \
	X(rows, struct berth_row_line, (g)->row_lines)                                                             \
	X(eligibility, struct berth_eligibility_line, (g)->backends / BERTH_ELIGIBILITY_PER_LINE)                  \
	X(loads, struct berth_load_line, (g)->backends / BERTH_LOADS_PER_LINE)                                     \
	X(timings, struct berth_timing_line, (g)->backends)                                                        \
	X(workers, struct berth_worker, (g)->workers)                                                              \
	X(budgets, struct berth_budgets, (g)->workers)                                                             \
	X(drops, struct berth_drops, (g)->workers)                                                                 \
	X(tallies, struct berth_tally, (g)->workers *((g)->services + (g)->backends))                              \
	X(service_limits, uint64_t, (g)->services)                                                                 \
	X(source_limits, uint64_t, BERTH_LIMIT_ROWS *BERTH_LIMIT_COLUMNS)

/* Those that outlive it. */
#define BERTH_STORE_SECTIONS(X)                                                                                    \
	X(flows, struct berth_bucket, (g)->flow_buckets)                                                           \
	X(sessions, struct berth_bucket, (g)->session_buckets)                                                     \
	X(clients, struct berth_client, (g)->session_buckets *BERTH_BUCKET_WORDS)

/* Stores of another size, as long as they are read (former.h). In XDP each has one element if there is none.
 * X(name, element type, store). */
#define BERTH_FORMER_SECTIONS(X)                                                                                   \
	X(former_flows, struct berth_bucket, flows)                                                                \
	X(former_sessions, struct berth_bucket, sessions)                                                          \
	X(former_clients, struct berth_client, clients)

struct berth_image;

/*
 * What a worker uses for one burst: the current half of each doubled section, the time, its own counters. The
 * accessors berth_at_SECTION(view, index) give a pointer to an element, or NULL behind the last; image.h defines
 * them for memory, bpf/maps.h for BPF maps.
 */
struct berth_view {
#ifndef __bpf__ /* BPF needs no pointer, and has 512 bytes of stack */
	const struct berth_image *image;
	uint64_t now_ns; /* CLOCK_MONOTONIC, at the begin of the burst; BPF has a late one in ctl */
#endif
	uint64_t link;		  /* berth_link_key of the receiving port's address */
	uint16_t port;		  /* the receiving port: index into ctl.ports; BERTH_MAX_PORTS: not one of them */
	uint8_t former_flow_bits; /* as in ctl */
	uint8_t former_session_bits;
	uint32_t now; /* time of the tables (clock.h), seconds */
	uint32_t worker;
	uint32_t services; /* per half; first_service: start of the current half */
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
		.now_ns = now * UINT64_C(1000000000),
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

/* Sets the port where the packets of a view arrive, by its index; BERTH_MAX_PORTS: not one of ctl.ports. */
BERTH_INLINE void berth_view_set_port(struct berth_view *view, const struct berth_ctl *ctl, uint32_t port)
{
	view->port = (uint16_t)port;
	view->link = port < BERTH_MAX_PORTS ? berth_link_key(ctl->ports[view->global & 1][port].mac)
					    : BERTH_NO_LINK;
}
