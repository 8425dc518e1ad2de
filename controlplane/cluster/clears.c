// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/cluster/clears.h"

#include <stdlib.h>
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

/* The newest one that is under way; there is one. */
static const struct berth_clear *newest(const struct berth_clears *clears)
{
	uint32_t at = clears->n - 1;
	while (clears->all[at].is_done)
		at--;
	return &clears->all[at];
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

/* Whether what is in the slot was written after the clear, which is under way or new. At most BERTH_CLEARS numbers
 * are in use at one time. */
static bool is_later(const struct berth_clears *clears, const struct berth_clear *clear, uint32_t at)
{
	const uint8_t later = clears->later && clear->number ? clears->later[at] : 0;
	return later && (uint8_t)(later - clear->number) < UINT8_MAX / 2;
}

/* Whether it leaves a session alone that had its last packet then. */
static bool spares(const struct berth_clear *clear, uint32_t last_s)
{
	return clear->spares_later && (int32_t)(last_s - clear->told_s) > 0;
}

static bool stays(const struct berth_clears *clears, const struct berth_clear *clear,
		  const struct berth_session *session, const struct berth_view *view)
{
	const uint32_t last_s = view->now - berth_word_age(session->word, view->now);
	return (session->has_client && session->client.reason == BERTH_REASON_PINNED) || spares(clear, last_s) ||
	       is_later(clears, clear, session->at);
}

static void clear_client(struct berth_clears *clears, const struct berth_clear *clear,
			 const struct berth_session_filter *filter, const struct berth_view *view,
			 const union berth_addr *client)
{
	struct berth_session session;
	if (berth_sessions_lookup(view, client, filter->service, &session) &&
	    !stays(clears, clear, &session, view) &&
	    (!filter->backend || filter->backend == berth_word_backend(session.word)))
		clears->sessions += berth_sessions_remove(view, &session);
}

/* Of one client, which is cleared at once. */
static bool is_of_one_client(const struct berth_session_filter *filter, const struct berth_view *view)
{
	const struct berth_service *service = berth_service_of(view, filter->service);
	return filter->by_client && service && filter->bits >= berth_sessions_prefix_bits(service, &filter->prefix);
}

/* --- slots --- */

static void forget_writes(struct berth_clears *clears)
{
	free(clears->later);
	clears->later = NULL;
}

/* No clear looks at what was written after this one any more. */
static void forget_writes_after(struct berth_clears *clears, const struct berth_clear *clear, uint32_t from,
				uint32_t to)
{
	for (uint32_t at = from; clears->later && at < to; at++)
		if (clears->later[at] == clear->number)
			clears->later[at] = 0;
}

/* In a table of another size nothing is where it was: the clears begin again, and know of no later write. */
static void follow_size(struct berth_clears *clears, const struct berth_view *view)
{
	const uint32_t slots = (view->session_mask + 1) * BERTH_BUCKET_WORDS;
	if (clears->slots == slots)
		return;
	forget_writes(clears);
	clears->slots = slots;
	for (uint32_t i = 0; i < clears->n; i++)
		clears->all[i].at = 0;
}

void berth_clears_free(struct berth_clears *clears)
{
	forget_writes(clears);
}

/* --- the order --- */

static void begin(struct berth_clears *clears, struct berth_clear *clear)
{
	clears->last = (uint8_t)(clears->last + 1) ? (uint8_t)(clears->last + 1) : 1;
	clear->number = clears->last;
	clears->under_way++;
}

static void end(struct berth_clear *clear, uint64_t sequence)
{
	clear->is_done = true;
	clear->sequence = sequence;
}

bool berth_clears_add(struct berth_clears *clears, const struct berth_clear *clear, const struct berth_ids *numbers,
		      const struct berth_view *view, uint64_t sequence)
{
	struct berth_session_filter filter;
	const bool is_known = filter_of(clear, numbers, &filter);
	const bool is_over = !is_known || is_of_one_client(&filter, view);
	if (is_known && is_over)
		clear_client(clears, clear, &filter, view, &filter.prefix);
	const uint32_t done = find_forgettable(clears);
	if (clears->n == BERTH_CLEARS && done == clears->n)
		return is_over;
	if (clears->n == BERTH_CLEARS)
		remove_at(clears, done);
	struct berth_clear *added = &clears->all[clears->n++];
	*added = *clear;
	if (is_over)
		end(added, sequence);
	else
		begin(clears, added);
	return true;
}

bool berth_clears_step(struct berth_clears *clears, const struct berth_ids *numbers, const struct berth_view *view,
		       uint64_t sequence)
{
	const uint32_t oldest = find_under_way(clears);
	struct berth_clear *clear = &clears->all[oldest];
	struct berth_session_filter filter;
	struct berth_session session;
	if (oldest == clears->n)
		return false;
	follow_size(clears, view);
	const bool is_known = filter_of(clear, numbers, &filter);
	const uint32_t from = clear->at, left = clears->slots - from;
	const uint32_t last = is_known && left > BERTH_CLEAR_SLOTS ? from + BERTH_CLEAR_SLOTS : clears->slots;
	while (is_known && berth_sessions_next(view, &filter, &clear->at, last, &session))
		if (!stays(clears, clear, &session, view))
			clears->sessions += berth_sessions_remove(view, &session);
	forget_writes_after(clears, clear, from, last);
	if (last < clears->slots)
		return true;
	end(clear, sequence);
	if (!--clears->under_way)
		forget_writes(clears);
	return true;
}

static bool covers(const struct berth_session_filter *filter, uint32_t service, const union berth_addr *client)
{
	return filter->service == service &&
	       (!filter->by_client || (berth_addr_is4(&filter->prefix) == berth_addr_is4(client) &&
				       berth_prefix_holds(&filter->prefix, filter->bits, client)));
}

bool berth_clears_precede(struct berth_clears *clears, const struct berth_ids *numbers,
			  const struct berth_view *view, uint32_t service, const union berth_addr *client)
{
	struct berth_session_filter filter;
	if (!clears->under_way)
		return true;
	follow_size(clears, view);
	if (!clears->later)
		clears->later = calloc(clears->slots, sizeof(*clears->later));
	if (!clears->later)
		return false;
	for (uint32_t i = find_under_way(clears); i < clears->n; i++)
		if (!clears->all[i].is_done && filter_of(&clears->all[i], numbers, &filter) &&
		    covers(&filter, service, client))
			clear_client(clears, &clears->all[i], &filter, view, client);
	return true;
}

void berth_clears_spare(struct berth_clears *clears, uint32_t at)
{
	if (!clears->under_way || !clears->later || at >= clears->slots)
		return;
	const struct berth_clear *clear = newest(clears);
	if (at >= clear->at)
		clears->later[at] = clear->number;
}

bool berth_clears_are_under_way(const struct berth_clears *clears)
{
	return clears->under_way;
}

static bool has(const struct berth_clear *clear, const struct berth_cluster_record *session)
{
	const uint8_t bits = clear->client_bits < session->client_bits ? clear->client_bits : session->client_bits;
	const union berth_addr prefix = berth_prefix_of(&session->client, bits);
	const union berth_addr cleared = berth_prefix_of(&clear->client, bits);
	return clear->service == session->service && (!clear->backend || clear->backend == session->backend) &&
	       berth_addr_equal(&prefix, &cleared) && (!clear->is_done || session->sequence <= clear->sequence);
}

bool berth_clears_has(const struct berth_clears *clears, const struct berth_cluster_record *session,
		      const uint32_t *last_s)
{
	for (uint32_t i = 0; i < clears->n; i++)
		if (has(&clears->all[i], session) && !(last_s && spares(&clears->all[i], *last_s)))
			return true;
	return false;
}
