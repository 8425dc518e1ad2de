/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/* Shared by berth_decap.bpf.c and its loader, decap.c: counters, limits, names of the maps. */
#pragma once

/* X(symbol, name, help), in the order of the counters. `berth-decap show` prints name and help. */
#define BERTH_DECAP_OUTCOMES(X)                                                                                    \
	X(PASSED, "passed", "not a tunnel packet for this host; passed to the kernel unchanged")                   \
	X(4IN4, "4in4", "IPv4 from IPv4")                                                                          \
	X(6IN4, "6in4", "IPv6 from IPv4")                                                                          \
	X(4IN6, "4in6", "IPv4 from IPv6")                                                                          \
	X(6IN6, "6in6", "IPv6 from IPv6")                                                                          \
	X(GUE_4IN4, "gue_4in4", "IPv4 from UDP in IPv4")                                                           \
	X(GUE_6IN4, "gue_6in4", "IPv6 from UDP in IPv4")                                                           \
	X(GUE_4IN6, "gue_4in6", "IPv4 from UDP in IPv6")                                                           \
	X(GUE_6IN6, "gue_6in6", "IPv6 from UDP in IPv6")                                                           \
	X(DROPPED_ECN, "dropped_ecn",                                                                              \
	  "dropped: outer header has a congestion mark, inner does not support ECN (RFC 6040)")

enum berth_decap_outcome {
#define X(symbol, name, help) BERTH_DECAP_##symbol,
	BERTH_DECAP_OUTCOMES(X)
#undef X
	BERTH_DECAP_OUTCOME_COUNT,
};

enum {
	BERTH_DECAP_MAX_ADDRESSES = 64,
	BERTH_DECAP_MAX_PORTS = 16,
	BERTH_DECAP_GUE_PORT = 6080, /* assigned by IANA */
};

/* Names of the program and its maps: at most 15 characters, the limit of the kernel. */
#define BERTH_DECAP_PROGRAM "berth_decap"
#define BERTH_DECAP_ADDRESSES "decap_addresses"
#define BERTH_DECAP_PORTS "decap_ports"
#define BERTH_DECAP_COUNTERS "decap_counters"
