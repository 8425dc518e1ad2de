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
	  "dropped: outer header has a congestion mark, inner does not support ECN (RFC 6040)")                    \
	X(MALFORMED, "malformed",                                                                                  \
	  "GUE variant 0 with flags, a control bit or invalid private data; passed to the kernel unchanged")       \
	X(HOP_UNUSED, "hop_unused", "decapsulated here, though a second hop is left; also counted above")          \
	X(HOP_USED, "hop_used", "sent to the second hop: this kernel does not have the connection")                \
	X(HOP_KERNEL, "hop_kernel",                                                                                \
	  "given to the kernel to send to the second hop: neighbour unknown, other interface, VLAN tag or small "  \
	  "MTU")                                                                                                   \
	X(HOP_NO_ROUTE, "hop_no_route",                                                                            \
	  "decapsulated here, as the kernel forwards nothing to the second hop; also counted above")               \
	X(HOP_EXPIRED, "hop_expired", "dropped: for the second hop, but the outer TTL is used up")

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
