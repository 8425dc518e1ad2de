/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What operators have set on any node of the cluster: of each key the record that holds. Nodes that have merged the
 * same records, in any order and any number of times, have the same set. Bounded, and pure: times are arguments.
 * One thread.
 */
#pragma once

#include "controlplane/saved/operator_record.h"

enum {
	BERTH_OPERATOR_MOST = 65536, /* records in the set */
	BERTH_OPERATOR_BATCH = 16,   /* records told together */
	BERTH_OPERATOR_BATCH_BYTES = 20 << 10,
	/* A clock that is more ahead than this would make its node's commands hold against all later ones. */
	BERTH_OPERATOR_AHEAD_MS = 3600 * 1000,
	/* How often a record is told: the store keeps it for 25 h. */
	BERTH_OPERATOR_AGAIN_MS = 12 * 3600 * 1000,
};

/* For how long the end of a drain or pin is remembered, so that a node that missed it does not bring it back. */
#define BERTH_OPERATOR_END_MS (UINT64_C(30) * 24 * 3600 * 1000)

/* X(symbol, name) */
#define BERTH_OPERATOR_OUTCOMES(X)                                                                                 \
	X(APPLIED, "applied") /* it holds from now on */                                                           \
	X(KNOWN, "known")                                                                                          \
	X(OLDER, "older")     /* a later record holds */                                                           \
	X(UNKNOWN, "unknown") /* no such service or backend here */                                                \
	X(REFUSED, "refused")                                                                                      \
	X(NO_ROOM, "no-room")

enum berth_operator_outcome {
#define BERTH_X(symbol, name) BERTH_OPERATOR_##symbol,
	BERTH_OPERATOR_OUTCOMES(BERTH_X)
#undef BERTH_X
	BERTH_OPERATOR_OUTCOME_COUNT,
};

struct berth_operator_set;

/* One moment on both clocks. */
struct berth_operator_time {
	uint64_t monotonic_ms;
	uint64_t unix_ms;
};

/* NULL: no memory. */
struct berth_operator_set *berth_operator_set_new(void);
void berth_operator_set_free(struct berth_operator_set *set);

/* The time to give a record that is set now: later than that of the one that it replaces. */
uint64_t berth_operator_set_time(const struct berth_operator_set *set, const struct berth_operator_record *key,
				 uint64_t unix_ms);
/* Merges a record. It is told `wait_ms` later if no other node tells it before; not if it is local. Never UNKNOWN.
 */
enum berth_operator_outcome berth_operator_set_merge(struct berth_operator_set *set,
						     const struct berth_operator_record *record,
						     const struct berth_operator_time *now, uint64_t wait_ms);
/* What merge would say. */
enum berth_operator_outcome berth_operator_set_check(const struct berth_operator_set *set,
						     const struct berth_operator_record *record, uint64_t unix_ms);
/* The record that holds; NULL: there is none. */
const struct berth_operator_record *berth_operator_set_find(const struct berth_operator_set *set,
							    const struct berth_operator_record *key);

typedef bool berth_operator_keep_fn(void *arg, const struct berth_operator_record *record);
/* Removes ends that are old, and records that are not to be kept. `keep` must not use the set. */
void berth_operator_set_sweep(struct berth_operator_set *set, uint64_t unix_ms, berth_operator_keep_fn *keep,
			      void *arg);
typedef void berth_operator_see_fn(void *arg, const struct berth_operator_record *record);
void berth_operator_set_for_each(const struct berth_operator_set *set, berth_operator_see_fn *see, void *arg);
size_t berth_operator_set_count(const struct berth_operator_set *set);

/* Gives on a batch, JSON. False: it cannot be told now. */
typedef bool berth_operator_tell_fn(void *arg, const uint8_t *batch, size_t bytes);
/* Tells what is due, or a part of it. Returns how many records. */
size_t berth_operator_set_tell(struct berth_operator_set *set, uint64_t monotonic_ms, berth_operator_tell_fn *tell,
			       void *arg);
/* What was told is lost: all is told again, `wait_ms` from now. */
void berth_operator_set_tell_again(struct berth_operator_set *set, uint64_t monotonic_ms, uint64_t wait_ms);

/* The records of a batch, which may be any bytes. Returns how many; REFUSED ones are counted in `refused`. */
size_t berth_operator_batch_read(const uint8_t *batch, size_t bytes,
				 struct berth_operator_record records[BERTH_OPERATOR_BATCH], uint64_t *refused);
const char *berth_operator_outcome_name(enum berth_operator_outcome outcome);
