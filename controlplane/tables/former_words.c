// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/tables/former_words.h"

#include "controlplane/tables/sessions.h"
#include "dataplane/core/former.h"

/* In a table that is not larger, a word's place tells the buckets of its hash: moves it as a lookup would. */
static bool move_flow(const struct berth_view *view, uint64_t word, uint32_t bucket)
{
	const struct berth_backend *backend = berth_backend_of(view, berth_word_backend(word));
	const uint32_t tag = berth_word_tag(word);
	if (!word || !backend || !backend->id)
		return false;
	const struct berth_key key = {
		.table = BERTH_TABLE_FLOWS,
		.service = backend->service,
		.tag = tag,
		.low = bucket,
		.bucket = {bucket & view->flow_mask, (bucket ^ berth_bucket_distance(tag)) & view->flow_mask},
	};
	struct berth_entry entry;
	berth_flowtab_lookup(view, &key, &entry);
	return true;
}

static uint32_t move_flows(const struct berth_view *view, uint32_t bucket)
{
	uint32_t n = 0;
	if (berth_former_buckets(view->former_flow_bits) <= view->flow_mask)
		return 0;
	for (uint32_t i = 0; i < BERTH_BUCKET_WORDS; i++)
		n += move_flow(view, BERTH_LOAD(&berth_at_former_flows(view, bucket)->word[i]), bucket);
	return n;
}

uint32_t berth_former_words_move(const struct berth_view *view, uint32_t table, uint32_t bucket)
{
	if (table == BERTH_TABLE_FLOWS)
		return move_flows(view, bucket);
	return berth_sessions_move(view, berth_at_former_sessions(view, bucket),
				   berth_at_former_clients(view, bucket * BERTH_BUCKET_WORDS));
}

static bool has_live(const struct berth_view *view, uint32_t table, uint32_t bucket)
{
	for (uint32_t i = 0; i < BERTH_BUCKET_WORDS; i++) {
		const uint64_t word = BERTH_LOAD(&berth_former_bucket_at(view, table, bucket)->word[i]);
		if (word && berth_former_is_live(view, table, word, bucket * BERTH_BUCKET_WORDS + i))
			return true;
	}
	return false;
}

bool berth_former_words_empty(const struct berth_image *image, uint32_t table, uint32_t now)
{
	const struct berth_view view = berth_sessions_view(image, now);
	const uint32_t buckets = berth_former_buckets((uint8_t)berth_former_bits(&view, table));
	bool is_empty = true;
	for (uint32_t b = 0; b < buckets; b++) {
		berth_former_words_move(&view, table, b);
		is_empty &= !has_live(&view, table, b);
	}
	return is_empty;
}
