// SPDX-License-Identifier: BSD-3-Clause
/* A hash table with linear probing. A removal moves the following entries back, so that no search ends too early.
 */
#include "controlplane/cluster/exceptions.h"

#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* A slot. `key` 0: it is free. */
struct exception {
	uint64_t key;
	uint32_t told_s; /* time of its last traffic when it was told */
	uint16_t backend;
	uint8_t scan;		 /* the last one that showed it */
	uint8_t round : 5;	 /* of tell_again, when it was told */
	uint8_t is_received : 1; /* by another node */
	uint8_t is_wanted : 1;	 /* once more */
	uint8_t is_renewed : 1;	 /* and had no traffic since */
};
_Static_assert(sizeof(struct exception) == 16, "four to a cache line");

struct berth_exceptions {
	struct exception *slots;
	uint32_t mask;
	uint32_t most;
	uint32_t count;
	uint32_t next;	   /* slot to look at */
	uint8_t scan;	   /* under way, modulo 256 */
	uint8_t round : 5; /* of tell_again, modulo ROUNDS */
	uint64_t lost;
};

enum {
	TABLE_SHIFT = 60,
	TAG_SHIFT = 32,
	LIMIT = 1 << 30,
	ROUNDS = 1 << 5,
	RECEIVED_SCANS = 100,
};

struct berth_exception_key berth_exceptions_key(enum berth_table table, uint64_t word, uint32_t bucket,
						uint32_t buckets)
{
	const uint32_t tag = berth_word_tag(word);
	const uint32_t other = (bucket ^ berth_bucket_distance(tag)) & (buckets - 1);
	return (struct berth_exception_key){.tag = tag, .low = bucket < other ? bucket : other, .table = table};
}

/* Not 0. */
static uint64_t pack(const struct berth_exception_key *key)
{
	return (uint64_t)(1 + key->table) << TABLE_SHIFT | (uint64_t)key->tag << TAG_SHIFT | key->low;
}

static struct berth_exception_key unpack(uint64_t key)
{
	return (struct berth_exception_key){
		.tag = (uint32_t)(key >> TAG_SHIFT) & ((1u << BERTH_TAG_BITS) - 1),
		.low = (uint32_t)key,
		.table = (enum berth_table)((key >> TABLE_SHIFT) - 1),
	};
}

static uint32_t home_of(const struct berth_exceptions *set, uint64_t key)
{
	return (uint32_t)XXH64(&key, sizeof(key), 0) & set->mask;
}

struct berth_exceptions *berth_exceptions_new(uint32_t most)
{
	uint32_t slots = 64;
	struct berth_exceptions *set = most < LIMIT ? calloc(1, sizeof(*set)) : NULL;
	if (!set)
		return NULL;
	/* At most three of four slots are used: searches stay short. */
	while (slots / 4 * 3 < most)
		slots *= 2;
	*set = (struct berth_exceptions){
		.slots = calloc(slots, sizeof(*set->slots)), .mask = slots - 1, .most = most};
	if (set->slots)
		return set;
	free(set);
	return NULL;
}

void berth_exceptions_free(struct berth_exceptions *set)
{
	if (set)
		free(set->slots);
	free(set);
}

/* Its slot, or the free one for it. */
static struct exception *find(const struct berth_exceptions *set, uint64_t key)
{
	uint32_t at = home_of(set, key);
	while (set->slots[at].key && set->slots[at].key != key)
		at = (at + 1) & set->mask;
	return &set->slots[at];
}

static enum berth_exception_news add(struct berth_exceptions *set, struct exception *slot, uint64_t key)
{
	if (set->count >= set->most) {
		set->lost++;
		return BERTH_EXCEPTION_LOST;
	}
	set->count++;
	slot->key = key;
	return BERTH_EXCEPTION_NEW;
}

/* Of an exception that is in the set. A third of the timeout, so that a message can be late or lost once. */
static enum berth_exception_news compare(const struct berth_exceptions *set, const struct exception *slot,
					 uint16_t backend, uint32_t seen_s, uint32_t timeout_s)
{
	const int32_t later_s = (int32_t)(seen_s - slot->told_s);
	if (slot->round != set->round && (!slot->is_received || later_s > 0))
		return BERTH_EXCEPTION_NEW;
	if (slot->backend != backend)
		return BERTH_EXCEPTION_CHANGED;
	return later_s > 0 && (uint32_t)later_s >= timeout_s / 3 ? BERTH_EXCEPTION_REFRESHED
								 : BERTH_EXCEPTION_KNOWN;
}

enum berth_exception_news berth_exceptions_show(struct berth_exceptions *set, const struct berth_exception_key *key,
						uint16_t backend, uint32_t seen_s, uint32_t timeout_s)
{
	const uint64_t packed = pack(key);
	struct exception *slot = find(set, packed);
	const enum berth_exception_news news = slot->key ? compare(set, slot, backend, seen_s, timeout_s)
							 : add(set, slot, packed);
	if (news == BERTH_EXCEPTION_LOST)
		return news;
	slot->scan = set->scan;
	if (news != BERTH_EXCEPTION_KNOWN) {
		slot->told_s = seen_s;
		slot->backend = backend;
		slot->round = set->round;
		slot->is_received = false;
		slot->is_wanted = false;
	}
	return news;
}

bool berth_exceptions_want(struct berth_exceptions *set, const struct berth_exception_key *key)
{
	struct exception *slot = find(set, pack(key));
	const bool was_wanted = slot->is_wanted;
	if (slot->key)
		slot->is_wanted = true;
	return !was_wanted;
}

bool berth_exceptions_take_want(struct berth_exceptions *set, const struct berth_exception_key *key)
{
	struct exception *slot = find(set, pack(key));
	const bool is_wanted = slot->is_wanted || !slot->key;
	slot->is_wanted = false;
	return is_wanted;
}

void berth_exceptions_heard(struct berth_exceptions *set, const struct berth_exception_key *key, uint16_t backend)
{
	struct exception *slot = find(set, pack(key));
	if (slot->backend == backend)
		slot->is_wanted = false;
}

bool berth_exceptions_renew(struct berth_exceptions *set, const struct berth_exception_key *key, uint32_t seen_s)
{
	struct exception *slot = find(set, pack(key));
	if (slot->is_renewed && (int32_t)(seen_s - slot->told_s) <= 0)
		return false;
	slot->is_renewed = slot->key != 0;
	slot->is_received = false;
	berth_exceptions_defer(set, key);
	return true;
}

void berth_exceptions_begin(struct berth_exceptions *set, const struct berth_exception_key *key, uint32_t began_s)
{
	struct exception *slot = find(set, pack(key));
	if (!slot->key || (int32_t)(began_s - slot->told_s) <= 0)
		return;
	slot->is_received = false;
	berth_exceptions_defer(set, key);
}

void berth_exceptions_defer(struct berth_exceptions *set, const struct berth_exception_key *key)
{
	struct exception *slot = find(set, pack(key));
	if (slot->key)
		slot->round = (set->round - 1) & (ROUNDS - 1);
}

void berth_exceptions_receive(struct berth_exceptions *set, const struct berth_exception_key *key, uint16_t backend,
			      uint32_t seen_s)
{
	const uint64_t packed = pack(key);
	struct exception *slot = find(set, packed);
	const bool is_known = slot->key;
	if (!is_known && add(set, slot, packed) == BERTH_EXCEPTION_LOST)
		return;
	slot->is_wanted = false;
	if (!is_known)
		slot->scan = set->scan;
	else if (slot->backend == backend && (int32_t)(seen_s - slot->told_s) <= 0)
		return;
	slot->told_s = seen_s;
	slot->backend = backend;
	slot->round = set->round;
	slot->is_received = true;
}

void berth_exceptions_scan_ended(struct berth_exceptions *set)
{
	set->scan++;
}

/* Whether an entry with this home may move back to `to`, over the places from there to its own: not before its
 * home. */
static bool may_move(const struct berth_exceptions *set, uint32_t from, uint32_t to)
{
	const uint32_t home = home_of(set, set->slots[from].key);
	return ((from - home) & set->mask) >= ((from - to) & set->mask);
}

static void remove_at(struct berth_exceptions *set, uint32_t hole)
{
	for (uint32_t at = (hole + 1) & set->mask; set->slots[at].key; at = (at + 1) & set->mask) {
		if (!may_move(set, at, hole))
			continue;
		set->slots[hole] = set->slots[at];
		hole = at;
	}
	set->slots[hole] = (struct exception){0};
	set->count--;
}

/* Shown neither by the scan under way nor by the one before. One of another node may become an exception here
 * later, when this node has the same configuration. */
static bool is_gone(const struct berth_exceptions *set, const struct exception *slot)
{
	return slot->key && (uint8_t)(set->scan - slot->scan) > (slot->is_received ? RECEIVED_SCANS : 1);
}

void berth_exceptions_sweep(struct berth_exceptions *set, uint32_t slots, berth_exception_gone_fn *gone, void *arg)
{
	for (uint32_t i = 0; i < slots; i++) {
		const uint32_t at = set->next;
		while (is_gone(set, &set->slots[at])) {
			const struct berth_exception_key key = unpack(set->slots[at].key);
			gone(arg, &key, set->slots[at].backend);
			remove_at(set, at);
		}
		set->next = (at + 1) & set->mask;
	}
}

void berth_exceptions_tell_again(struct berth_exceptions *set)
{
	set->round = (set->round + 1) & (ROUNDS - 1);
}

uint32_t berth_exceptions_count(const struct berth_exceptions *set)
{
	return set->count;
}

uint32_t berth_exceptions_slots(const struct berth_exceptions *set)
{
	return set->mask + 1;
}

uint64_t berth_exceptions_lost(const struct berth_exceptions *set)
{
	return set->lost;
}
