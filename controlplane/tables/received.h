/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Puts an entry that another node has told into the tables, while workers run: a session by its client; a flow,
 * which has no address, by its place. Called by berthd.
 */
#pragma once

/* First: how the image is read. */
#include "dataplane/core/image.h"

#include "dataplane/core/former.h"

enum {
	/* Of a flow's place in a table that is larger than the sender's; it is put at each place that is possible.
	 */
	BERTH_RECEIVED_UNKNOWN_BITS = 3,
	BERTH_RECEIVED_PLACES = 1 << BERTH_RECEIVED_UNKNOWN_BITS,
};

struct berth_received {
	enum berth_table table;
	uint32_t service; /* number; of a session in a group: the group's */
	uint32_t backend; /* number; one of the service's */
	uint32_t tag;
	uint32_t low; /* low bits of its hash, or those of its other bucket */
	uint8_t low_bits;
	enum berth_state state;
	uint32_t idle_s; /* since its last packet */
	uint32_t told_s; /* since it was told */
	bool is_again;	 /* it may have been received before */
	/* Of a session. */
	enum berth_reason reason;
	union berth_addr client;
	bool has_held;	/* false: of an earlier release */
	int32_t held_s; /* since it was given this backend, by this node's clock; nodes' clocks differ */
};

/* X(symbol, name, help) */
#define BERTH_RECEIVED_OUTCOMES(X)                                                                                 \
	X(INSERTED, "inserted", "The entry is new here.")                                                          \
	X(REPLACED, "replaced", "It replaces an entry on another backend.")                                        \
	X(CONFIRMED, "confirmed", "The entry is here on the same backend.")                                        \
	X(OLDER, "older", "The entry here has another backend, and stays.")                                        \
	X(EXPIRED, "expired", "It has expired.")                                                                   \
	X(NO_ROOM, "no-room", "The table is full.")                                                                \
	X(SMALL_TABLE, "small-table", "The sender's flow table is too small for this node's.")                     \
	X(OTHER_HASH, "other-hash", "The sender has another secret, or other client prefixes.")

enum berth_received_outcome {
#define BERTH_X(symbol, name, help) BERTH_RECEIVED_##symbol,
	BERTH_RECEIVED_OUTCOMES(BERTH_X)
#undef BERTH_X
	BERTH_RECEIVED_OUTCOME_COUNT,
};

/* Where it is now. */
struct berth_received_places {
	struct berth_entry entry[BERTH_RECEIVED_PLACES];
	uint32_t n;
	/* An entry on another backend that stays, and that the node which told the record does not know of. */
	bool has_other;
	struct berth_entry other;
};

/*
 * `view`: of berth_sessions_view. The backend has a service that is in use. `places`: those that have the entry on
 * this backend. Of several places, the outcome is that of the last one.
 *
 * Of two backends of a flow, the one with later traffic stays. Two nodes can each give a client a session, on two
 * backends, while their configurations or the state of backends differ. Which one stays follows from what both
 * nodes know of both, so they come to the same result: one that was moved (by a failure or an operator) before one
 * that was not; of two that were moved the last one, of others the one that began first; of the same second that of
 * the backend with the lower id. But a session that the client has used alone for a minute stays.
 */
enum berth_received_outcome berth_received_put(const struct berth_view *view, const struct berth_received *received,
					       struct berth_received_places *places);

/* "inserted", ... */
const char *berth_received_outcome_name(enum berth_received_outcome outcome);
