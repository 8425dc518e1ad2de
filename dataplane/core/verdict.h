/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/*
 * Verdicts: the outcomes of a packet. Each packet has exactly one, each verdict has a counter per worker, and
 * received = forwarded + answered + passed + dropped, always.
 *
 * X(symbol, name, class, help): the class is what happens to the packet; users see name and help.
 */
#pragma once

#define BERTH_VERDICTS(X)                                                                                          \
	X(FLOW, "flow", FORWARD, "packet of an existing flow, to its backend")                                     \
	X(SESSION, "session", FORWARD, "new flow of a client with a session, to the session's backend")            \
	X(SELECTED, "selected", FORWARD, "new flow, to the backend that selection gives")                          \
	X(SPILLED, "spilled", FORWARD,                                                                             \
	  "new flow of a client whose session's backend is over its share, to another backend")                    \
	X(RESELECTED, "reselected", FORWARD,                                                                       \
	  "existing flow whose backend is not eligible, or a new connection on its ports: new backend")            \
	X(UNTRACKED, "untracked", FORWARD,                                                                         \
	  "RST without a flow, or TCP packet without SYN over a limit of new flows: sent by selection alone, not " \
	  "inserted")                                                                                              \
	X(SECOND_HOP, "second_hop", FORWARD,                                                                       \
	  "TCP packet without SYN of no flow, whose row changed: with the former backend as second hop, not "      \
	  "inserted")                                                                                              \
	X(TABLE_FULL, "table_full", FORWARD, "new flow without room in the flow table: sent by selection alone")   \
	X(FRAGMENT, "fragment", FORWARD, "later fragment, to the backend of its datagram's first fragment")        \
	X(ICMP_ERROR, "icmp_error", FORWARD, "ICMP error, to the backend of the flow that it is about")            \
	X(RETURNED, "returned", FORWARD, "mode nat: packet from a backend, rewritten and sent to the client")      \
	X(ANSWERED_TOO_BIG, "answered_too_big", ANSWER,                                                            \
	  "larger than the path MTU: the sender got an ICMP error with the MTU")                                   \
	X(ANSWERED_TTL_EXPIRED, "answered_ttl_expired", ANSWER,                                                    \
	  "TTL or hop limit expired: the sender got an ICMP error")                                                \
	X(ANSWERED_RESET, "answered_reset", ANSWER, "flow of a backend that is down: the client got a RST")        \
	X(NOT_IP, "not_ip", PASS, "neither IPv4 nor IPv6 (ARP, for example): passed to the kernel")                \
	X(NOT_OWN_LINK, "not_own_link", PASS,                                                                      \
	  "link destination is not the port's (broadcast, multicast, another host): passed to the kernel")         \
	X(NO_SERVICE, "no_service", PASS, "no service has this address, protocol and port: passed to the kernel")  \
	X(NOT_TCP_UDP, "not_tcp_udp", PASS, "neither TCP nor UDP (ICMP echo, for example): passed to the kernel")  \
	X(LINK_LOCAL, "link_local", PASS,                                                                          \
	  "link-local source (169.254/16, fe80::/10), which no router forwards: passed to the kernel")             \
	X(ROUTING_HEADER, "routing_header", PASS, "IPv6 routing header with segments left: passed to the kernel")  \
	X(NO_FLOW, "no_flow", PASS,                                                                                \
	  "mode nat: from a backend, but of no flow that berth sent to it: passed to the kernel unchanged")        \
	X(RETURNED_PASS, "returned_pass", PASS,                                                                    \
	  "mode nat: packet from a backend, rewritten and passed to the kernel to route")                          \
	X(BAD_FRAME, "bad_frame", DROP, "shorter than its link header")                                            \
	X(BAD_IP4, "bad_ip4", DROP, "IPv4 header truncated, length invalid, or longer than the frame")             \
	X(BAD_IP6, "bad_ip6", DROP, "IPv6 header or extension header truncated, or longer than the frame")         \
	X(BAD_TCP, "bad_tcp", DROP, "TCP header truncated or data offset invalid")                                 \
	X(BAD_UDP, "bad_udp", DROP, "UDP header truncated or length invalid")                                      \
	X(BAD_ICMP, "bad_icmp", DROP, "ICMP error truncated, or about a packet that its receiver did not send")    \
	X(BAD_SOURCE, "bad_source", DROP, "new flow from an address that no host can have: 0/8, 127/8, multicast") \
	X(TTL_EXPIRED, "ttl_expired", DROP,                                                                        \
	  "TTL or hop limit expired; no ICMP error sent (rate limit, or none is due)")                             \
	X(RESET, "reset", DROP, "flow of a backend that is down; no RST sent (none is due)")                       \
	X(FRAGMENT_UNKNOWN, "fragment_unknown", DROP,                                                              \
	  "later fragment before or without its datagram's first fragment")                                        \
	X(OVER_LIMIT, "over_limit", DROP,                                                                          \
	  "new flow over a limit of its service (new-flows); show services has the services")                      \
	X(NO_BACKEND, "no_backend", DROP, "the service has no backend eligible for this flow")                     \
	X(NO_NEXT_HOP, "no_next_hop", DROP, "next hop to the backend unresolved")                                  \
	X(TOO_BIG, "too_big", DROP, "larger than the path MTU, no ICMP error sent; raise the MTU to the backend")  \
	X(NO_HEADROOM, "no_headroom", DROP, "no headroom for the outer header")                                    \
	X(TX_FULL, "tx_full", DROP, "transmit ring full; use more workers or a larger ring")                       \
	X(PASS_FULL, "pass_full", DROP,                                                                            \
	  "for the kernel, but the ring to it was full; backends have half of it for themselves")                  \
	X(INTERNAL, "internal", DROP, "inconsistent table; this is a bug, please report it")

enum berth_class {
	BERTH_CLASS_FORWARD,
	BERTH_CLASS_ANSWER, /* turned into an ICMP error or a RST, which leaves by the port where the packet arrived
			     */
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

/* The class of a verdict. The list above is in the order of the classes. */
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

/* Counters of table operations, beside the verdicts. X(symbol, name, help). */
#define BERTH_EVENTS(X)                                                                                            \
	X(FLOW_ADDED, "flow_added", "flows inserted into the flow table")                                          \
	X(FLOW_EVICTED, "flow_evicted", "flows evicted for new ones: unconfirmed, or without recent traffic")      \
	X(SESSION_ADDED, "session_added", "client sessions inserted")                                              \
	X(SESSION_FULL, "session_full", "client sessions not inserted: session table full")                        \
	X(FRAGMENT_FULL, "fragment_full", "first fragments not inserted: flow table full")                         \
	X(SESSION_MOVED, "session_moved", "client sessions moved to another backend: theirs was not eligible")     \
	X(HOST_UNSENT, "host_unsent", "packets of this host's kernel dropped: transmit ring full (DPDK)")          \
	X(SESSION_EVICTED, "session_evicted", "unconfirmed client sessions evicted for new ones")                  \
	X(SERVICE_LIMITED, "service_limited", "packets of new flows over the limit of their service")              \
	X(SOURCE_LIMITED, "source_limited", "packets of new flows over the limit of their source")

enum berth_event {
#define X(symbol, name, help) BERTH_EVENT_##symbol,
	BERTH_EVENTS(X)
#undef X
	BERTH_EVENT_COUNT,
};
