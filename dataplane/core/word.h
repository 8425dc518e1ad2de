/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/*
 * A word of the flow table or the session table: one entry.
 *
 *   63        36 35       20 19       3 2     0
 *   | tag (28)  | backend 16 | seen 17 | state 3 |
 *
 * - A word of 0 is free. `seen` is the second of the last packet (modulo 2^17, 36 hours); it never decreases.
 * - The tag is the top bits of the entry's hash. The low bits of the hash give the home bucket, the tag gives the
 * second bucket and the row of the selection table. So a scan, which has no addresses, can compute what selection
 * gives for each entry now.
 * - In a claim only the low 7 bits of `seen` are a time; the others are the number of its worker. Two claims of
 * different workers for one key in one place are therefore different values.
 */
#pragma once

#include "abi.h"

/* Of what the stores hold: this layout, the buckets of a hash (flowtab.h), the hashes themselves (hash.h), struct
 * berth_client, the values of enum berth_state and enum berth_reason. Raise it when one of them changes: berthd
 * then refuses to replace tables of the other format. `seen` of a claim does not count: a claim is there for
 * microseconds, and a reader that divides it differently takes it at worst for one that has expired. */
#define BERTH_WORD_FORMAT 1

enum {
	BERTH_TAG_BITS = 28,
	BERTH_TAG_SHIFT = 36,
	BERTH_BACKEND_SHIFT = 20,
	BERTH_SEEN_SHIFT = 3,
	BERTH_SEEN_BITS = 17,
	BERTH_SEEN_MASK = (1 << BERTH_SEEN_BITS) - 1,
	BERTH_SEEN_AHEAD = 4096, /* seconds by which a word can be ahead of its reader's clock */
	BERTH_CLAIM_BITS = 7,	 /* of `seen` in a claim: the second, modulo 2 minutes */
	BERTH_CLAIM_MASK = (1 << BERTH_CLAIM_BITS) - 1,
	BERTH_STATE_MASK = 7,
	/* States, a bit each, of which one packet is proof: such entries can be evicted at any time. */
	BERTH_UNCONFIRMED_STATES = 1 << BERTH_STATE_UNCONFIRMED | 1 << BERTH_STATE_FRAGMENT,
	/* States whose entries can be evicted when they have no recent traffic. */
	BERTH_IDLE_STATES = 1 << BERTH_STATE_CONFIRMED | 1 << BERTH_STATE_CLOSING | 1 << BERTH_STATE_CLOSED,
};
_Static_assert(BERTH_CONTROL_WORKER >> (BERTH_SEEN_BITS - BERTH_CLAIM_BITS) == 0,
	       "a claim has room for every worker number");
_Static_assert(BERTH_CONTROL_WORKER >= BERTH_MAX_WORKERS, "no worker has the number of berthd");

BERTH_INLINE uint32_t berth_hash_tag(uint64_t hash)
{
	return (uint32_t)(hash >> BERTH_TAG_SHIFT);
}

BERTH_INLINE uint32_t berth_word_tag(uint64_t word)
{
	return (uint32_t)(word >> BERTH_TAG_SHIFT);
}

BERTH_INLINE uint32_t berth_word_backend(uint64_t word)
{
	return (uint32_t)(word >> BERTH_BACKEND_SHIFT) & 0xffff;
}

BERTH_INLINE uint32_t berth_word_state(uint64_t word)
{
	return (uint32_t)word & BERTH_STATE_MASK;
}

/* Seconds since the last packet of a settled word, up to 35 hours. A reader takes the time once per burst or slice
 * of a scan, so a word that another worker touched can be ahead of `now`; its age is 0. */
BERTH_INLINE uint32_t berth_word_age(uint64_t word, uint32_t now)
{
	uint32_t age = (now - (uint32_t)(word >> BERTH_SEEN_SHIFT)) & BERTH_SEEN_MASK;
	return age <= BERTH_SEEN_MASK - BERTH_SEEN_AHEAD ? age : 0;
}

/* Seconds since a claim was written, modulo 2 minutes. */
BERTH_INLINE uint32_t berth_claim_age(uint64_t word, uint32_t now)
{
	uint32_t age = (now - (uint32_t)(word >> BERTH_SEEN_SHIFT)) & BERTH_CLAIM_MASK;
	return age <= BERTH_CLAIM_MASK / 2 ? age : 0;
}

BERTH_INLINE uint64_t berth_word_make(uint32_t tag, uint32_t backend, uint32_t now, uint32_t state)
{
	return (uint64_t)tag << BERTH_TAG_SHIFT | (uint64_t)backend << BERTH_BACKEND_SHIFT |
	       (uint64_t)(now & BERTH_SEEN_MASK) << BERTH_SEEN_SHIFT | state;
}

/* A claim of this worker, to be settled. */
BERTH_INLINE uint64_t berth_word_claim(uint32_t tag, uint32_t backend, uint32_t now, uint32_t worker)
{
	return berth_word_make(tag, backend, worker << BERTH_CLAIM_BITS | (now & BERTH_CLAIM_MASK),
			       BERTH_STATE_CLAIMED);
}

/* The entry in state `state`, last seen now. */
BERTH_INLINE uint64_t berth_word_touch(uint64_t word, uint32_t now, uint32_t state)
{
	if (berth_word_age(word, now) == 0)
		return (word & ~(uint64_t)BERTH_STATE_MASK) | state;
	const uint64_t keep = ~(((uint64_t)BERTH_SEEN_MASK << BERTH_SEEN_SHIFT) | BERTH_STATE_MASK);
	return (word & keep) | (uint64_t)(now & BERTH_SEEN_MASK) << BERTH_SEEN_SHIFT | state;
}

/* Whether the word is older than the timeout of its state. Ages are whole seconds: a word never expires early, and
 * at most one second late. */
BERTH_INLINE bool berth_word_is_expired(uint64_t word, uint32_t now, const struct berth_service *service)
{
	uint32_t state = berth_word_state(word);
	uint32_t age = BERTH_UNLIKELY(state == BERTH_STATE_CLAIMED) ? berth_claim_age(word, now)
								    : berth_word_age(word, now);
	return age > service->timeout[state];
}
