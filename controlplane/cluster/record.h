/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The format in which the nodes of a cluster exchange an exception: one flow or session that is on another backend
 * than selection gives. And what an operator does once with sessions, in order with the exceptions. Pure. Decoding
 * checks every member; each record that it accepts has one encoding.
 *
 *    0  version        8  age_s     24  service      56  configuration
 *    1  table         12  tag       32  backend      64  client, 16 bytes: not of a flow
 *    2  word format   16  low       40  epoch
 *    3  state         20  node      48  sequence
 *    4  reason
 *    5  low_bits
 *    6  client_bits
 *    7  0
 *
 * Numbers are big-endian. Another layout has another version. Its age is no time of a clock, since nodes' clocks
 * differ. A session is found by its client, and not by `low`: there it has the time at which it began, which is the
 * same on all nodes that have it (see BERTH_CLUSTER_RECORD_LOW_BITS).
 */
#pragma once

#include "dataplane/core/types.h"

enum {
	BERTH_CLUSTER_RECORD_VERSION = 1,
	BERTH_CLUSTER_RECORD_BYTES = 64, /* of a flow */
	BERTH_CLUSTER_RECORD_CLIENT_BYTES = 16,
	BERTH_CLUSTER_RECORD_MAX_BYTES = BERTH_CLUSTER_RECORD_BYTES + BERTH_CLUSTER_RECORD_CLIENT_BYTES,
	BERTH_CLUSTER_RECORD_LOW_BITS = 32, /* at most; of a session: `low` is its beginning */
};

enum berth_cluster_table {
	BERTH_CLUSTER_FLOW = 1,
	BERTH_CLUSTER_SESSION,
	BERTH_CLUSTER_PIN, /* a session that an operator set */
	/* Commands. They have no bits of a hash. */
	BERTH_CLUSTER_MOVE,  /* the client's session to this backend */
	BERTH_CLUSTER_CLEAR, /* sessions of clients in the prefix, of this backend or (0) of all */
	BERTH_CLUSTER_TABLES,
};

struct berth_cluster_record {
	uint8_t table;		/* enum berth_cluster_table */
	uint8_t state;		/* enum berth_state of its word */
	uint8_t reason;		/* enum berth_reason; 0 of a flow */
	uint8_t low_bits;	/* how many low bits of its hash `low` has: as many as the sender's table needs */
	uint8_t client_bits;	/* prefix length of `client`; 0 of a flow */
	uint32_t age_s;		/* since its last packet */
	uint32_t tag;		/* the high bits of its hash (word.h) */
	uint32_t low;		/* of a session with 32 low_bits: when it began, in seconds since 1970 */
	uint32_t node;		/* the sender */
	uint64_t service;	/* id */
	uint64_t backend;	/* id */
	uint64_t epoch;		/* of the sender's tables */
	uint64_t sequence;	/* of the record among those of this node and epoch */
	uint64_t configuration; /* digest of the sender's */
	union berth_addr client;
};

/* Why a record is refused. X(symbol, text) */
#define BERTH_CLUSTER_RECORD_FAULTS(X)                                                                             \
	X(LENGTH, "wrong length")                                                                                  \
	X(VERSION_UNKNOWN, "unknown version")                                                                      \
	X(TABLE, "unknown table")                                                                                  \
	X(WORD_FORMAT, "another format of words")                                                                  \
	X(STATE, "impossible state or reason")                                                                     \
	X(HASH, "impossible bits of the hash")                                                                     \
	X(AGE, "impossible age")                                                                                   \
	X(CLIENT, "impossible client")                                                                             \
	X(ID, "no service, backend or node")                                                                       \
	X(PADDING, "padding is not 0")

enum berth_cluster_record_fault {
	BERTH_CLUSTER_RECORD_VALID,
#define BERTH_X(symbol, text) BERTH_CLUSTER_RECORD_##symbol,
	BERTH_CLUSTER_RECORD_FAULTS(BERTH_X)
#undef BERTH_X
	BERTH_CLUSTER_RECORD_FAULT_COUNT,
};

/* Returns how many bytes it wrote; 0: the record is invalid, which is a fault of the caller. */
size_t berth_cluster_record_encode(const struct berth_cluster_record *record,
				   uint8_t bytes[BERTH_CLUSTER_RECORD_MAX_BYTES]);
/* The size of the record that begins here, of its version and table; 0: it has none of this format in `left` bytes.
 */
size_t berth_cluster_record_size(const uint8_t *bytes, size_t left);
/* `size` is of this record alone. After a fault `record` has no meaning. */
enum berth_cluster_record_fault berth_cluster_record_decode(struct berth_cluster_record *record,
							    const uint8_t *bytes, size_t size);
const char *berth_cluster_record_fault_text(enum berth_cluster_record_fault fault);
