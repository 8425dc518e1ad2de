/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/*
 * The flow table and the session table: lock-free, one 64-bit word (word.h) per entry, buckets of one memory line
 * (bucket.h). The hash gives the home bucket, the tag a second one.
 *
 * - A match is an equal tag and a backend of the very service that is asked about. A false match needs another
 *   flow of the same service with the same tag in one of 16 words: at most 16 / 2^28 = 6e-8 per new flow. It
 *   gives that flow a live backend of its own service, and keeps giving it.
 * - Nothing is relocated. Every change is one compare-and-swap of one word from the value that was judged, so
 *   a change that lost a race changes nothing.
 * - Where two workers insert the same flow at once, into different words, both write it as CLAIMED first and
 *   then settle which one stands (berth_flowtab_settle). A flow never has two settled words.
 *
 * Called by workers (any number at once) and by the control plane's walk. Time is an argument.
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

/* What an entry is looked for by: table, service and hash. */
struct berth_key {
	uint32_t table;	  /* enum berth_table */
	uint32_t service; /* number; 0: any */
	uint32_t tag;
	uint32_t bucket[2]; /* home, and where an entry goes whose home is full */
	uint32_t pad;
};

/* A place in a table (bucket * BERTH_BUCKET_WORDS + word) and the value that it had when it was read. */
struct berth_entry {
	uint64_t value;
	uint32_t at; /* BERTH_NOT_FOUND: there is none */
	uint32_t pad;
};

#define BERTH_NOT_FOUND UINT32_MAX

/* Where an entry goes whose home is nearly full: another bucket wherever there is more than one. */
BERTH_INLINE uint32_t berth_second_bucket(uint64_t hash, uint32_t mask)
{
	return ((uint32_t)hash ^ ((berth_hash_tag(hash) * 0x9e3779b1u >> 3) | 1)) & mask;
}

BERTH_INLINE struct berth_key berth_key_make(const struct berth_view *view, enum berth_table table,
					     uint32_t service, uint64_t hash)
{
	uint32_t mask = table == BERTH_TABLE_FLOWS ? view->flow_mask : view->session_mask;
	/* Field by field: GCC would build a literal in small pieces and copy it in large ones, and wait for it. */
	struct berth_key key;
	key.table = table;
	key.service = service;
	key.tag = berth_hash_tag(hash);
	key.bucket[0] = (uint32_t)hash & mask;
	key.bucket[1] = berth_second_bucket(hash, mask);
	key.pad = 0;
	return key;
}

BERTH_INLINE struct berth_bucket *berth_bucket_at(const struct berth_view *view, uint32_t table, uint32_t index)
{
	/* Apart, or clang makes one look-up of "either map", which the kernel does not inline. */
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

/* What stands in a place now; 0: free. */
BERTH_INLINE uint64_t berth_entry_read(const struct berth_view *view, const struct berth_key *key,
				       const struct berth_entry *entry)
{
	struct berth_bucket *bucket = berth_bucket_at(view, key->table, entry->at / BERTH_BUCKET_WORDS);
	return bucket ? BERTH_LOAD(&bucket->word[entry->at % BERTH_BUCKET_WORDS]) : 0;
}

/* Writes `next` if the place still holds the entry's value. */
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

/* Whether a word that has the right tag is an entry of this service. */
BERTH_INLINE bool berth_word_has_service(const struct berth_view *view, uint64_t word, uint32_t service)
{
	const struct berth_backend *backend = berth_backend_of(view, berth_word_backend(word));
	return backend && backend->service == service && backend->id;
}

/* Whether a word is an entry of this key's. */
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

/* The first word at home that bears a hash's tag, and its value, where it is a settled entry of the service: nearly
 * always the entry of a flow that goes on. NULL: one has to look everywhere. */
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

/* berth_flowtab_lookup where the first word with the right tag is not the answer: it looks at every word. Returns
 * how many claims there are; 0 where it found a settled word. */
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

/*
 * Finds the entry of a key: the settled one, else the first claimed one, else none. The caller judges its age
 * and whether its backend may still be used.
 */
BERTH_STEP int berth_flowtab_lookup(const struct berth_view *view, const struct berth_key *key,
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

/* Drops the claims of a key other than the one at `mine`; 0 if something else of the key's is there. */
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
 * Makes one of a key's claims its entry, in `state`. `entry` is a claim known to stand (the caller wrote or
 * read it) and becomes the settled entry, whoever's it is; or nowhere, if all claims vanished or the rounds
 * ran out, and then nothing of the caller's is remembered.
 *
 * Whoever settles a claim has looked at both buckets since it stood, found no settled word, and dropped every
 * other claim. So of two claims at most one is settled: the later scan sees the other claim or its settled
 * word, and a dropped claim makes its owner's last compare-and-swap fail. Where two see each other, the one
 * that comes first in the buckets stands.
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
			/* Somebody's is settled, or nothing is left: ours, if it still stands, goes. */
			if (first.at != mine.at)
				berth_entry_swap(view, key, &mine, 0);
			*entry = first;
			return 0;
		}
		if (first.at != entry->at || first.value != entry->value) {
			/* A claim before ours: from here on it is the one to settle. */
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

/* How readily a word gives way to a new entry: 0 never, 1 + age if unconfirmed, the most if it is expired. */
BERTH_INLINE uint32_t berth_word_eviction_rank(const struct berth_view *view, uint64_t word)
{
	const struct berth_backend *backend = berth_backend_of(view, berth_word_backend(word));
	if (!backend || !backend->id)
		return 0; /* of a backend that was removed; the control plane's walk takes it away */
	const struct berth_service *service = berth_service_of(view, backend->service);
	if (!service)
		return 0;
	if (berth_word_is_expired(word, view->now, service))
		return UINT32_MAX;
	return BERTH_UNCONFIRMED_STATES >> berth_word_state(word) & 1 ? 1 + berth_word_age(word, view->now) : 0;
}

/* The victim, where the words themselves tell which it is, as nearly always; without asking of each whose it is. */
BERTH_INLINE bool berth_flowtab_find_oldest(const struct berth_view *view, const struct berth_key *key,
					    struct berth_entry *victim)
{
#ifdef BERTH_VECTORS
	const uint32_t *least = berth_at_globals(view, view->global)->least_timeout;
	uint32_t rank[2];
	for (int i = 0; i < 2; i++) {
		rank[i] = berth_bucket_rank(berth_bucket_at(view, key->table, key->bucket[i]), least, view->now);
		if (rank[i] == BERTH_RANK_UNKNOWN)
			return false;
	}
	bool second = berth_rank_age(rank[1]) > berth_rank_age(rank[0]);
	uint32_t most = rank[second];
	if (most == BERTH_RANK_NONE)
		return true;
	berth_entry_set(victim, 0, key->bucket[second] * BERTH_BUCKET_WORDS + berth_rank_place(most));
	victim->value = berth_entry_read(view, key, victim);
	return berth_word_eviction_rank(view, victim->value) == berth_rank_age(most) &&
	       !berth_word_matches(view, key, victim->value);
#else
	(void)view, (void)key, (void)victim;
	return false;
#endif
}

/* The word that yields most readily, where none is free; or nowhere. */
BERTH_RARE_STEP int berth_flowtab_find_victim(const struct berth_view *view, const struct berth_key *key,
					      struct berth_entry *victim)
{
	if (!BERTH_IS_SET(view) || !BERTH_IS_SET(key) || !BERTH_IS_SET(victim))
		return 0;
	uint32_t most = 0;
	berth_entry_set(victim, 0, BERTH_NOT_FOUND);
	if (berth_flowtab_find_oldest(view, key, victim))
		return 0;
	berth_entry_set(victim, 0, BERTH_NOT_FOUND);
	for (int i = 0; i < 2; i++) {
		struct berth_bucket *bucket = berth_bucket_at(view, key->table, key->bucket[i]);
		for (uint32_t j = 0; bucket && j < BERTH_BUCKET_WORDS; j++) {
			uint64_t value = BERTH_LOAD(&bucket->word[j]);
			uint32_t yields = berth_word_eviction_rank(view, value);
			/* The key's own entry, just inserted by somebody else, must not give way to it. */
			if (yields > most && !berth_word_matches(view, key, value)) {
				most = yields;
				berth_entry_set(victim, value, key->bucket[i] * BERTH_BUCKET_WORDS + j);
			}
		}
	}
	return 0;
}

/*
 * Where a new entry goes: a free word, else the word that yields most readily, else nowhere.
 *
 * Free words are taken at home until it is nearly full, then in the emptier of the two. At three quarters of the
 * words used, that leaves 0.2% of entries without room and 8% of hits with a second line to read; always home
 * first would leave 1% and 5%, always the emptier one 0.003% and 22% and more.
 */
BERTH_INLINE void berth_flowtab_find_room(const struct berth_view *view, const struct berth_key *key,
					  struct berth_bucket *const buckets[2], struct berth_entry *room)
{
	_Static_assert(BERTH_HOME_WORDS == BERTH_BUCKET_WORDS - 1, "home is nearly full with one word left");
	uint32_t home = berth_bucket_free(buckets[0]);
	/* A set without its lowest bit: whether there are two. */
	if (BERTH_LIKELY(home & (home - 1))) {
		berth_entry_set(room, 0, key->bucket[0] * BERTH_BUCKET_WORDS + berth_lowest_bit8(home));
		return;
	}
	uint32_t other = berth_bucket_free(buckets[1]);
	bool at_home = home ? !(other & (other - 1)) : !other;
	uint32_t free = at_home ? home : other;
	if (BERTH_UNLIKELY(!free)) {
		berth_flowtab_find_victim(view, key, room);
		return;
	}
	/* (No array index: the verifier refuses clang's arithmetic on a pointer to the stack.) */
	uint32_t bucket = at_home ? key->bucket[0] : key->bucket[1];
	berth_entry_set(room, 0, bucket * BERTH_BUCKET_WORDS + berth_lowest_bit8(free));
}

/* Writes a claim for `backend` into a free word, or over one that yields. `entry` becomes the claim, or nowhere.
 * Returns 1 if a living entry had to go. */
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

/* Settles one's own claim where it is the key's only word, as nearly always; else `entry` stays a claim. */
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

/* Settles one's own claim. `entry` becomes the entry that stands, with the backend of whoever was first; or
 * nowhere. Apart from the claim so that a burst can do the one for all of its packets, then the other: what follows
 * an atomic operation waits for it. */
BERTH_INLINE void berth_flowtab_settle_own(const struct berth_view *view, const struct berth_key *key,
					   uint32_t state, struct berth_entry *entry)
{
	berth_flowtab_settle_alone(view, key, state, entry);
	if (BERTH_UNLIKELY(berth_word_state(entry->value) == BERTH_STATE_CLAIMED))
		berth_flowtab_settle(view, key, state, entry);
}

/* A claim, settled if it is alone. */
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
 * Remembers `backend` for a key that berth_flowtab_lookup did not find. `entry` becomes the entry that stands,
 * with the backend of whoever was first; or nowhere. Returns 1 if a living entry of another key had to go.
 *
 * A claim that met another is settled apart: BPF has 512 bytes for a whole chain of calls.
 */
BERTH_INLINE int berth_flowtab_insert(const struct berth_view *view, const struct berth_key *key, uint32_t backend,
				      uint32_t state, struct berth_entry *entry)
{
	int evicted = berth_flowtab_claim_and_settle(view, key, backend, state, entry);
	if (entry->at != BERTH_NOT_FOUND && berth_word_state(entry->value) == BERTH_STATE_CLAIMED)
		berth_flowtab_settle(view, key, state, entry);
	return evicted;
}
