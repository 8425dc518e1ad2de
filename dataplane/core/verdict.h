/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/*
 * Every way out of the packet path. Each packet leaves with exactly one verdict, each verdict has a counter,
 * and received = forwarded + passed + the sum of drops, always.
 *
 * X(symbol, name, class, help): the class says what happens to the packet; name and help are what people see.
 */
#pragma once

#define BERTH_VERDICTS(X)                                                                                          \
	X(FLOW, "flow", FORWARD, "packet of a known flow, sent to the flow's backend")                             \
	X(SESSION, "session", FORWARD, "new flow of a known client, sent to the client's backend")                 \
	X(SELECTED, "selected", FORWARD, "new flow, sent to the backend that selection gives")                     \
	X(MOVED, "moved", FORWARD, "known flow whose backend is gone or whose connection is new, given a new one") \
	X(UNTRACKED, "untracked", FORWARD, "sent by selection alone, nothing remembered: a RST of no known flow")  \
	X(TABLE_FULL, "table_full", FORWARD, "sent by selection alone, nothing remembered: no room in the table")  \
	X(NOT_IP, "not_ip", PASS, "neither IPv4 nor IPv6 (ARP and the like): to the kernel")                       \
	X(NO_SERVICE, "no_service", PASS, "no service has this address, protocol and port: to the kernel")         \
	X(NOT_TRANSPORT, "not_transport", PASS, "neither TCP nor UDP (ICMP and the like): to the kernel")          \
	X(BAD_FRAME, "bad_frame", DROP, "shorter than its link header")                                            \
	X(BAD_IP4, "bad_ip4", DROP, "IPv4 header truncated, of impossible length, or longer than its frame")       \
	X(BAD_IP6, "bad_ip6", DROP, "IPv6 header or extension header truncated, or longer than its frame")         \
	X(BAD_TCP, "bad_tcp", DROP, "TCP header truncated or its data offset impossible")                          \
	X(BAD_UDP, "bad_udp", DROP, "UDP header truncated or its length impossible")                               \
	X(FRAGMENT, "fragment", DROP, "IP fragment to a service's address; fragments are not forwarded")           \
	X(NO_BACKEND, "no_backend", DROP, "the service has no backend that may take this flow")                    \
	X(NO_NEXT_HOP, "no_next_hop", DROP, "the link address of the way to the backend is not known yet")         \
	X(TOO_BIG, "too_big", DROP, "does not fit the way to the backend once encapsulated; raise the MTU there")  \
	X(NO_HEADROOM, "no_headroom", DROP, "no room in front of the packet for the outer header")                 \
	X(TX_FULL, "tx_full", DROP, "the transmit ring was full; more workers or a larger ring would help")        \
	X(PASS_FULL, "pass_full", DROP, "for the kernel, but the ring to it was full: it reads too slowly")        \
	X(INTERNAL, "internal", DROP, "a table was inconsistent; this is a bug, please report it")

enum berth_class {
	BERTH_CLASS_FORWARD,
	BERTH_CLASS_PASS,
	BERTH_CLASS_DROP,
};

enum berth_verdict {
	BERTH_NO_VERDICT, /* the packet goes on to the next stage */
#define X(symbol, name, class, help) BERTH_VERDICT_##symbol,
	BERTH_VERDICTS(X)
#undef X
	BERTH_VERDICT_COUNT,
};

/* What a verdict does with its packet: the list above stands in the order of the classes. */
#define BERTH_VERDICT_CLASS(verdict)                                                                               \
	((verdict) <= BERTH_VERDICT_TABLE_FULL	    ? BERTH_CLASS_FORWARD                                          \
	 : (verdict) <= BERTH_VERDICT_NOT_TRANSPORT ? BERTH_CLASS_PASS                                             \
						    : BERTH_CLASS_DROP)

#define X(symbol, name, class, help)                                                                               \
	_Static_assert(BERTH_VERDICT_CLASS(BERTH_VERDICT_##symbol) == BERTH_CLASS_##class,                         \
		       "out of class order: " name);
BERTH_VERDICTS(X)
#undef X

/*
 * Things worth counting that are no verdict: what the tables did.
 */
#define BERTH_EVENTS(X)                                                                                            \
	X(FLOW_ADDED, "flow_added", "flows remembered")                                                            \
	X(FLOW_EVICTED, "flow_evicted", "unconfirmed flows replaced by new ones because the table was full")       \
	X(SESSION_ADDED, "session_added", "client sessions remembered")                                            \
	X(SESSION_FULL, "session_full", "client sessions not remembered because the session table was full")       \
	X(SESSION_MOVED, "session_moved", "client sessions given another backend because theirs was gone")         \
	X(HOST_UNSENT, "host_unsent", "packets of this host's own kernel that found a transmit ring full (DPDK)")

enum berth_event {
#define X(symbol, name, help) BERTH_EVENT_##symbol,
	BERTH_EVENTS(X)
#undef X
	BERTH_EVENT_COUNT,
};
