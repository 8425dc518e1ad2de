/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/*
 * Former tables: after a change of size, the flow or session table of the former size. It is read where a lookup
 * misses in the table, and what is found there moves into the table. New entries are inserted into the table only.
 *
 * A word has too few bits of its hash for a larger table, so nothing but a lookup with the whole hash can move it:
 * a packet's, or berthd's, which has the client's address of each session. Once no live word is left, berthd ends
 * it (ctl.former_flow_bits).
 *
 * A key's entry is in one of the two tables: it is inserted into the table before it is cleared in the former one,
 * and a lookup reads them in that order. An entry that finds no room stays where it is, and its packet is steered
 * as one of a new flow; berthd makes no table so small (controlplane/engine/kept.c).
 */
#pragma once

#include "flowtab.h"

/* As in view; 0: there is no former table. */
BERTH_INLINE uint32_t berth_former_bits(const struct berth_view *view, uint32_t table)
{
	return table == BERTH_TABLE_FLOWS ? view->former_flow_bits : view->former_session_bits;
}

BERTH_INLINE struct berth_bucket *berth_former_bucket_at(const struct berth_view *view, uint32_t table,
							 uint32_t index)
{
	/* Kept apart, as in berth_bucket_at. */
	struct berth_bucket *bucket;
	if (table == BERTH_TABLE_FLOWS) {
		bucket = berth_at_former_flows(view, index);
		BERTH_OPAQUE(bucket);
	} else {
		bucket = berth_at_former_sessions(view, index);
		BERTH_OPAQUE(bucket);
	}
	return bucket;
}

/* Whether a word of the former table has not expired. A pinned session does not. */
BERTH_INLINE bool berth_former_is_live(const struct berth_view *view, uint32_t table, uint64_t word, uint32_t at)
{
	const struct berth_backend *backend = berth_backend_of(view, berth_word_backend(word));
	const struct berth_service *service = backend ? berth_service_of(view, backend->service) : NULL;
	if (!service || berth_word_state(word) == BERTH_STATE_CLAIMED)
		return false;
	if (!berth_word_is_expired(word, view->now, service))
		return true;
	const struct berth_client *client = table == BERTH_TABLE_SESSIONS ? berth_at_former_clients(view, at)
									  : NULL;
	return client && client->tag == berth_word_tag(word) && client->reason == BERTH_REASON_PINNED;
}

/* The live, settled entry of a key in one bucket of the former table; else `found` stays as it is. Returns 0. (A
 * step of its own: in a loop over the two buckets the verifier sees no end.) */
BERTH_RARE_STEP int berth_former_find_in(const struct berth_view *view, const struct berth_key *key, uint32_t index,
					 struct berth_entry *found)
{
	if (!BERTH_IS_SET(view) || !BERTH_IS_SET(key) || !BERTH_IS_SET(found))
		return 0;
	struct berth_bucket *bucket = berth_former_bucket_at(view, key->table, index);
	if (!bucket)
		return 0;
	BERTH_EACH_CANDIDATE(bucket, key->tag, i)
	{
		const uint64_t value = BERTH_LOAD(&bucket->word[i]);
		const uint32_t at = index * BERTH_BUCKET_WORDS + i;
		if (berth_word_matches(view, key, value) && berth_former_is_live(view, key->table, value, at))
			berth_entry_set(found, value, at);
	}
	return 0;
}

/* The same in both of its buckets; else BERTH_NOT_FOUND. */
BERTH_INLINE void berth_former_find(const struct berth_view *view, const struct berth_key *key,
				    struct berth_entry *found)
{
	const uint32_t mask = (1u << ((berth_former_bits(view, key->table) - 1) & 31)) - 1;
	berth_entry_set(found, 0, BERTH_NOT_FOUND);
	berth_former_find_in(view, key, key->low & mask, found);
	if (found->at == BERTH_NOT_FOUND)
		berth_former_find_in(view, key, (key->low ^ berth_bucket_distance(key->tag)) & mask, found);
}

/* Copies the client of a session that moved; its tag last, as its writer does. */
BERTH_INLINE void berth_former_move_client(const struct berth_view *view, const struct berth_entry *from,
					   const struct berth_entry *to)
{
	const struct berth_client *former = berth_at_former_clients(view, from->at);
	struct berth_client *client = berth_at_clients(view, to->at);
	if (!former || !client || former->tag != berth_word_tag(from->value))
		return;
	client->addr = former->addr;
	client->since = former->since;
	client->flows = former->flows;
	client->from = former->from;
	client->reason = former->reason;
	BERTH_STORE(&client->tag, former->tag);
}

/* Gives an entry that was inserted now the time of the former one, unless another worker has used it since. */
BERTH_INLINE void berth_former_keep_time(const struct berth_view *view, const struct berth_key *key,
					 uint64_t former, struct berth_entry *entry)
{
	const uint64_t inserted = berth_word_make(key->tag, berth_word_backend(former), view->now,
						  berth_word_state(former));
	if (entry->value == inserted && berth_entry_swap(view, key, entry, former))
		entry->value = former;
}

/* Moves a key's entry from the former table into the table. `found` becomes the key's entry, of any worker, or
 * BERTH_NOT_FOUND. Returns 0. */
BERTH_RARE_STEP int berth_former_move(const struct berth_view *view, const struct berth_key *key,
				      struct berth_entry *found)
{
	if (!BERTH_IS_SET(view) || !BERTH_IS_SET(key) || !BERTH_IS_SET(found))
		return 0;
	struct berth_entry former;
	berth_former_find(view, key, &former);
	if (former.at == BERTH_NOT_FOUND)
		return 0;
	berth_flowtab_insert(view, key, berth_word_backend(former.value), berth_word_state(former.value), found);
	if (found->at == BERTH_NOT_FOUND)
		return 0;
	if (key->table == BERTH_TABLE_SESSIONS &&
	    berth_word_backend(found->value) == berth_word_backend(former.value))
		berth_former_move_client(view, &former, found);
	berth_former_keep_time(view, key, former.value, found);
	/* After a lost race another worker has moved it. */
	struct berth_bucket *bucket = berth_former_bucket_at(view, key->table, former.at / BERTH_BUCKET_WORDS);
	if (bucket)
		berth_swap(&bucket->word[former.at % BERTH_BUCKET_WORDS], former.value, 0);
	return 0;
}

/* Looks up the entry of a key, in the table and then in the former one: the settled one, else the first claim, else
 * BERTH_NOT_FOUND. The caller checks its age and whether its backend is eligible. */
BERTH_INLINE void berth_flowtab_lookup(const struct berth_view *view, const struct berth_key *key,
				       struct berth_entry *found)
{
	berth_flowtab_find(view, key, found);
	if (BERTH_UNLIKELY(found->at == BERTH_NOT_FOUND && berth_former_bits(view, key->table)))
		berth_former_move(view, key, found);
}
