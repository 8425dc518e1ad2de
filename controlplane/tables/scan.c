// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/tables/scan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/model/model.h"
#include "dataplane/core/flowtab.h"
#include "dataplane/core/session.h"

/* Words of a table: by backend, and of each by state. */
struct tally {
	uint32_t (*count)[BERTH_STATE_COUNT];
	uint64_t total;
};

/* Up to which age in seconds words of a backend are simply to be counted, by state; -1: to be looked at. */
struct limits {
	int32_t age[BERTH_STATE_COUNT];
};

struct berth_scan {
	const struct berth_image *image;
	enum berth_table table; /* being walked */
	uint32_t bucket;	/* next */
	/* What a word needs of its backend and service, by each number that a word may hold: all of a table is
	 * read, so what is read for each word must be near. */
	struct limits *limits;
	uint64_t limited; /* the generation that they are of */
	/* Lines of clients are another line of memory for each session, so who they come from is only looked at
	 * by the first whole pass of a generation. */
	bool scrubs;
	uint64_t generation; /* at the beginning of the pass over the sessions */
	uint64_t scrubbed;   /* the last generation that was wholly looked at */
	struct tally counting[2];
	struct tally whole[2]; /* of the last whole pass, by table */
};

static int tally_init(struct tally *tally, uint32_t backends)
{
	tally->count = calloc(backends, sizeof(*tally->count));
	return tally->count ? 0 : -ENOMEM;
}

struct berth_scan *berth_scan_new(const struct berth_image *image)
{
	struct berth_scan *scan = calloc(1, sizeof(*scan));
	if (!scan)
		return NULL;
	scan->image = image;
	scan->limited = UINT64_MAX;
	scan->limits = calloc(UINT16_MAX + 1, sizeof(*scan->limits));
	int err = scan->limits ? 0 : -ENOMEM;
	for (int i = 0; !err && i < 2; i++)
		err = tally_init(&scan->counting[i], image->geometry.backends) ||
		      tally_init(&scan->whole[i], image->geometry.backends);
	if (!err)
		return scan;
	berth_scan_free(scan);
	return NULL;
}

void berth_scan_free(struct berth_scan *scan)
{
	if (!scan)
		return;
	for (int i = 0; i < 2; i++) {
		free(scan->counting[i].count);
		free(scan->whole[i].count);
	}
	free(scan->limits);
	free(scan);
}

const struct berth_image *berth_scan_image(const struct berth_scan *scan)
{
	return scan->image;
}

/* Whether a server was evicted, for a session from all services of its group. */
static bool is_evicted(const struct berth_view *view, const struct berth_backend *backend, bool is_session)
{
	for (uint32_t i = 0; backend && backend->admin == BERTH_ADMIN_EVICTED; i++) {
		if (!is_session || !backend->sibling || i == BERTH_MAX_GROUP)
			return true;
		backend = berth_backend_of(view, backend->sibling);
	}
	return false;
}

/* What is to stand in a word's place: the word itself; 0 where it stands for nothing any more, as it expired or its
 * backend is gone; of an evicted backend's session the same on its backup. `client`: the line beside a session's
 * word, else NULL. */
static uint64_t successor(const struct berth_view *view, uint64_t word, const struct berth_client *client)
{
	const struct berth_backend *backend = berth_backend_of(view, berth_word_backend(word));
	if (!backend || !backend->id)
		return 0;
	const struct berth_service *service = berth_service_of(view, backend->service);
	/* What is pinned begins its time anew, or a new entry might take its place in a full bucket. */
	if (!service || berth_word_is_expired(word, view->now, service))
		return service && berth_pinned_backend(client, berth_word_tag(word))
			       ? berth_word_touch(word, view->now, BERTH_STATE_SESSION)
			       : 0;
	if (BERTH_LIKELY(!is_evicted(view, backend, client)))
		return word;
	/* Who is pinned waits there for its next flow, which keeps the pin and fails over. */
	if (berth_pinned_backend(client, berth_word_tag(word)))
		return word;
	if (!client || !berth_accepts_session(view, backend->backup))
		return 0;
	const uint64_t mask = (uint64_t)UINT16_MAX << BERTH_BACKEND_SHIFT;
	return (word & ~mask) | (uint64_t)backend->backup << BERTH_BACKEND_SHIFT;
}

/* Writes down that a session went to its backup, as a worker would have with the client's next flow. */
static void note_failover(struct berth_client *client, const struct berth_view *view, uint64_t word)
{
	if (!client || client->tag != berth_word_tag(word))
		return;
	client->since = view->now;
	client->flows = 0;
	client->from = (uint16_t)berth_word_backend(word);
	client->reason = BERTH_REASON_FAILED_OVER;
}

/* A backend that was removed is nobody's to return to: its number will be another's. */
static void forget_removed(struct berth_client *client, const struct berth_view *view)
{
	uint16_t from = BERTH_LOAD(&client->from);
	const struct berth_backend *backend = from ? berth_backend_of(view, from) : NULL;
	if (from && (!backend || !backend->id))
		__atomic_compare_exchange_n(&client->from, &from, 0, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

/* After a publication. Of whom nothing is to be kept, and of claims, whose age is told otherwise, every word is
 * looked at. */
static void learn_limits(struct berth_scan *scan, const struct berth_view *view)
{
	memset(scan->limits, 0xff, (UINT16_MAX + 1) * sizeof(*scan->limits));
	for (uint32_t n = 1; n < view->backends && n <= UINT16_MAX; n++) {
		const struct berth_backend *backend = berth_backend_of(view, n);
		if (!backend || !backend->id || backend->admin == BERTH_ADMIN_EVICTED)
			continue;
		const struct berth_service *service = berth_service_of(view, backend->service);
		for (uint32_t state = 0; service && state < BERTH_STATE_COUNT; state++)
			scan->limits[n].age[state] = state == BERTH_STATE_CLAIMED
							     ? -1
							     : (int32_t)service->timeout[state];
	}
}

/* Looks at a word: it is removed, or another one, or as it is and then counted. */
static void judge_word(struct berth_scan *scan, const struct berth_view *view, uint64_t *at, uint64_t word,
		       struct berth_client *client)
{
	uint64_t next = successor(view, word, client);
	/* A worker that used the word meanwhile keeps it: the swap fails. */
	if (next != word && berth_swap(at, word, next)) {
		if (next && berth_word_backend(next) != berth_word_backend(word))
			note_failover(client, view, word);
		word = next;
	}
	if (!word)
		return;
	scan->counting[scan->table].total++;
	if (berth_word_backend(word) < view->backends)
		scan->counting[scan->table].count[berth_word_backend(word)][berth_word_state(word)]++;
}

/* `clients`: the lines beside the words of the session table, else NULL. */
static void scan_bucket(struct berth_scan *scan, const struct berth_view *view, struct berth_bucket *bucket,
			struct berth_client *clients)
{
	struct tally *tally = &scan->counting[scan->table];
	for (uint32_t i = 0; i < BERTH_BUCKET_WORDS; i++) {
		uint64_t word = BERTH_LOAD(&bucket->word[i]);
		if (word == 0)
			continue;
		if (clients && scan->scrubs)
			forget_removed(&clients[i], view);
		uint32_t number = berth_word_backend(word), state = berth_word_state(word);
		if (BERTH_LIKELY((int32_t)berth_word_age(word, view->now) <= scan->limits[number].age[state])) {
			tally->count[number][state]++;
			tally->total++;
			continue;
		}
		judge_word(scan, view, &bucket->word[i], word, clients ? &clients[i] : NULL);
	}
}

/* The pass over one table ended: its figures are the table's. */
static void finish_table(struct berth_scan *scan)
{
	struct tally counted = scan->counting[scan->table];
	scan->counting[scan->table] = scan->whole[scan->table];
	scan->whole[scan->table] = counted;
	memset(scan->counting[scan->table].count, 0, scan->image->geometry.backends * sizeof(*counted.count));
	scan->counting[scan->table].total = 0;
	scan->bucket = 0;
	if (scan->table == BERTH_TABLE_SESSIONS) {
		scan->scrubbed = scan->generation;
	} else {
		scan->generation = BERTH_LOAD(&scan->image->ctl->generation);
		scan->scrubs = scan->generation != scan->scrubbed;
	}
	scan->table = scan->table == BERTH_TABLE_FLOWS ? BERTH_TABLE_SESSIONS : BERTH_TABLE_FLOWS;
}

bool berth_scan_step(struct berth_scan *scan, uint32_t buckets, uint32_t now)
{
	const struct berth_geometry *g = &scan->image->geometry;
	struct berth_view view = berth_image_view(scan->image, 0, now);
	uint64_t generation = BERTH_LOAD(&scan->image->ctl->generation);
	if (scan->limited != generation)
		learn_limits(scan, &view);
	scan->limited = generation;
	while (buckets-- > 0) {
		bool flows = scan->table == BERTH_TABLE_FLOWS;
		struct berth_bucket *table = flows ? scan->image->flows : scan->image->sessions;
		scan_bucket(scan, &view, &table[scan->bucket],
			    flows ? NULL : &scan->image->clients[scan->bucket * BERTH_BUCKET_WORDS]);
		if (++scan->bucket < (flows ? g->flow_buckets : g->session_buckets))
			continue;
		finish_table(scan);
		if (!flows)
			return true;
	}
	return false;
}

uint64_t berth_scan_closing(const struct berth_scan *scan, uint32_t backend)
{
	return scan->whole[BERTH_TABLE_FLOWS].count[backend][BERTH_STATE_CLOSING];
}

uint64_t berth_scan_flows(const struct berth_scan *scan, uint32_t backend)
{
	const uint32_t *count = scan->whole[BERTH_TABLE_FLOWS].count[backend];
	uint64_t flows = 0;
	/* A datagram's fragments are part of a flow that has a word of its own. */
	for (uint32_t state = 0; state < BERTH_STATE_COUNT; state++)
		if (state != BERTH_STATE_CLOSING && state != BERTH_STATE_FRAGMENT)
			flows += count[state];
	return flows;
}

uint64_t berth_scan_sessions(const struct berth_scan *scan, uint32_t backend)
{
	return scan->whole[BERTH_TABLE_SESSIONS].count[backend][BERTH_STATE_SESSION];
}

void berth_scan_totals(const struct berth_scan *scan, uint64_t *flows, uint64_t *sessions)
{
	*flows = scan->whole[BERTH_TABLE_FLOWS].total;
	*sessions = scan->whole[BERTH_TABLE_SESSIONS].total;
}
