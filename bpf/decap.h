/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/* What the decapsulating program and its loader share: the counters, in the order of their map. */
#pragma once

/* X(symbol, name, help): name and help are what `berth-decap show` prints. */
#define BERTH_DECAP_OUTCOMES(X)                                                                                    \
	X(PASSED, "passed", "no tunnel packet for this host: to the kernel untouched")                             \
	X(4IN4, "4in4", "IPv4 taken out of IPv4")                                                                  \
	X(6IN4, "6in4", "IPv6 taken out of IPv4")                                                                  \
	X(4IN6, "4in6", "IPv4 taken out of IPv6")                                                                  \
	X(6IN6, "6in6", "IPv6 taken out of IPv6")                                                                  \
	X(GUE_4IN4, "gue_4in4", "IPv4 taken out of UDP in IPv4")                                                   \
	X(GUE_6IN4, "gue_6in4", "IPv6 taken out of UDP in IPv4")                                                   \
	X(GUE_4IN6, "gue_4in6", "IPv4 taken out of UDP in IPv6")                                                   \
	X(GUE_6IN6, "gue_6in6", "IPv6 taken out of UDP in IPv6")                                                   \
	X(DROPPED_ECN, "dropped_ecn", "congestion marked outside, no ECN inside: dropped (RFC 6040)")

enum berth_decap_outcome {
#define X(symbol, name, help) BERTH_DECAP_##symbol,
	BERTH_DECAP_OUTCOMES(X)
#undef X
	BERTH_DECAP_OUTCOME_COUNT,
};

enum {
	BERTH_DECAP_MAX_ADDRESSES = 64,
	BERTH_DECAP_MAX_PORTS = 16,
	BERTH_DECAP_GUE_PORT = 6080, /* IANA's for GUE */
};

/* Names of the program and its maps; the kernel keeps 15 characters. */
#define BERTH_DECAP_PROGRAM "berth_decap"
#define BERTH_DECAP_ADDRESSES "decap_addresses"
#define BERTH_DECAP_PORTS "decap_ports"
#define BERTH_DECAP_COUNTERS "decap_counters"
