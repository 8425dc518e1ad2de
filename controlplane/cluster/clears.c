// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/cluster/clears.h"

#include <string.h>

#include "controlplane/tables/sessions.h"

bool berth_clears_add(struct berth_clears *clears, const struct berth_clear *clear)
{
	if (clears->n == BERTH_CLEARS)
		return false;
	clears->all[clears->n++] = *clear;
	return true;
}

/* False: the service or backend is gone, with its sessions. */
static bool filter_of(const struct berth_clear *clear, const struct berth_ids *numbers,
		      struct berth_session_filter *filter)
{
	*filter = (struct berth_session_filter){
		.service = berth_ids_service(numbers, clear->service),
		.backend = clear->backend ? berth_ids_backend(numbers, clear->backend) : 0,
		.by_client = clear->client_bits != 0,
		.prefix = clear->client,
		.bits = clear->client_bits,
	};
	return filter->service && (filter->backend || !clear->backend);
}

static bool is_pinned(const struct berth_session *session)
{
	return session->has_client && session->client.reason == BERTH_REASON_PINNED;
}

static void remove_first(struct berth_clears *clears)
{
	clears->n--;
	memmove(&clears->all[0], &clears->all[1], clears->n * sizeof(clears->all[0]));
}

void berth_clears_step(struct berth_clears *clears, const struct berth_ids *numbers, const struct berth_view *view)
{
	struct berth_clear *clear = &clears->all[0];
	const uint32_t slots = (view->session_mask + 1) * BERTH_BUCKET_WORDS;
	struct berth_session_filter filter;
	struct berth_session session;
	if (!clears->n)
		return;
	const bool is_known = filter_of(clear, numbers, &filter);
	const uint32_t end = clear->at < slots && slots - clear->at > BERTH_CLEAR_SLOTS
				     ? clear->at + BERTH_CLEAR_SLOTS
				     : slots;
	while (is_known && berth_sessions_next(view, &filter, &clear->at, end, &session))
		if (!is_pinned(&session))
			clears->sessions += berth_sessions_remove(view, &session);
	if (!is_known || end == slots)
		remove_first(clears);
}
