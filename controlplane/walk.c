// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/walk.h"

#include <stdlib.h>
#include <string.h>

#include "dataplane/core/flowtab.h"

struct tally {
	uint64_t *by_backend;
	uint64_t total;
};

struct berth_walk {
	const struct berth_image *image;
	enum berth_table table; /* being walked */
	uint32_t bucket;	/* next */
	struct tally counting[2];
	struct tally whole[2]; /* of the last whole pass, by table */
};

struct berth_walk *berth_walk_new(const struct berth_image *image)
{
	struct berth_walk *walk = calloc(1, sizeof(*walk));
	if (!walk)
		return NULL;
	walk->image = image;
	for (int i = 0; i < 2; i++) {
		walk->counting[i].by_backend = calloc(image->geometry.backends, sizeof(uint64_t));
		walk->whole[i].by_backend = calloc(image->geometry.backends, sizeof(uint64_t));
		if (!walk->counting[i].by_backend || !walk->whole[i].by_backend) {
			berth_walk_free(walk);
			return NULL;
		}
	}
	return walk;
}

void berth_walk_free(struct berth_walk *walk)
{
	if (!walk)
		return;
	for (int i = 0; i < 2; i++) {
		free(walk->counting[i].by_backend);
		free(walk->whole[i].by_backend);
	}
	free(walk);
}

/* Whether a word stands for nothing any more: expired, or of a backend that was removed. */
static bool is_over(const struct berth_view *view, uint64_t word)
{
	const struct berth_backend *backend = berth_backend_of(view, berth_word_backend(word));
	if (!backend || !backend->id)
		return true;
	const struct berth_service *service = berth_service_of(view, backend->service);
	return !service || berth_word_expired(word, view->now, service);
}

static void walk_bucket(struct tally *tally, const struct berth_view *view, struct berth_bucket *bucket)
{
	for (uint32_t i = 0; i < BERTH_BUCKET_WORDS; i++) {
		uint64_t word = BERTH_LOAD(&bucket->word[i]);
		if (word == 0)
			continue;
		/* A worker that used the word meanwhile keeps it: the swap fails. */
		if (is_over(view, word) && berth_swap(&bucket->word[i], word, 0))
			continue;
		tally->total++;
		/* A datagram's fragments are part of a flow that has a word of its own. */
		if (berth_word_state(word) != BERTH_STATE_FRAGMENT && berth_word_backend(word) < view->backends)
			tally->by_backend[berth_word_backend(word)]++;
	}
}

/* The pass over one table ended: its figures are the table's. */
static void finish_table(struct berth_walk *walk)
{
	struct tally counted = walk->counting[walk->table];
	walk->counting[walk->table] = walk->whole[walk->table];
	walk->whole[walk->table] = counted;
	memset(walk->counting[walk->table].by_backend, 0, walk->image->geometry.backends * sizeof(uint64_t));
	walk->counting[walk->table].total = 0;
	walk->bucket = 0;
	walk->table = walk->table == BERTH_TABLE_FLOWS ? BERTH_TABLE_SESSIONS : BERTH_TABLE_FLOWS;
}

bool berth_walk_step(struct berth_walk *walk, uint32_t buckets, uint32_t now)
{
	const struct berth_geometry *g = &walk->image->geometry;
	struct berth_view view = berth_image_view(walk->image, 0, now);
	while (buckets-- > 0) {
		bool flows = walk->table == BERTH_TABLE_FLOWS;
		struct berth_bucket *table = flows ? walk->image->flows : walk->image->sessions;
		walk_bucket(&walk->counting[walk->table], &view, &table[walk->bucket]);
		if (++walk->bucket < (flows ? g->flow_buckets : g->session_buckets))
			continue;
		finish_table(walk);
		if (!flows)
			return true;
	}
	return false;
}

uint64_t berth_walk_flows(const struct berth_walk *walk, uint32_t backend)
{
	return walk->whole[BERTH_TABLE_FLOWS].by_backend[backend];
}

uint64_t berth_walk_sessions(const struct berth_walk *walk, uint32_t backend)
{
	return walk->whole[BERTH_TABLE_SESSIONS].by_backend[backend];
}

void berth_walk_totals(const struct berth_walk *walk, uint64_t *flows, uint64_t *sessions)
{
	*flows = walk->whole[BERTH_TABLE_FLOWS].total;
	*sessions = walk->whole[BERTH_TABLE_SESSIONS].total;
}
