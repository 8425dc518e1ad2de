/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Golden packets: a table of named packets, each with its one right verdict and the bytes that leave. The packets
 * go to the services of world_shapes (tests/diff/world.h), one backend each, or come from those backends. A name is
 * a claim.
 *
 * A packet is what fixture_build makes of `packet`, where source, destination, ports and protocol that are left out
 * are those of a client of service `service`, or of its backend that answers this client; then what is `set`; then
 * right checksums, the edits, and the cut. An ICMP error is one about a packet that is built likewise. What leaves
 * is said by docs/packets.md, in bytes that expect.c builds from the RFCs.
 */
#pragma once

#include "tests/diff/world.h"
#include "tests/support/count.h"
#include "tests/support/icmp.h"
#include "tests/support/send.h"

/* Where an edit's offset counts from. */
enum golden_base {
	GOLDEN_LINK,
	GOLDEN_NETWORK,
	GOLDEN_TRANSPORT,
	GOLDEN_QUOTED,		 /* the IP header inside an ICMP error */
	GOLDEN_QUOTED_TRANSPORT, /* what follows the IP headers there */
};

struct golden_edit {
	uint8_t bytes; /* 1 or 2; 0: no edit */
	uint8_t base;  /* enum golden_base */
	uint16_t at;
	uint16_t value;
};

/* What came before the packet, of the same flow. */
enum golden_came {
	GOLDEN_NOTHING,
	GOLDEN_PACKET,	       /* a whole one */
	GOLDEN_FIRST_FRAGMENT, /* the first of the packet's own datagram */
	GOLDEN_OTHER_DATAGRAM, /* the first of another datagram */
};

struct golden_before {
	uint8_t came; /* enum golden_came */
	uint8_t tcp_flags;
	uint8_t other_port; /* another flow of the same client: added to the source port */
};

/* What makes a packet an ICMP error: from a router, about a packet that the service's backend sent to its client;
 * with `from_backend` about one that the client sent and berth gave to the backend. */
struct golden_error {
	uint8_t type; /* 0: it is none */
	uint8_t code;
	uint16_t rest;	 /* the MTU */
	uint16_t quoted; /* bytes of the packet inside; 0: all of it */
	struct fixture_packet inner;
};

struct golden_case {
	const char *name;
	uint32_t service; /* 1 to WORLD_SERVICES - 1 */
	struct fixture_packet packet;
	enum berth_verdict verdict;
	struct golden_edit edit[3];
	uint16_t cut; /* the frame ends after so many bytes; 0: it is whole */
	struct golden_before before[3];
	uint32_t later; /* seconds between those and the packet */
	struct golden_edit set[2];
	struct golden_error error;
	bool from_backend;  /* it comes from the backends' side (mode nat) */
	bool refuse;	    /* meanwhile the backend was set to take nothing */
	bool deleted;	    /* meanwhile it was deleted */
	bool table_full;    /* all words of the flow table are live flows' */
	bool no_tally;	    /* a later fragment whose service is not known, or no service's */
	bool told_enough;   /* the worker has sent as many ICMP errors in this second as it may */
	const char *leaves; /* hexadecimal: the bytes that leave, where a case says them itself */
};

struct golden_group {
	const char *name;
	const struct golden_case *cases;
	uint32_t n;
};

extern const struct golden_group golden_link, golden_ip4, golden_ip6, golden_transport, golden_icmp, golden_errors,
	golden_errors6, golden_errors_back, golden_fragment, golden_fragment6, golden_address, golden_service,
	golden_size, golden_hop, golden_state, golden_gue, golden_nat, golden_returns, golden_answer,
	golden_protocol;

/* All cases, counted through. */
uint32_t golden_count(void);
const struct golden_case *golden_at(uint32_t i, const char **group);

/* Builds a case's packet. Offsets in `to` are those before the cut. */
void golden_build(struct fixture_frame *to, const struct golden_case *c);

/* Builds the packet number `i` that came before, if there is one. */
bool golden_build_before(struct fixture_frame *to, const struct golden_case *c, uint32_t i);

/* Writes what is to leave of a frame whose first buffer has `first` bytes, and returns how many bytes that are. */
uint32_t golden_expect(uint8_t *to, const struct golden_case *c, const struct fixture_frame *frame, uint32_t first);

/* The route to a client, or NULL. */
const struct world_route *golden_route_to(const union berth_addr *client);

/*
 * Where things stand in a packet, read from its bytes: `bytes` of an IP packet at `ip`, or of the beginning of one.
 * For packets whose headers are sound.
 */
struct golden_parts {
	bool is6;
	bool later;	  /* a later fragment: nothing stands at `transport` */
	bool first;	  /* a first fragment */
	uint8_t protocol; /* of what stands at `transport`; a later fragment's */
	uint32_t id;	  /* a fragment's datagram's */
	uint32_t transport;
};

struct golden_parts golden_parts_of(const uint8_t *ip, uint32_t bytes);

/* The checksum that the TCP, UDP, ICMP or ICMPv6 message at `parts->transport` should have, if the packet is all
 * there; `at` becomes its own offset from `ip`. */
uint16_t golden_checksum(const uint8_t *ip, uint32_t bytes, const struct golden_parts *parts, uint32_t *at);
