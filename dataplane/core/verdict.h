/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/*
 * Every way out of the packet path. Each packet leaves with exactly one verdict, each verdict has a counter,
 * and received = forwarded + answered + passed + the sum of drops, always.
 *
 * X(symbol, name, class, help): the class says what happens to the packet; name and help are what people see.
 */
#pragma once

#define BERTH_VERDICTS(X)                                                                                          \
	X(FLOW, "flow", FORWARD, "packet of a known flow, sent to the flow's backend")                             \
	X(SESSION, "session", FORWARD, "new flow of a known client, sent to the client's backend")                 \
	X(SELECTED, "selected", FORWARD, "new flow, sent to the backend that selection gives")                     \
	X(SPILLED, "spilled", FORWARD, "new flow of a known client whose backend has its share, sent to another")  \
	X(RESELECTED, "reselected", FORWARD,                                                                       \
	  "known flow whose backend is gone or whose connection is new, given a new one")                          \
	X(UNTRACKED, "untracked", FORWARD, "sent by selection alone, nothing remembered: a RST of no known flow")  \
	X(TABLE_FULL, "table_full", FORWARD, "sent by selection alone, nothing remembered: no room in the table")  \
	X(FRAGMENT, "fragment", FORWARD, "fragment of a datagram, sent where its first fragment went")             \
	X(ICMP_ERROR, "icmp_error", FORWARD, "ICMP error, sent to the backend of the flow that it is about")       \
	X(RETURNED, "returned", FORWARD, "a backend's answer in mode nat, sent to the client")                     \
	X(ANSWERED_TOO_BIG, "answered_too_big", ANSWER, "too big for the way; its sender was told the right size") \
	X(ANSWERED_TTL_EXPIRED, "answered_ttl_expired", ANSWER,                                                    \
	  "its TTL or hop limit ended here; its sender was told")                                                  \
	X(ANSWERED_RESET, "answered_reset", ANSWER, "flow of a backend that is down; its client got a RST")        \
	X(NOT_IP, "not_ip", PASS, "neither IPv4 nor IPv6 (ARP and the like): to the kernel")                       \
	X(NO_SERVICE, "no_service", PASS, "no service has this address, protocol and port: to the kernel")         \
	X(NOT_TCP_UDP, "not_tcp_udp", PASS, "neither TCP nor UDP (ICMP echo and the like): to the kernel")         \
	X(RETURNED_PASS, "returned_pass", PASS,                                                                    \
	  "a backend's answer in mode nat, rewritten: the kernel's to route")                                      \
	X(BAD_FRAME, "bad_frame", DROP, "shorter than its link header")                                            \
	X(BAD_IP4, "bad_ip4", DROP, "IPv4 header truncated, of impossible length, or longer than its frame")       \
	X(BAD_IP6, "bad_ip6", DROP, "IPv6 header or extension header truncated, or longer than its frame")         \
	X(BAD_TCP, "bad_tcp", DROP, "TCP header truncated or its data offset impossible")                          \
	X(BAD_UDP, "bad_udp", DROP, "UDP header truncated or its length impossible")                               \
	X(BAD_ICMP, "bad_icmp", DROP, "ICMP error truncated, or about a packet that its receiver never sent")      \
	X(BAD_SOURCE, "bad_source", DROP, "new flow from an address that no client has: 0/8, 127/8, multicast")    \
	X(TTL_EXPIRED, "ttl_expired", DROP,                                                                        \
	  "its TTL or hop limit ended here; its sender could not or need not be told")                             \
	X(RESET, "reset", DROP, "flow of a backend that is down; its client could not or need not be told")        \
	X(FRAGMENT_UNKNOWN, "fragment_unknown", DROP,                                                              \
	  "fragment that came before its datagram's first, or without it")                                         \
	X(NO_BACKEND, "no_backend", DROP, "the service has no backend that may take this flow")                    \
	X(NO_NEXT_HOP, "no_next_hop", DROP, "the link address of the way to the backend is not known yet")         \
	X(TOO_BIG, "too_big", DROP, "too big for the way, its sender not told; raise the MTU to the backend")      \
	X(NO_HEADROOM, "no_headroom", DROP, "no room in front of the packet for the outer header")                 \
	X(TX_FULL, "tx_full", DROP, "the transmit ring was full; more workers or a larger ring would help")        \
	X(PASS_FULL, "pass_full", DROP, "for the kernel, but the ring to it was full: it reads too slowly")        \
	X(INTERNAL, "internal", DROP, "a table was inconsistent; this is a bug, please report it")

enum berth_class {
	BERTH_CLASS_FORWARD,
	BERTH_CLASS_ANSWER, /* turned into an ICMP error, which goes back where the packet came from */
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
	((verdict) <= BERTH_VERDICT_RETURNED	     ? BERTH_CLASS_FORWARD                                         \
	 : (verdict) <= BERTH_VERDICT_ANSWERED_RESET ? BERTH_CLASS_ANSWER                                          \
	 : (verdict) <= BERTH_VERDICT_RETURNED_PASS  ? BERTH_CLASS_PASS                                            \
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
	X(FRAGMENT_FULL, "fragment_full", "first fragments not remembered because the table was full")             \
	X(SESSION_MOVED, "session_moved", "client sessions given another backend because theirs was gone")         \
	X(HOST_UNSENT, "host_unsent", "packets of this host's own kernel that found a transmit ring full (DPDK)")

enum berth_event {
#define X(symbol, name, help) BERTH_EVENT_##symbol,
	BERTH_EVENTS(X)
#undef X
	BERTH_EVENT_COUNT,
};
