/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/* Every bound of the packet path, in one place. Controllers check configurations against these. */
#pragma once

enum {
	BERTH_MAX_WORKERS = 255,    /* DPDK workers, or possible CPUs for XDP */
	BERTH_CONTROL_WORKER = 255, /* berthd, where it writes into the tables as workers do; a claim has 8 bits */
	BERTH_MAX_PORTS = 16,	    /* network interfaces of one engine */
	BERTH_MAX_SERVICES = 65535, /* service numbers; 0 is none */
	BERTH_MAX_BACKENDS = 65535, /* backend numbers, one per service and backend; 0 is none */
	BERTH_MAX_WEIGHT = 1000,
	BERTH_MAX_ROWS = 655373,    /* rows of one service's selection table, a prime */
	BERTH_DEFAULT_ROWS = 65537, /* Maglev's own figure: at 1,000 backends the shares differ by under 2% */
	BERTH_VIP_PROBES = 8,	    /* slots of the classifier that a search for one key may read */
	BERTH_SELECT_TRIES = 32,    /* rows asked while nobody in them takes a new flow */
	BERTH_MAX_GROUP = 16,	    /* services of a group */
	BERTH_LOADS_PER_LINE = 16,
	BERTH_BUCKET_WORDS = 8,	      /* one 64-byte line */
	BERTH_MAX_TIMEOUT = 86400,    /* seconds; a word tells up to 35 hours, so a walk has ten to come by */
	BERTH_HOME_WORDS = 7,	      /* a bucket with fewer used takes its own new entries; flowtab.h says why */
	BERTH_SETTLE_ROUNDS = 4,      /* how often concurrent inserts of one flow are sorted out before giving up */
	BERTH_MAX_IPV6_HEADERS = 8,   /* extension headers walked */
	BERTH_MAX_PREFIX_LENGTHS = 8, /* different lengths of service prefixes, both families together */
	BERTH_MAX_ROUTES = 16,	      /* routes to clients that mode nat answers by itself */
	BERTH_MAX_SOURCE_BITS = 16,   /* bits of an outer source that vary by flow */
	BERTH_MAX_ANSWERS = 1000,     /* ICMP errors that a worker sends in a second */
	BERTH_MAX_L4_OFFSET = 1024,   /* a transport header further into the frame is not looked for */
	BERTH_SECRET_BYTES = 192,     /* XXH3's own secret size */
	BERTH_ROWS_PER_LINE = 16,
	BERTH_ELIGIBILITY_PER_LINE = 64,
};
