/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/* All limits of the packet path. The control plane checks configurations against them. */
#pragma once

enum {
	BERTH_MAX_WORKERS = 1023,    /* DPDK workers, or possible CPUs for XDP */
	BERTH_CONTROL_WORKER = 1023, /* berthd, when it inserts entries; fits the 10 bits of a claim */
	BERTH_MAX_PORTS = 16,	     /* network interfaces of one engine */
	BERTH_MAX_LINKS = 64,	     /* own link addresses of all ports */
	BERTH_MAX_SERVICES = 65535,  /* service numbers; 0 is none */
	BERTH_MAX_BACKENDS = 65535,  /* backend numbers, one per service and backend; 0 is none */
	BERTH_MAX_WEIGHT = 1000,
	BERTH_MAX_ROWS = 655373,    /* rows of one service's selection table, a prime */
	BERTH_DEFAULT_ROWS = 65537, /* as in the Maglev paper: at 1,000 backends shares differ by under 2% */
	BERTH_VIP_PROBES = 8,	    /* slots of the classifier that a lookup of one key reads at most */
	BERTH_SELECT_TRIES = 32,    /* rows that a selection tries until one has an eligible backend */
	BERTH_MAX_GROUP = 16,	    /* services of a group */
	BERTH_LOADS_PER_LINE = 8,
	BERTH_TIMING_SYNS = 7, /* of a backend, whose answers are awaited: with totals one 64-byte line */
	BERTH_TIMING_SUM_BITS = 40,
	BERTH_TIMING_US = 1000000,  /* a client repeats its SYN after one second (RFC 6298 section 2) */
	BERTH_BUCKET_WORDS = 8,	    /* one 64-byte line */
	BERTH_MAX_TIMEOUT = 86400,  /* seconds; a word's age counts to 35 hours, which leaves 11 for a sweep */
	BERTH_SWEEP_AFTER_S = 3600, /* an engine sweeps when nobody has for so long; see sweep.h */
	BERTH_SWEEP_BUCKETS = 64,   /* of one step of it, every 10 ms: 3 hours for the largest tables */
	BERTH_RECENT_S = 5,   /* a flow with a packet in so many seconds is never evicted; see docs/affinity.md */
	BERTH_PROOF_BITS = 3, /* a flow is proven by traffic in one second of 2^3 */
	BERTH_HOME_WORDS = 7, /* used words up to which a home bucket takes new entries; see flowtab.h */
	BERTH_SETTLE_ROUNDS = 4,      /* rounds to settle concurrent inserts of one flow before giving up */
	BERTH_MAX_IPV6_HEADERS = 8,   /* extension headers parsed */
	BERTH_MAX_PREFIX_LENGTHS = 8, /* different lengths of service prefixes, both families together */
	BERTH_BACKEND_FILTER_BITS = 65536,
	BERTH_MAX_ROUTES = 16,	    /* routes to clients, for return traffic of mode nat */
	BERTH_MAX_SOURCE_BITS = 16, /* bits of an outer source that vary by flow */
	BERTH_ANSWER_SLOTS = 512,   /* budgets of ICMP errors of a worker and kind, a power of two; see answer.h */
	BERTH_MAX_ANSWERS = 20,	    /* ICMP errors of a budget in a second */
	BERTH_DROP_CELLS =
		128, /* of a worker: services and reasons with samples of drops, a power of two; drops.h */
	BERTH_DROP_SAMPLES = 4, /* packets of a cell, a power of two */
	BERTH_LIMIT_ROWS = 4,	/* sketch of the sources of new flows: limit.h */
	BERTH_LIMIT_COLUMNS = 65536,
	BERTH_MAX_BURST_MS = 60000,
	BERTH_MAX_NEW_FLOWS = 1000000, /* limit per second: an interval has whole nanoseconds */
	BERTH_MAX_L4_OFFSET = 1024,    /* offset of a transport header in the frame, at most */
	BERTH_SECRET_BYTES = 192,      /* XXH3's own secret size */
	BERTH_ROWS_PER_LINE = 16,
	BERTH_ELIGIBILITY_PER_LINE = 64,
};
