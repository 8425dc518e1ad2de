/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Golden packets: a table of named packets, each with its one correct verdict and the bytes that leave. The packets
 * go to the services of world_shapes (tests/diff/world.h), which have one backend each, or come from those
 * backends. A name is a claim.
 *
 * A packet is built in this order: fixture_build of `packet`, with source, destination, ports and protocol of a
 * client of `service` (or of its backend) where a case leaves them 0; `set`; correct checksums; `edit`; `cut`. The
 * packet inside an ICMP error is built the same way. docs/packets.md says what leaves; expect.c builds those bytes
 * from the RFCs.
 */
#pragma once

#include "tests/diff/world.h"
#include "tests/support/count.h"
#include "tests/support/icmp.h"
#include "tests/support/send.h"

/* The base of an edit's offset. */
enum golden_base {
	GOLDEN_LINK,
	GOLDEN_NETWORK,
	GOLDEN_TRANSPORT,
	GOLDEN_QUOTED,		 /* the IP header inside an ICMP error */
	GOLDEN_QUOTED_TRANSPORT, /* the header after the IP headers there */
};

struct golden_edit {
	uint8_t bytes; /* 1 or 2; 0: no edit */
	uint8_t base;  /* enum golden_base */
	uint16_t at;
	uint16_t value;
};

/* A packet before the case's packet, of the same flow. */
enum golden_prior {
	GOLDEN_NOTHING,
	GOLDEN_PACKET,	       /* not a fragment, no data */
	GOLDEN_DATA,	       /* not a fragment, with data */
	GOLDEN_FIRST_FRAGMENT, /* the first of the packet's own datagram */
	GOLDEN_OTHER_DATAGRAM, /* the first of another datagram */
};

struct golden_before {
	uint8_t kind; /* enum golden_prior */
	uint8_t tcp_flags;
	uint8_t other_port; /* another flow of the same client: added to the source port */
};

/* An ICMP error from a router, about a packet that the service's backend sent to its client; with `from_backend`
 * about a packet that berth forwarded to the backend. */
struct golden_error {
	uint8_t type; /* 0: the packet is no error */
	uint8_t code;
	uint16_t rest;	 /* the MTU */
	uint16_t quoted; /* bytes of the packet inside; 0: all of it */
	struct fixture_packet inner;
};

/* A limit of new flows that others have spent before the packet. */
enum golden_spent {
	GOLDEN_NO_LIMIT,
	GOLDEN_SERVICE_LIMIT,
	GOLDEN_SOURCE_LIMIT,
};

struct golden_case {
	const char *name;
	uint32_t service; /* 1 to WORLD_SERVICES - 1 */
	struct fixture_packet packet;
	enum berth_verdict verdict;
	struct golden_edit edit[3];
	uint16_t cut; /* bytes after which the frame ends; 0: it is whole */
	struct golden_before before[3];
	uint32_t delay_s; /* between `before` and the packet */
	struct golden_edit set[2];
	struct golden_error error;
	bool from_backend;	  /* the packet comes from the backends' side (mode nat), in a flow of a client */
	bool no_flow;		  /* from_backend: no client has sent anything */
	bool ineligible;	  /* the backend has lost its eligibility before the packet */
	bool deleted;		  /* the backend is deleted before the packet */
	bool rows_changed;	  /* the service's rows had a second backend before */
	bool has_stayed;	  /* with it: the rows have the second backend now, and had the first one before */
	bool table_full;	  /* every word of the flow table holds a live flow */
	bool no_tally;		  /* a later fragment without a known service */
	uint8_t spent;		  /* enum golden_spent */
	bool answer_limit;	  /* all budgets of ICMP errors are spent for this second */
	const char *expected_hex; /* the bytes that leave, in hexadecimal; NULL: expect.c builds them */
};

struct golden_group {
	const char *name;
	const struct golden_case *cases;
	uint32_t n;
};

extern const struct golden_group golden_link, golden_ip4, golden_ip6, golden_transport, golden_icmp, golden_errors,
	golden_errors6, golden_errors_back, golden_fragment, golden_fragment6, golden_address, golden_service,
	golden_size, golden_hop, golden_state, golden_gue, golden_nat, golden_returns, golden_answer,
	golden_protocol, golden_limits;

/* All cases, numbered across the groups. */
uint32_t golden_count(void);
const struct golden_case *golden_at(uint32_t i, const char **group);

/* Builds a case's packet. Offsets in `to` are those before the cut. */
void golden_build(struct fixture_frame *to, const struct golden_case *c);

/* Builds packet `i` of `before`; false: there is none. */
bool golden_build_before(struct fixture_frame *to, const struct golden_case *c, uint32_t i);

/* For a packet from a backend, built as `frame`: builds the client's packet that opens its flow. */
void golden_build_opening(struct fixture_frame *to, const struct golden_case *c, const struct fixture_frame *frame);

/* If it is a later fragment, builds the first one of its datagram; false: it is none. */
bool golden_build_first(struct fixture_frame *to, const struct golden_case *c, const struct fixture_frame *frame);

/* Writes the expected frame, for a frame with `first` bytes in its first buffer. Returns its length in bytes. */
uint32_t golden_expect(uint8_t *to, const struct golden_case *c, const struct fixture_frame *frame, uint32_t first);

/* The route to a client, or NULL. */
const struct world_route *golden_route_to(const union berth_addr *client);

/* Offsets in the IP packet at `ip`, of which `bytes` are present. Only for packets with valid headers. */
struct golden_parts {
	bool is6;
	bool is_later_fragment; /* a later fragment: there is no transport header */
	bool is_first_fragment; /* a first fragment */
	uint8_t protocol;	/* transport protocol, or a later fragment's next header */
	uint32_t id;		/* identification of a fragment's datagram */
	uint32_t transport;
};

struct golden_parts golden_parts_of(const uint8_t *ip, uint32_t bytes);

/* The correct checksum of the TCP, UDP, ICMP or ICMPv6 message at `parts->transport` in a whole packet; `at`
 * becomes the offset of the checksum from `ip`. */
uint16_t golden_checksum(const uint8_t *ip, uint32_t bytes, const struct golden_parts *parts, uint32_t *at);
