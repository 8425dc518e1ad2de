// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/tables/received.h"

#include "controlplane/tables/sessions.h"
#include "dataplane/core/session.h"

/* The word with the time of its last packet. */
static uint64_t word_of(const struct berth_view *view, const struct berth_received *received)
{
	return berth_word_make(received->tag, received->backend, view->now - received->idle_s, received->state);
}

static void write_client(const struct berth_view *view, const struct berth_received *received,
			 const struct berth_key *key, uint32_t at)
{
	if (received->table != BERTH_TABLE_SESSIONS)
		return;
	const struct berth_packet packet = berth_sessions_packet(&received->client, received->service);
	const struct berth_session_decision decision = {.reason = received->reason};
	berth_client_write(view, &packet, key, at, &decision);
	struct berth_client *client = berth_at_clients(view, at);
	client->since = view->now - received->idle_s;
	client->flows = 0;
}

static enum berth_received_outcome insert(const struct berth_view *view, const struct berth_received *received,
					  const struct berth_key *key, struct berth_entry *entry)
{
	berth_flowtab_insert(view, key, received->backend, received->state, entry);
	if (entry->at == BERTH_NOT_FOUND)
		return BERTH_RECEIVED_NO_ROOM;
	if (berth_word_backend(entry->value) != received->backend)
		return BERTH_RECEIVED_OLDER;
	write_client(view, received, key, entry->at);
	/* Last: an insert takes the view's time as that of the word. A worker that used it meanwhile is later. */
	const uint64_t word = word_of(view, received);
	if (berth_entry_swap(view, key, entry, word))
		entry->value = word;
	return BERTH_RECEIVED_INSERTED;
}

/* The same flow on the same backend: of both, the later time, and the state that is harder to evict. */
static void confirm(const struct berth_view *view, const struct berth_received *received,
		    const struct berth_key *key, struct berth_entry *entry)
{
	const uint32_t state = berth_word_state(entry->value) == BERTH_STATE_PROVEN &&
					       received->state == BERTH_STATE_CONFIRMED
				       ? BERTH_STATE_PROVEN
				       : received->state;
	if (berth_word_age(entry->value, view->now) <= received->idle_s)
		return;
	const uint64_t word = berth_word_touch(entry->value, view->now - received->idle_s, state);
	if (berth_entry_swap(view, key, entry, word))
		entry->value = word;
}

/* Whether the entry here stays on its backend. A claim is of a packet that comes now. */
static bool is_later(const struct berth_view *view, const struct berth_received *received,
		     const struct berth_entry *entry)
{
	if (berth_word_state(entry->value) == BERTH_STATE_CLAIMED)
		return true;
	if (received->table == BERTH_TABLE_SESSIONS &&
	    berth_pinned_backend(berth_client_at(view, entry->at), received->tag))
		return true;
	const struct berth_service *service = berth_service_of(view, received->service);
	return !berth_word_is_expired(entry->value, view->now, service) &&
	       berth_word_age(entry->value, view->now) <= received->idle_s;
}

static enum berth_received_outcome replace(const struct berth_view *view, const struct berth_received *received,
					   const struct berth_key *key, struct berth_entry *entry)
{
	const uint64_t word = word_of(view, received);
	if (received->table == BERTH_TABLE_SESSIONS)
		berth_sessions_clear_reason(view, entry->at, key->tag);
	/* A worker used it meanwhile. */
	if (!berth_entry_swap(view, key, entry, word))
		return BERTH_RECEIVED_OLDER;
	entry->value = word;
	write_client(view, received, key, entry->at);
	return BERTH_RECEIVED_REPLACED;
}

static enum berth_received_outcome put(const struct berth_view *view, const struct berth_received *received,
				       const struct berth_key *key, struct berth_received_places *places)
{
	struct berth_entry *entry = &places->entry[places->n];
	enum berth_received_outcome outcome = BERTH_RECEIVED_CONFIRMED;
	berth_flowtab_lookup(view, key, entry);
	if (entry->at == BERTH_NOT_FOUND)
		outcome = insert(view, received, key, entry);
	else if (berth_word_backend(entry->value) != received->backend)
		outcome = is_later(view, received, entry) ? BERTH_RECEIVED_OLDER
							  : replace(view, received, key, entry);
	else if (berth_word_state(entry->value) != BERTH_STATE_CLAIMED)
		confirm(view, received, key, entry);
	places->n += outcome <= BERTH_RECEIVED_CONFIRMED;
	return outcome;
}

static enum berth_received_outcome put_session(const struct berth_view *view, const struct berth_received *received,
					       struct berth_received_places *places)
{
	const struct berth_packet packet = berth_sessions_packet(&received->client, received->service);
	const struct berth_key key = berth_session_key(view, &packet, berth_service_of(view, received->service));
	return key.tag == received->tag ? put(view, received, &key, places) : BERTH_RECEIVED_OTHER_HASH;
}

/* Each place whose low bits are those of the sender's. A place that is not the flow's is never looked up, and its
 * word expires. */
static enum berth_received_outcome put_flow(const struct berth_view *view, const struct berth_received *received,
					    struct berth_received_places *places)
{
	const uint32_t bits = (uint32_t)__builtin_popcount(view->flow_mask);
	const uint32_t unknown = bits > received->low_bits ? bits - received->low_bits : 0;
	enum berth_received_outcome outcome = BERTH_RECEIVED_SMALL_TABLE;
	if (unknown > BERTH_RECEIVED_UNKNOWN_BITS)
		return outcome;
	for (uint32_t i = 0; i < 1u << unknown; i++) {
		const uint32_t low = unknown ? received->low | i << received->low_bits : received->low;
		const struct berth_key key = {
			.table = BERTH_TABLE_FLOWS,
			.service = received->service,
			.tag = received->tag,
			.low = low,
			.bucket = {low & view->flow_mask,
				   (low ^ berth_bucket_distance(received->tag)) & view->flow_mask},
		};
		outcome = put(view, received, &key, places);
	}
	return outcome;
}

enum berth_received_outcome berth_received_put(const struct berth_view *view, const struct berth_received *received,
					       struct berth_received_places *places)
{
	const struct berth_service *service = berth_service_of(view, received->service);
	places->n = 0;
	if (!service || received->idle_s > service->timeout[received->state])
		return BERTH_RECEIVED_EXPIRED;
	return received->table == BERTH_TABLE_SESSIONS ? put_session(view, received, places)
						       : put_flow(view, received, places);
}

const char *berth_received_outcome_name(enum berth_received_outcome outcome)
{
	static const char *const names[] = {
#define BERTH_X(symbol, name, help) [BERTH_RECEIVED_##symbol] = (name),
		BERTH_RECEIVED_OUTCOMES(BERTH_X)
#undef BERTH_X
	};
	return names[outcome];
}
