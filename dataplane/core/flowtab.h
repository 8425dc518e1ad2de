/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/*
 * The flow table and the session table: lock-free, one 64-bit word (word.h) per entry, buckets of one memory line
 * (bucket.h). The hash gives the home bucket, the tag the second one.
 *
 * - A match is an equal tag and a backend of the same service. A false match needs another flow of the service with
 * the same tag in one of 16 words: at most 16 / 2^28 = 6e-8 per new flow. It gives the flow an eligible backend of
 * its service, the same for all its packets.
 * - No entry is relocated. Every change is one compare-and-swap of one word; after a lost race nothing has changed.
 * - Two workers can insert the same flow at once, into different words: both write it as CLAIMED first, then settle
 * which one stays (berth_flowtab_settle). A flow never has two settled words.
 *
 * Called by workers (any number at once) and by berthd. Time is an argument.
 */
#pragma once

#include "bucket.h"

#ifndef BERTH_HAVE_ACCESSORS
#error "include image.h or bpf/maps.h first"
#endif

enum berth_table {
	BERTH_TABLE_FLOWS,
	BERTH_TABLE_SESSIONS,
};

/* The key of an entry: table, service and hash. */
struct berth_key {
	uint32_t table;	  /* enum berth_table */
	uint32_t service; /* number; 0: any */
	uint32_t tag;
	uint32_t bucket[2]; /* home bucket, second bucket */
	uint32_t low;	    /* bits of the hash that give the home bucket in a table of any size */
};

/* A place in a table (bucket * BERTH_BUCKET_WORDS + word) and its value when it was read. */
struct berth_entry {
	uint64_t value;
	uint32_t at; /* BERTH_NOT_FOUND: no entry */
	uint32_t pad;
};

#define BERTH_NOT_FOUND UINT32_MAX

/* From the home bucket of a tag to its second bucket, in a table of any size: the bits that differ. */
BERTH_INLINE uint32_t berth_bucket_distance(uint32_t tag)
{
	return (tag * 0x9e3779b1u >> 3) | 1;
}

/* The second bucket of a hash. It differs from the home bucket if the table has more than one. */
BERTH_INLINE uint32_t berth_second_bucket(uint64_t hash, uint32_t mask)
{
	return ((uint32_t)hash ^ berth_bucket_distance(berth_hash_tag(hash))) & mask;
}

BERTH_INLINE struct berth_key berth_key_make(const struct berth_view *view, enum berth_table table,
					     uint32_t service, uint64_t hash)
{
	uint32_t mask = table == BERTH_TABLE_FLOWS ? view->flow_mask : view->session_mask;
	/* Field by field: GCC would store a literal in small parts and load it in larger ones, which can't be
	 * forwarded. */
	struct berth_key key;
	key.table = table;
	key.service = service;
	key.tag = berth_hash_tag(hash);
	key.bucket[0] = (uint32_t)hash & mask;
	key.bucket[1] = berth_second_bucket(hash, mask);
	key.low = (uint32_t)hash;
	return key;
}

BERTH_INLINE struct berth_bucket *berth_bucket_at(const struct berth_view *view, uint32_t table, uint32_t index)
{
	/* Kept apart: clang would make one lookup of either map, which the kernel does not inline. */
	struct berth_bucket *bucket;
	if (table == BERTH_TABLE_FLOWS) {
		bucket = berth_at_flows(view, index);
		BERTH_OPAQUE(bucket);
	} else {
		bucket = berth_at_sessions(view, index);
		BERTH_OPAQUE(bucket);
	}
	return bucket;
}

/* The current value of an entry's place; 0: free. */
BERTH_INLINE uint64_t berth_entry_read(const struct berth_view *view, const struct berth_key *key,
				       const struct berth_entry *entry)
{
	struct berth_bucket *bucket = berth_bucket_at(view, key->table, entry->at / BERTH_BUCKET_WORDS);
	return bucket ? BERTH_LOAD(&bucket->word[entry->at % BERTH_BUCKET_WORDS]) : 0;
}

/* Writes `next` if the place still has the entry's value; false if not. */
BERTH_INLINE bool berth_entry_swap(const struct berth_view *view, const struct berth_key *key,
				   const struct berth_entry *entry, uint64_t next)
{
	struct berth_bucket *bucket = berth_bucket_at(view, key->table, entry->at / BERTH_BUCKET_WORDS);
	return bucket && berth_swap(&bucket->word[entry->at % BERTH_BUCKET_WORDS], entry->value, next);
}

BERTH_INLINE const struct berth_backend *berth_backend_of(const struct berth_view *view, uint32_t number)
{
	return number < view->backends ? berth_at_backends(view, view->first_backend + number) : NULL;
}

BERTH_INLINE const struct berth_service *berth_service_of(const struct berth_view *view, uint32_t number)
{
	return number < view->services ? berth_at_services(view, view->first_service + number) : NULL;
}

/* enum berth_eligible bits of a backend. */
BERTH_INLINE uint32_t berth_eligibility(const struct berth_view *view, uint32_t backend)
{
	const struct berth_eligibility_line *line =
		backend < view->backends ? berth_at_eligibility(view, backend / BERTH_ELIGIBILITY_PER_LINE) : NULL;
	return line ? BERTH_LOAD(&line->backend[backend % BERTH_ELIGIBILITY_PER_LINE]) : 0;
}

/* Whether a word with the right tag is an entry of this service. */
BERTH_INLINE bool berth_word_has_service(const struct berth_view *view, uint64_t word, uint32_t service)
{
	const struct berth_backend *backend = berth_backend_of(view, berth_word_backend(word));
	return backend && backend->service == service && backend->id;
}

/* Whether a word is an entry of this key. */
BERTH_INLINE bool berth_word_matches(const struct berth_view *view, const struct berth_key *key, uint64_t word)
{
	if (BERTH_LIKELY(berth_word_tag(word) != key->tag) || word == 0)
		return false;
	const struct berth_backend *backend = berth_backend_of(view, berth_word_backend(word));
	return backend && backend->id && (key->service == 0 || backend->service == key->service);
}

BERTH_INLINE void berth_entry_set(struct berth_entry *entry, uint64_t value, uint32_t at)
{
	entry->value = value;
	entry->at = at;
	entry->pad = 0;
}

/* Fast path: the first word of the home bucket with the hash's tag, if it is a settled entry of the service. It
 * nearly always is the flow's. NULL: a full lookup is needed. */
BERTH_INLINE uint64_t *berth_flowtab_lookup_fast(const struct berth_view *view, uint64_t hash, uint32_t service,
						 uint64_t *value)
{
	struct berth_bucket *home = berth_at_flows(view, (uint32_t)hash & view->flow_mask);
	uint32_t equal = home ? berth_bucket_match(home, berth_hash_tag(hash)) : 0;
	if (BERTH_UNLIKELY(!equal))
		return NULL;
	uint64_t *word = &home->word[berth_lowest_bit8(equal)];
	*value = BERTH_LOAD(word);
	if (BERTH_UNLIKELY(*value == 0 || berth_word_state(*value) == BERTH_STATE_CLAIMED ||
			   !berth_word_has_service(view, *value, service)))
		return NULL;
	return word;
}

/* berth_flowtab_find over all words. Returns the number of claims; 0 if it found a settled word. */
BERTH_RARE_STEP int berth_flowtab_search(const struct berth_view *view, const struct berth_key *key,
					 struct berth_entry *found)
{
	if (!BERTH_IS_SET(view) || !BERTH_IS_SET(key) || !BERTH_IS_SET(found))
		return 0;
	int claims = 0;
	berth_entry_set(found, 0, BERTH_NOT_FOUND);
	for (int i = 0; i < 2; i++) {
		struct berth_bucket *bucket = berth_bucket_at(view, key->table, key->bucket[i]);
		if (!bucket)
			return 0;
		BERTH_EACH_CANDIDATE(bucket, key->tag, j)
		{
			uint64_t value = BERTH_LOAD(&bucket->word[j]);
			if (!berth_word_matches(view, key, value))
				continue;
			bool settled = berth_word_state(value) != BERTH_STATE_CLAIMED;
			if (settled || found->at == BERTH_NOT_FOUND)
				berth_entry_set(found, value, key->bucket[i] * BERTH_BUCKET_WORDS + j);
			if (settled)
				return 0;
			claims++;
		}
	}
	return claims;
}

/* Finds the entry of a key: the settled one, else the first claim, else BERTH_NOT_FOUND. The caller checks its
 * age and whether its backend is eligible. Not in the former table: berth_flowtab_lookup (former.h). Returns 0. */
BERTH_STEP int berth_flowtab_find(const struct berth_view *view, const struct berth_key *key,
				  struct berth_entry *found)
{
	if (!BERTH_IS_SET(view) || !BERTH_IS_SET(key) || !BERTH_IS_SET(found))
		return 0;
	for (int i = 0; i < 2; i++) {
		struct berth_bucket *bucket = berth_bucket_at(view, key->table, key->bucket[i]);
		uint32_t at = bucket ? berth_bucket_match_first(bucket, key->tag) : BERTH_BUCKET_WORDS;
		if (at >= BERTH_BUCKET_WORDS)
			continue;
		uint64_t value = BERTH_LOAD(&bucket->word[at]);
		if (BERTH_UNLIKELY(!berth_word_matches(view, key, value) ||
				   berth_word_state(value) == BERTH_STATE_CLAIMED))
			berth_flowtab_search(view, key, found);
		else
			berth_entry_set(found, value, key->bucket[i] * BERTH_BUCKET_WORDS + at);
		return 0;
	}
	berth_entry_set(found, 0, BERTH_NOT_FOUND);
	return 0;
}

/* Frees the claims of a key except the one at `mine`. Returns 0 if the key has a settled word, or after a lost
 * race. */
BERTH_RARE_STEP int berth_flowtab_drop_claims(const struct berth_view *view, const struct berth_key *key,
					      uint32_t mine)
{
	if (!BERTH_IS_SET(view) || !BERTH_IS_SET(key))
		return 0;
	for (int i = 0; i < 2; i++) {
		struct berth_bucket *bucket = berth_bucket_at(view, key->table, key->bucket[i]);
		if (!bucket)
			return 0;
		BERTH_EACH_CANDIDATE(bucket, key->tag, j)
		{
			uint64_t value = BERTH_LOAD(&bucket->word[j]);
			if (key->bucket[i] * BERTH_BUCKET_WORDS + j == mine ||
			    !berth_word_matches(view, key, value))
				continue;
			if (berth_word_state(value) != BERTH_STATE_CLAIMED ||
			    !berth_swap(&bucket->word[j], value, 0))
				return 0;
		}
	}
	return 1;
}

/*
 * Settles the claims of a key: one of them becomes its entry, in `state`. `entry` is a claim that the caller wrote
 * or read. It becomes the settled entry, of any worker; or BERTH_NOT_FOUND, if all claims disappeared or the rounds
 * ran out.
 *
 * A worker settles a claim only after it has searched both buckets since the claim was written, found no settled
 * word and freed every other claim. So at most one of two claims is settled: the later search sees the other claim
 * or its settled word, and the owner of a freed claim fails in its last compare-and-swap. If two workers see each
 * other's claims, the one that comes first in the buckets stays.
 */
BERTH_RARE_STEP int berth_flowtab_settle(const struct berth_view *view, const struct berth_key *key, uint32_t state,
					 struct berth_entry *entry)
{
	if (!BERTH_IS_SET(view) || !BERTH_IS_SET(key) || !BERTH_IS_SET(entry))
		return 0;
	const struct berth_entry mine = *entry;
	for (int round = 0; round < BERTH_SETTLE_ROUNDS; round++) {
		struct berth_entry first;
		int claims = berth_flowtab_search(view, key, &first);
		if (first.at == BERTH_NOT_FOUND || berth_word_state(first.value) != BERTH_STATE_CLAIMED) {
			/* Another one is settled, or none is left: ours is freed if it still exists. */
			if (first.at != mine.at)
				berth_entry_swap(view, key, &mine, 0);
			*entry = first;
			return 0;
		}
		if (first.at != entry->at || first.value != entry->value) {
			/* A claim before ours: from here on, settle that one. */
			*entry = first;
			continue;
		}
		if (claims > 1 && !berth_flowtab_drop_claims(view, key, first.at))
			continue;
		uint64_t settled = berth_word_make(key->tag, berth_word_backend(first.value), view->now, state);
		if (berth_entry_swap(view, key, &first, settled)) {
			entry->value = settled;
			return 0;
		}
	}
	berth_entry_swap(view, key, &mine, 0);
	entry->at = BERTH_NOT_FOUND;
	return 0;
}

/* The rank of a word for eviction; the greatest is evicted first. 0: never. Without recent traffic: its age.
 * Unconfirmed: its age, above all ages. Expired: UINT32_MAX. */
BERTH_INLINE uint32_t berth_word_eviction_rank(const struct berth_view *view, uint64_t word)
{
	const struct berth_backend *backend = berth_backend_of(view, berth_word_backend(word));
	if (!backend || !backend->id)
		return 0; /* of a removed backend; the scan frees it */
	const struct berth_service *service = berth_service_of(view, backend->service);
	if (!service)
		return 0;
	if (berth_word_is_expired(word, view->now, service))
		return UINT32_MAX;
	const uint32_t age = berth_word_age(word, view->now);
	if (BERTH_UNCONFIRMED_STATES >> berth_word_state(word) & 1)
		return age + (1u << BERTH_SEEN_BITS);
	return age > BERTH_RECENT_S && BERTH_IDLE_STATES >> berth_word_state(word) & 1 ? age : 0;
}

/* The order of words of one rank for a key. */
BERTH_INLINE uint32_t berth_key_order(const struct berth_key *key)
{
	return key->tag & (BERTH_BUCKET_WORDS - 1);
}

/* Finds the victim by the words alone, which nearly always suffice; false: the services' timeouts are needed. */
BERTH_INLINE bool berth_flowtab_find_oldest(const struct berth_view *view, const struct berth_key *key,
					    struct berth_entry *victim)
{
	const struct berth_globals *globals = berth_at_globals(view, view->global);
	const struct berth_bucket *home = berth_bucket_at(view, key->table, key->bucket[0]);
	const struct berth_bucket *other = berth_bucket_at(view, key->table, key->bucket[1]);
	if (!globals || !home || !other)
		return false;
	const uint32_t order = berth_key_order(key);
	const uint32_t in_home = berth_bucket_rank(home, globals->least_timeout, view->now, order);
	const uint32_t in_other = berth_bucket_rank(other, globals->least_timeout, view->now, order);
	if (in_home == BERTH_RANK_UNKNOWN || in_other == BERTH_RANK_UNKNOWN)
		return false;
	/* (No array index: the verifier refuses clang's arithmetic on a pointer to the stack.) */
	const bool second = in_other > in_home;
	const uint32_t most = second ? in_other : in_home;
	const uint32_t bucket = second ? key->bucket[1] : key->bucket[0];
	if (most == BERTH_RANK_NONE)
		return true;
	berth_entry_set(victim, 0, bucket * BERTH_BUCKET_WORDS + berth_rank_index(most, order));
	victim->value = berth_entry_read(view, key, victim);
	return berth_word_eviction_rank(view, victim->value) == berth_rank_of_word(most) &&
	       !berth_word_matches(view, key, victim->value);
}

/* Finds the word to evict; BERTH_NOT_FOUND: none. */
BERTH_RARE_STEP int berth_flowtab_find_victim(const struct berth_view *view, const struct berth_key *key,
					      struct berth_entry *victim)
{
	if (!BERTH_IS_SET(view) || !BERTH_IS_SET(key) || !BERTH_IS_SET(victim))
		return 0;
	uint64_t most = 0;
	berth_entry_set(victim, 0, BERTH_NOT_FOUND);
	if (berth_flowtab_find_oldest(view, key, victim))
		return 0;
	berth_entry_set(victim, 0, BERTH_NOT_FOUND);
	for (int i = 0; i < 2; i++) {
		struct berth_bucket *bucket = berth_bucket_at(view, key->table, key->bucket[i]);
		for (uint32_t j = 0; bucket && j < BERTH_BUCKET_WORDS; j++) {
			uint64_t value = BERTH_LOAD(&bucket->word[j]);
			const uint64_t of_word = berth_word_eviction_rank(view, value);
			const uint64_t rank = of_word << 3 | (j ^ berth_key_order(key));
			/* Not the key's own entry, which another worker may just have inserted. */
			if (of_word && rank > most && !berth_word_matches(view, key, value)) {
				most = rank;
				berth_entry_set(victim, value, key->bucket[i] * BERTH_BUCKET_WORDS + j);
			}
		}
	}
	return 0;
}

/*
 * Finds the place of a new entry: a free word, else a victim, else BERTH_NOT_FOUND.
 *
 * Free words are taken in the home bucket until one is left there, then in the emptier bucket. With three quarters
 * of all words used, 0.2% of the entries find no room and 8% of the hits read a second line. Always the home bucket
 * first gives 1% and 5%, always the emptier one 0.003% and over 22%.
 */
BERTH_INLINE void berth_flowtab_find_room(const struct berth_view *view, const struct berth_key *key,
					  struct berth_bucket *const buckets[2], struct berth_entry *room)
{
	_Static_assert(BERTH_HOME_WORDS == BERTH_BUCKET_WORDS - 1, "one word is left");
	uint32_t home = berth_bucket_free(buckets[0]);
	/* At least two bits are set. */
	if (BERTH_LIKELY(home & (home - 1))) {
		berth_entry_set(room, 0, key->bucket[0] * BERTH_BUCKET_WORDS + berth_lowest_bit8(home));
		return;
	}
	uint32_t other = berth_bucket_free(buckets[1]);
	bool in_home = home ? !(other & (other - 1)) : !other;
	uint32_t free = in_home ? home : other;
	if (BERTH_UNLIKELY(!free)) {
		berth_flowtab_find_victim(view, key, room);
		return;
	}
	/* (No array index: the verifier refuses clang's arithmetic on a pointer to the stack.) */
	uint32_t bucket = in_home ? key->bucket[0] : key->bucket[1];
	berth_entry_set(room, 0, bucket * BERTH_BUCKET_WORDS + berth_lowest_bit8(free));
}

/* The room for a new entry of a key. */
enum berth_room {
	BERTH_ROOM,	    /* a free word, or an expired one */
	BERTH_ROOM_EVICTED, /* that of an entry that it would evict: so may have been done to the key's own */
	BERTH_ROOM_NONE,
};

BERTH_INLINE enum berth_room berth_flowtab_room(const struct berth_view *view, const struct berth_key *key)
{
	struct berth_entry room;
	struct berth_bucket *const buckets[2] = {
		berth_bucket_at(view, key->table, key->bucket[0]),
		berth_bucket_at(view, key->table, key->bucket[1]),
	};
	berth_entry_set(&room, 0, BERTH_NOT_FOUND);
	if (!buckets[0] || !buckets[1])
		return BERTH_ROOM;
	berth_flowtab_find_room(view, key, buckets, &room);
	if (room.at == BERTH_NOT_FOUND)
		return BERTH_ROOM_NONE;
	return room.value == 0 || berth_word_eviction_rank(view, room.value) == UINT32_MAX ? BERTH_ROOM
											   : BERTH_ROOM_EVICTED;
}

/* Writes a claim for `backend` into a free word or over a victim. `entry` becomes the claim, or BERTH_NOT_FOUND.
 * Returns 1 if an entry that had not expired was evicted. */
BERTH_INLINE int berth_flowtab_claim(const struct berth_view *view, const struct berth_key *key, uint32_t backend,
				     struct berth_entry *entry)
{
	berth_entry_set(entry, 0, BERTH_NOT_FOUND);
	struct berth_bucket *const buckets[2] = {
		berth_bucket_at(view, key->table, key->bucket[0]),
		berth_bucket_at(view, key->table, key->bucket[1]),
	};
	if (!buckets[0] || !buckets[1])
		return 0;
	uint64_t claim = berth_word_claim(key->tag, backend, view->now, view->worker);
	for (int i = 0; i < BERTH_SETTLE_ROUNDS; i++) {
		struct berth_entry room;
		berth_flowtab_find_room(view, key, buckets, &room);
		if (room.at == BERTH_NOT_FOUND)
			return 0;
		if (!berth_entry_swap(view, key, &room, claim))
			continue;
		berth_entry_set(entry, claim, room.at);
		return room.value != 0 && berth_word_eviction_rank(view, room.value) != UINT32_MAX;
	}
	return 0;
}

/* Settles the worker's own claim if it is the key's only word, as nearly always; else `entry` stays a claim. */
BERTH_INLINE void berth_flowtab_settle_alone(const struct berth_view *view, const struct berth_key *key,
					     uint32_t state, struct berth_entry *entry)
{
	struct berth_bucket *home = berth_bucket_at(view, key->table, key->bucket[0]);
	struct berth_bucket *other = berth_bucket_at(view, key->table, key->bucket[1]);
	if (!home || !other)
		return;
	uint64_t settled = berth_word_make(key->tag, berth_word_backend(entry->value), view->now, state);
	if (berth_claim_is_only_match(home, other, entry->value) && berth_entry_swap(view, key, entry, settled))
		entry->value = settled;
}

/* Settles the worker's own claim. `entry` becomes the key's entry, with the backend of the worker that was first;
 * or BERTH_NOT_FOUND. Separate from the claim, so that a burst writes all claims first: an atomic operation delays
 * what follows it. */
BERTH_INLINE void berth_flowtab_settle_own(const struct berth_view *view, const struct berth_key *key,
					   uint32_t state, struct berth_entry *entry)
{
	berth_flowtab_settle_alone(view, key, state, entry);
	if (BERTH_UNLIKELY(berth_word_state(entry->value) == BERTH_STATE_CLAIMED))
		berth_flowtab_settle(view, key, state, entry);
}

/* Writes a claim, and settles it if it is the key's only word. Returns as berth_flowtab_claim. */
BERTH_STEP int berth_flowtab_claim_and_settle(const struct berth_view *view, const struct berth_key *key,
					      uint32_t backend, uint32_t state, struct berth_entry *entry)
{
	if (!BERTH_IS_SET(view) || !BERTH_IS_SET(key) || !BERTH_IS_SET(entry))
		return 0;
	int evicted = berth_flowtab_claim(view, key, backend, entry);
	if (entry->at != BERTH_NOT_FOUND)
		berth_flowtab_settle_alone(view, key, state, entry);
	return evicted;
}

/*
 * Inserts an entry for a key that berth_flowtab_lookup did not find. `entry` becomes the key's entry, with the
 * backend of the worker that was first; or BERTH_NOT_FOUND. Returns as berth_flowtab_claim.
 *
 * Two steps, because a chain of BPF calls has 512 bytes of stack.
 */
BERTH_INLINE int berth_flowtab_insert(const struct berth_view *view, const struct berth_key *key, uint32_t backend,
				      uint32_t state, struct berth_entry *entry)
{
	int evicted = berth_flowtab_claim_and_settle(view, key, backend, state, entry);
	if (entry->at != BERTH_NOT_FOUND && berth_word_state(entry->value) == BERTH_STATE_CLAIMED)
		berth_flowtab_settle(view, key, state, entry);
	return evicted;
}
