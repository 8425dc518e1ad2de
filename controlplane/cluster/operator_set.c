// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/cluster/operator_set.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

enum {
	MOST_BATCHES = 16, /* told at once */
};

struct slot {
	struct berth_operator_record record; /* the first member: entries are compared as records */
	TAILQ_ENTRY(slot) link;
	uint64_t due_ms; /* when it is to be told, CLOCK_MONOTONIC */
};

struct berth_operator_set {
	void *tree;		     /* of tsearch */
	TAILQ_HEAD(slots, slot) all; /* what was told last is at the end */
	size_t n;
	uint64_t due_ms; /* the earliest, or earlier */
};

static int compare(const void *a, const void *b)
{
	return berth_operator_record_compare_keys(a, b);
}

static struct slot *find(const struct berth_operator_set *set, const struct berth_operator_record *key)
{
	struct slot *const *found = tfind(key, &set->tree, compare);
	return found ? *found : NULL;
}

struct berth_operator_set *berth_operator_set_new(void)
{
	struct berth_operator_set *set = calloc(1, sizeof(*set));
	if (!set)
		return NULL;
	TAILQ_INIT(&set->all);
	set->due_ms = UINT64_MAX;
	return set;
}

static void remove_entry(struct berth_operator_set *set, struct slot *entry)
{
	tdelete(&entry->record, &set->tree, compare);
	TAILQ_REMOVE(&set->all, entry, link);
	set->n--;
	free(entry);
}

void berth_operator_set_free(struct berth_operator_set *set)
{
	if (!set)
		return;
	while (!TAILQ_EMPTY(&set->all))
		remove_entry(set, TAILQ_FIRST(&set->all));
	free(set);
}

/* --- merge --- */

static bool is_old_end(const struct berth_operator_record *record, uint64_t unix_ms)
{
	return berth_operator_record_is_end(record) && record->time_ms + BERTH_OPERATOR_END_MS < unix_ms;
}

uint64_t berth_operator_set_time(const struct berth_operator_set *set, const struct berth_operator_record *key,
				 uint64_t unix_ms)
{
	const struct slot *former = find(set, key);
	return former && former->record.time_ms >= unix_ms ? former->record.time_ms + 1 : unix_ms;
}

static enum berth_operator_outcome judge(const struct berth_operator_set *set, const struct slot *former,
					 const struct berth_operator_record *record, uint64_t unix_ms)
{
	const int order = former ? berth_operator_record_compare_age(record, &former->record) : 1;
	if (record->time_ms > unix_ms + BERTH_OPERATOR_AHEAD_MS)
		return BERTH_OPERATOR_REFUSED;
	if (order == 0)
		return BERTH_OPERATOR_KNOWN;
	if (order < 0 || is_old_end(record, unix_ms))
		return BERTH_OPERATOR_OLDER;
	return former || set->n < BERTH_OPERATOR_MOST ? BERTH_OPERATOR_APPLIED : BERTH_OPERATOR_NO_ROOM;
}

enum berth_operator_outcome berth_operator_set_check(const struct berth_operator_set *set,
						     const struct berth_operator_record *record, uint64_t unix_ms)
{
	return judge(set, find(set, record), record, unix_ms);
}

/* NULL: no memory. */
static struct slot *add(struct berth_operator_set *set, const struct berth_operator_record *record)
{
	struct slot *entry = calloc(1, sizeof(*entry));
	if (!entry)
		return NULL;
	entry->record = *record;
	if (!tsearch(entry, &set->tree, compare)) {
		free(entry);
		return NULL;
	}
	TAILQ_INSERT_HEAD(&set->all, entry, link);
	set->n++;
	return entry;
}

static void set_due(struct berth_operator_set *set, struct slot *entry, uint64_t due_ms)
{
	entry->due_ms = entry->record.is_local ? UINT64_MAX : due_ms;
	if (entry->due_ms < set->due_ms)
		set->due_ms = entry->due_ms;
}

enum berth_operator_outcome berth_operator_set_merge(struct berth_operator_set *set,
						     const struct berth_operator_record *record,
						     const struct berth_operator_time *now, uint64_t wait_ms)
{
	struct slot *entry = find(set, record);
	const enum berth_operator_outcome outcome = judge(set, entry, record, now->unix_ms);
	if (outcome == BERTH_OPERATOR_APPLIED && entry)
		entry->record = *record;
	else if (outcome == BERTH_OPERATOR_APPLIED)
		entry = add(set, record);
	if (!entry)
		return outcome == BERTH_OPERATOR_APPLIED ? BERTH_OPERATOR_NO_ROOM : outcome;
	if (outcome == BERTH_OPERATOR_APPLIED || outcome == BERTH_OPERATOR_KNOWN)
		set_due(set, entry, now->monotonic_ms + wait_ms);
	return outcome;
}

const struct berth_operator_record *berth_operator_set_find(const struct berth_operator_set *set,
							    const struct berth_operator_record *key)
{
	const struct slot *found = find(set, key);
	return found ? &found->record : NULL;
}

void berth_operator_set_sweep(struct berth_operator_set *set, uint64_t unix_ms, berth_operator_keep_fn *keep,
			      void *arg)
{
	struct slot *entry = TAILQ_FIRST(&set->all);
	while (entry) {
		struct slot *next = TAILQ_NEXT(entry, link);
		if (is_old_end(&entry->record, unix_ms) || !keep(arg, &entry->record))
			remove_entry(set, entry);
		entry = next;
	}
}

void berth_operator_set_for_each(const struct berth_operator_set *set, berth_operator_see_fn *see, void *arg)
{
	const struct slot *entry;
	TAILQ_FOREACH(entry, &set->all, link)
	see(arg, &entry->record);
}

size_t berth_operator_set_count(const struct berth_operator_set *set)
{
	return set->n;
}

/* --- batches --- */

/* Fills `batch` with what is due and could not be told yet; NULL: no memory. */
static json_t *take_due(struct berth_operator_set *set, uint64_t monotonic_ms,
			struct slot *taken[BERTH_OPERATOR_BATCH])
{
	json_t *batch = json_array();
	struct slot *entry;
	size_t n = 0;
	TAILQ_FOREACH(entry, &set->all, link)
	{
		if (entry->due_ms > monotonic_ms)
			continue;
		if (n == BERTH_OPERATOR_BATCH)
			break;
		taken[n++] = entry;
		if (json_array_append_new(batch, berth_operator_record_json(&entry->record))) {
			json_decref(batch);
			return NULL;
		}
	}
	return batch;
}

static bool tell_batch(const json_t *batch, berth_operator_tell_fn *tell, void *arg)
{
	char text[BERTH_OPERATOR_BATCH_BYTES];
	const size_t bytes = json_dumpb(batch, text, sizeof(text), JSON_COMPACT);
	return bytes && bytes <= sizeof(text) && tell(arg, (const uint8_t *)text, bytes);
}

static void find_due(struct berth_operator_set *set)
{
	const struct slot *entry;
	set->due_ms = UINT64_MAX;
	TAILQ_FOREACH(entry, &set->all, link)
	if (entry->due_ms < set->due_ms)
		set->due_ms = entry->due_ms;
}

static void set_told(struct berth_operator_set *set, struct slot *const *taken, size_t n, uint64_t monotonic_ms)
{
	for (size_t i = 0; i < n; i++) {
		taken[i]->due_ms = monotonic_ms + BERTH_OPERATOR_AGAIN_MS;
		TAILQ_REMOVE(&set->all, taken[i], link);
		TAILQ_INSERT_TAIL(&set->all, taken[i], link);
	}
}

size_t berth_operator_set_tell(struct berth_operator_set *set, uint64_t monotonic_ms, berth_operator_tell_fn *tell,
			       void *arg)
{
	struct slot *taken[BERTH_OPERATOR_BATCH];
	size_t told = 0, n = BERTH_OPERATOR_BATCH;
	if (set->due_ms > monotonic_ms)
		return 0;
	for (int i = 0; i < MOST_BATCHES && n == BERTH_OPERATOR_BATCH; i++) {
		json_t *batch = take_due(set, monotonic_ms, taken);
		n = batch ? json_array_size(batch) : 0;
		const bool is_told = n && tell_batch(batch, tell, arg);
		json_decref(batch);
		if (!is_told)
			break;
		set_told(set, taken, n, monotonic_ms);
		told += n;
	}
	find_due(set);
	return told;
}

void berth_operator_set_tell_again(struct berth_operator_set *set, uint64_t monotonic_ms, uint64_t wait_ms)
{
	struct slot *entry;
	TAILQ_FOREACH(entry, &set->all, link)
	set_due(set, entry, monotonic_ms + wait_ms);
}

size_t berth_operator_batch_read(const uint8_t *batch, size_t bytes,
				 struct berth_operator_record records[BERTH_OPERATOR_BATCH], uint64_t *refused)
{
	json_error_t ignored;
	json_t *json = json_loadb((const char *)batch, bytes, JSON_REJECT_DUPLICATES, &ignored), *one;
	const bool is_batch = json_is_array(json) && json_array_size(json) <= BERTH_OPERATOR_BATCH;
	size_t n = 0, i;
	*refused = !is_batch;
	if (is_batch)
		json_array_foreach(json, i, one)
		{
			const bool is_valid = !berth_operator_record_read(&records[n], one) && !records[n].is_local;
			n += is_valid;
			*refused += !is_valid;
		}
	json_decref(json);
	return n;
}

const char *berth_operator_outcome_name(enum berth_operator_outcome outcome)
{
	static const char *const names[] = {
#define BERTH_X(symbol, name) [BERTH_OPERATOR_##symbol] = (name),
		BERTH_OPERATOR_OUTCOMES(BERTH_X)
#undef BERTH_X
	};
	return names[outcome];
}
