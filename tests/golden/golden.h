/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Golden packets: a table of named packets, each with its one right verdict and the bytes that leave. The packets
 * go to the services of world_shapes (tests/diff/world.h), one backend each. A name is a claim.
 *
 * A packet is what fixture_build makes of `packet`, where source, destination, ports and protocol that are left out
 * are a client's of service `service`; then the edits, then the cut. A packet that is forwarded leaves as its
 * service's mode says, in bytes that expect.c builds from the RFCs; any other stays unchanged.
 */
#pragma once

#include "tests/diff/world.h"

/* Where an edit's offset counts from. */
enum golden_base {
	GOLDEN_LINK,
	GOLDEN_NETWORK,
	GOLDEN_TRANSPORT,
};

struct golden_edit {
	uint8_t bytes; /* 1 or 2; 0: no edit */
	uint8_t base;  /* enum golden_base */
	uint16_t at;
	uint16_t value;
};

/* A packet of the same flow that came before. */
struct golden_before {
	uint8_t sent; /* whether there is one */
	uint8_t tcp_flags;
	uint8_t other_port; /* another flow of the same client: added to the source port */
};

struct golden_case {
	const char *name;
	uint32_t service; /* 1 to WORLD_SERVICES - 1 */
	struct fixture_packet packet;
	enum berth_verdict verdict;
	struct golden_edit edit[3];
	uint16_t cut; /* the frame ends after so many bytes; 0: it is whole */
	struct golden_before before[3];
	uint32_t later;	    /* seconds between those and the packet */
	bool refuse;	    /* meanwhile the backend was set to take nothing */
	bool table_full;    /* all words of the flow table are live flows' */
	const char *leaves; /* hexadecimal: the bytes that leave, where a case says them itself */
};

struct golden_group {
	const char *name;
	const struct golden_case *cases;
	uint32_t n;
};

extern const struct golden_group golden_link, golden_ip4, golden_ip6, golden_transport, golden_icmp,
	golden_fragment, golden_address, golden_size, golden_state;

/* All cases, counted through. */
uint32_t golden_count(void);
const struct golden_case *golden_at(uint32_t i, const char **group);

/* Builds a case's packet. Offsets in `to` are those before the cut. */
void golden_build(struct fixture_frame *to, const struct golden_case *c);

/* Builds the packet number `i` that came before, if there is one. */
bool golden_build_before(struct fixture_frame *to, const struct golden_case *c, uint32_t i);

/* Writes what is to leave, and returns how many bytes that are. */
uint32_t golden_expect(uint8_t *to, const struct golden_case *c, const struct fixture_frame *frame);
