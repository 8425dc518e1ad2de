// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/cluster/clears.h"

#include <string.h>

#include "controlplane/util/address.h"
#include "dataplane/core/flowtab.h"

static void remove_at(struct berth_clears *clears, uint32_t at)
{
	clears->n--;
	memmove(&clears->all[at], &clears->all[at + 1], (clears->n - at) * sizeof(clears->all[0]));
}

/* The oldest one that is done, of one client or a prefix if there is one: each session that is cleared once more is
 * one, and must not take the place of the clear of its service. n: none is done. */
static uint32_t find_forgettable(const struct berth_clears *clears)
{
	uint32_t oldest = clears->n;
	for (uint32_t at = clears->n; at-- > 0;)
		if (clears->all[at].is_done &&
		    (clears->all[at].client_bits || oldest == clears->n || !clears->all[oldest].client_bits))
			oldest = at;
	return oldest;
}

/* The oldest one; n: none. */
static uint32_t find_under_way(const struct berth_clears *clears)
{
	uint32_t at = 0;
	while (at < clears->n && clears->all[at].is_done)
		at++;
	return at;
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

static bool stays(const struct berth_clear *clear, const struct berth_session *session,
		  const struct berth_view *view)
{
	const uint32_t last_s = view->now - berth_word_age(session->word, view->now);
	return (session->has_client && session->client.reason == BERTH_REASON_PINNED) ||
	       (clear->spares_later && (int32_t)(last_s - clear->told_s) > 0);
}

static void end(struct berth_clear *clear, uint64_t sequence)
{
	clear->is_done = true;
	clear->sequence = sequence;
}

/* Of one client at once. False: of more. */
static bool clear_client(struct berth_clears *clears, const struct berth_clear *clear,
			 const struct berth_session_filter *filter, const struct berth_view *view)
{
	const struct berth_service *service = berth_service_of(view, filter->service);
	struct berth_session session;
	if (!filter->by_client || !service || filter->bits < berth_sessions_prefix_bits(service, &filter->prefix))
		return false;
	if (berth_sessions_lookup(view, &filter->prefix, filter->service, &session) &&
	    !stays(clear, &session, view) &&
	    (!filter->backend || filter->backend == berth_word_backend(session.word)))
		clears->sessions += berth_sessions_remove(view, &session);
	return true;
}

bool berth_clears_add(struct berth_clears *clears, const struct berth_clear *clear, const struct berth_ids *numbers,
		      const struct berth_view *view, uint64_t sequence)
{
	struct berth_session_filter filter;
	const bool is_over = !filter_of(clear, numbers, &filter) || clear_client(clears, clear, &filter, view);
	const uint32_t done = find_forgettable(clears);
	if (clears->n == BERTH_CLEARS && done == clears->n)
		return is_over;
	if (clears->n == BERTH_CLEARS)
		remove_at(clears, done);
	clears->all[clears->n] = *clear;
	if (is_over)
		end(&clears->all[clears->n], sequence);
	clears->n++;
	return true;
}

bool berth_clears_step(struct berth_clears *clears, const struct berth_ids *numbers, const struct berth_view *view,
		       uint64_t sequence)
{
	const uint32_t at = find_under_way(clears);
	struct berth_clear *clear = &clears->all[at];
	const uint32_t slots = (view->session_mask + 1) * BERTH_BUCKET_WORDS;
	struct berth_session_filter filter;
	struct berth_session session;
	if (at == clears->n)
		return false;
	const bool is_known = filter_of(clear, numbers, &filter);
	const uint32_t last = clear->at < slots && slots - clear->at > BERTH_CLEAR_SLOTS
				      ? clear->at + BERTH_CLEAR_SLOTS
				      : slots;
	while (is_known && berth_sessions_next(view, &filter, &clear->at, last, &session))
		if (!stays(clear, &session, view))
			clears->sessions += berth_sessions_remove(view, &session);
	if (!is_known || last == slots)
		end(clear, sequence);
	return true;
}

bool berth_clears_are_under_way(const struct berth_clears *clears)
{
	return find_under_way(clears) < clears->n;
}

static bool has(const struct berth_clear *clear, const struct berth_cluster_record *session)
{
	const uint8_t bits = clear->client_bits < session->client_bits ? clear->client_bits : session->client_bits;
	const union berth_addr prefix = berth_prefix_of(&session->client, bits);
	const union berth_addr cleared = berth_prefix_of(&clear->client, bits);
	return clear->service == session->service && (!clear->backend || clear->backend == session->backend) &&
	       berth_addr_equal(&prefix, &cleared) && (!clear->is_done || session->sequence <= clear->sequence);
}

bool berth_clears_has(const struct berth_clears *clears, const struct berth_cluster_record *session)
{
	for (uint32_t i = 0; i < clears->n; i++)
		if (has(&clears->all[i], session))
			return true;
	return false;
}
