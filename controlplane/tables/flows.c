// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/tables/flows.h"

#include "dataplane/core/former.h"

static uint64_t table_slots(const struct berth_view *view)
{
	return ((uint64_t)view->flow_mask + 1) * BERTH_BUCKET_WORDS;
}

uint64_t berth_flows_slots(const struct berth_view *view)
{
	const uint32_t bits = berth_former_bits(view, BERTH_TABLE_FLOWS);
	return table_slots(view) + (bits ? (UINT64_C(1) << (bits - 1)) * BERTH_BUCKET_WORDS : 0);
}

/* The word at an index of both tables. */
static struct berth_flow flow_at(const struct berth_view *view, uint64_t at)
{
	const bool is_former = at >= table_slots(view);
	const uint64_t in_table = is_former ? at - table_slots(view) : at;
	const uint32_t index = (uint32_t)(in_table / BERTH_BUCKET_WORDS);
	const struct berth_bucket *bucket = is_former ? berth_former_bucket_at(view, BERTH_TABLE_FLOWS, index)
						      : berth_bucket_at(view, BERTH_TABLE_FLOWS, index);
	return (struct berth_flow){
		.word = bucket ? BERTH_LOAD(&bucket->word[in_table % BERTH_BUCKET_WORDS]) : 0,
		.is_former = is_former,
	};
}

static bool matches(const struct berth_view *view, const struct berth_flow_filter *filter, uint64_t word)
{
	const uint32_t number = berth_word_backend(word), state = berth_word_state(word);
	if (state == BERTH_STATE_CLAIMED || !(filter->states >> state & 1) ||
	    (filter->backend && number != filter->backend))
		return false;
	const struct berth_backend *backend = berth_backend_of(view, number);
	if (!backend || !backend->id || (filter->service && backend->service != filter->service))
		return false;
	const struct berth_service *service = berth_service_of(view, backend->service);
	return service && berth_word_age(word, view->now) >= filter->idle_s &&
	       !berth_word_is_expired(word, view->now, service);
}

bool berth_flows_next(const struct berth_view *view, const struct berth_flow_filter *filter, uint64_t *at,
		      uint64_t end, struct berth_flow *found)
{
	while (*at < end) {
		*found = flow_at(view, (*at)++);
		if (found->word != 0 && matches(view, filter, found->word))
			return true;
	}
	return false;
}
