/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the engine would do with a packet that came in now: the stages of the core run on a copy of what they read
 * of the live image (overlay.h). Nothing changes.
 */
#pragma once

#include "dataplane/core/abi.h"
#include "dataplane/core/packet.h"
#include "dataplane/core/verdict.h"

enum {
	BERTH_TRACE_HEADROOM = 128,
	BERTH_TRACE_FRAME_BYTES = 9018, /* longest frame: 9,000 bytes of IP */
};

/* An entry of a table as it is before the packet. */
struct berth_trace_entry {
	bool is_found;
	bool is_former; /* in the former table (core/former.h) */
	bool is_expired;
	uint8_t state;	  /* enum berth_state */
	uint16_t backend; /* number */
	uint32_t age_s;
};

struct berth_trace {
	enum berth_verdict verdict;
	struct berth_packet packet;
	bool is_parsed;	 /* `packet` has addresses */
	bool is_steered; /* it is for a service, or returns from one; the following are set */
	struct berth_trace_entry flow;
	bool has_session; /* the service has client affinity */
	struct berth_trace_entry session;
	bool has_row; /* a hash selects from the service's table */
	uint32_t row, rows;
	uint16_t primary, alternate; /* backend numbers; 0: none */
	bool has_loads;
	uint64_t primary_load, alternate_load; /* the lower one is selected */
	uint32_t primary_cost, alternate_cost;
	uint32_t port; /* by which it leaves, if it is forwarded or answered; index into the generation's ports */
	const uint8_t *out; /* the frame as it leaves; inside of `buffer` */
	uint32_t out_bytes;
	uint8_t buffer[BERTH_TRACE_HEADROOM + BERTH_TRACE_FRAME_BYTES + BERTH_TRACE_HEADROOM];
};

/* A frame of `n` bytes that arrives at the port (index). 0, -EMSGSIZE or -ENOMEM. */
int berth_trace_run(struct berth_trace *trace, const struct berth_image *image, uint32_t port, const uint8_t *bytes,
		    uint32_t n);
