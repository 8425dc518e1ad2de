// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/tables/received.h"

#include "controlplane/tables/sessions.h"
#include "dataplane/core/session.h"

enum {
	/* A client that has used one of two sessions alone for longer has left the other. */
	ALONE_S = 60,
	TRIES = 4,
};

/* One of a client's two sessions. */
struct session {
	int32_t idle_s;
	int32_t held_s;
	bool has_moved;
	uint64_t backend; /* id: numbers differ between nodes */
};

/* The word with the time of its last packet. */
static uint64_t word_of(const struct berth_view *view, const struct berth_received *received)
{
	return berth_word_make(received->tag, received->backend, view->now - received->idle_s, received->state);
}

/* When it was given its backend, not in the future. */
static uint32_t since_of(const struct berth_view *view, const struct berth_received *received)
{
	const int32_t held_s = received->has_held ? received->held_s : (int32_t)received->idle_s;
	return view->now - (uint32_t)(held_s > 0 ? held_s : 0);
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
	client->since = since_of(view, received);
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

static bool has_moved(enum berth_reason reason)
{
	return reason > BERTH_REASON_SPILLED;
}

static uint64_t id_of(const struct berth_view *view, uint32_t number)
{
	const struct berth_backend *backend = berth_backend_of(view, number);
	return backend ? backend->id : 0;
}

/* The two sessions of a client, if it is known when both began. */
static bool read_sessions(const struct berth_view *view, const struct berth_received *received,
			  const struct berth_entry *entry, struct session *own, struct session *other)
{
	const struct berth_client *client = received->table == BERTH_TABLE_SESSIONS
						    ? berth_client_at(view, entry->at)
						    : NULL;
	if (!client || client->tag != received->tag || !received->has_held)
		return false;
	*own = (struct session){
		.idle_s = (int32_t)berth_word_age(entry->value, view->now),
		.held_s = (int32_t)(view->now - client->since),
		.has_moved = has_moved(client->reason),
		.backend = id_of(view, berth_word_backend(entry->value)),
	};
	*other = (struct session){
		.idle_s = (int32_t)received->idle_s,
		.held_s = received->held_s,
		.has_moved = has_moved(received->reason),
		.backend = id_of(view, received->backend),
	};
	return true;
}

static bool precedes(const struct session *x, const struct session *y)
{
	if (x->has_moved != y->has_moved)
		return x->has_moved;
	if (x->held_s != y->held_s)
		return (x->held_s > y->held_s) != x->has_moved;
	return x->backend < y->backend;
}

/* For how long the client used x and not y. */
static int64_t alone_s(const struct session *x, const struct session *y)
{
	return (int64_t)(x->held_s < y->idle_s ? x->held_s : y->idle_s) - x->idle_s;
}

/* Whether x stays, and y does not. */
static bool prevails(const struct session *x, const struct session *y)
{
	return precedes(x, y) ? alone_s(y, x) <= ALONE_S : alone_s(x, y) > ALONE_S;
}

/* The same session on the same backend: since when the node knows that has precedence. */
static void confirm_client(const struct berth_view *view, const struct berth_received *received,
			   const struct berth_key *key, const struct berth_entry *entry)
{
	struct session own, other;
	if (!read_sessions(view, received, entry, &own, &other) || !precedes(&other, &own))
		return;
	struct berth_client *client = berth_at_clients(view, entry->at);
	uint8_t reason = client->reason;
	/* Not if a worker moves it meanwhile. */
	if (berth_word_backend(berth_entry_read(view, key, entry)) != received->backend ||
	    has_moved(reason) != own.has_moved)
		return;
	client->since = since_of(view, received);
	if (other.has_moved && !own.has_moved)
		__atomic_compare_exchange_n(&client->reason, &reason, (uint8_t)received->reason, false,
					    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

/* The same flow on the same backend: of both, the later time, and the state that is harder to evict. */
static void confirm(const struct berth_view *view, const struct berth_received *received,
		    const struct berth_key *key, struct berth_entry *entry)
{
	const uint32_t state = berth_word_state(entry->value) == BERTH_STATE_PROVEN &&
					       received->state == BERTH_STATE_CONFIRMED
				       ? BERTH_STATE_PROVEN
				       : received->state;
	confirm_client(view, received, key, entry);
	if (berth_word_age(entry->value, view->now) <= received->idle_s)
		return;
	const uint64_t word = berth_word_touch(entry->value, view->now - received->idle_s, state);
	if (berth_entry_swap(view, key, entry, word))
		entry->value = word;
}

static bool is_pinned(const struct berth_view *view, const struct berth_received *received,
		      const struct berth_entry *entry)
{
	return received->table == BERTH_TABLE_SESSIONS &&
	       berth_pinned_backend(berth_client_at(view, entry->at), received->tag);
}

/* Whether the client began its session here after the record was told, which was received then: so what it tells
 * has ended here since. */
static bool has_ended(const struct berth_received *received, const struct session *own)
{
	return received->is_again && own->held_s < (int32_t)received->told_s;
}

enum decision {
	REPLACE,
	STAY,
	STAY_AND_TELL, /* the sender of the record cannot know it */
};

/* Of two sessions of a client. One packet alone is no proof of a client. */
static enum decision decide_sessions(const struct berth_received *received, const struct session *own,
				     const struct session *other, uint32_t state)
{
	const bool is_proof = state != BERTH_STATE_UNCONFIRMED;
	if (is_proof != (received->state != BERTH_STATE_UNCONFIRMED))
		return is_proof ? STAY_AND_TELL : REPLACE;
	if (has_ended(received, own))
		return STAY;
	return prevails(own, other) ? STAY_AND_TELL : REPLACE;
}

/* Whether the entry here stays on its backend. A claim is of a packet that comes now. */
static enum decision decide(const struct berth_view *view, const struct berth_received *received,
			    const struct berth_entry *entry)
{
	const struct berth_service *service = berth_service_of(view, received->service);
	const uint32_t state = berth_word_state(entry->value), age_s = berth_word_age(entry->value, view->now);
	struct session own, other;
	if (is_pinned(view, received, entry))
		return STAY;
	if (state == BERTH_STATE_CLAIMED)
		return STAY_AND_TELL;
	if (berth_word_is_expired(entry->value, view->now, service))
		return REPLACE;
	if (read_sessions(view, received, entry, &own, &other))
		return decide_sessions(received, &own, &other, state);
	if (age_s == received->idle_s)
		return STAY;
	return age_s < received->idle_s ? STAY_AND_TELL : REPLACE;
}

static enum berth_received_outcome replace(const struct berth_view *view, const struct berth_received *received,
					   const struct berth_key *key, struct berth_entry *entry)
{
	const uint64_t word = word_of(view, received);
	struct berth_client *client = received->table == BERTH_TABLE_SESSIONS ? berth_client_at(view, entry->at)
									      : NULL;
	const uint8_t reason = client ? client->reason : BERTH_REASON_NONE;
	if (client)
		berth_sessions_clear_reason(view, entry->at, key->tag);
	/* A worker used it meanwhile. */
	if (!berth_entry_swap(view, key, entry, word)) {
		uint8_t cleared = BERTH_REASON_NONE;
		if (client)
			__atomic_compare_exchange_n(&client->reason, &cleared, reason, false, __ATOMIC_SEQ_CST,
						    __ATOMIC_SEQ_CST);
		return BERTH_RECEIVED_OLDER;
	}
	entry->value = word;
	write_client(view, received, key, entry->at);
	return BERTH_RECEIVED_REPLACED;
}

/* Where the entry is on another backend. */
static enum berth_received_outcome put_against(const struct berth_view *view, const struct berth_received *received,
					       const struct berth_key *key, struct berth_received_places *places)
{
	struct berth_entry *entry = &places->entry[places->n];
	enum decision decision = decide(view, received, entry);
	/* Once more if a worker used it meanwhile. */
	for (int i = 0; i < TRIES && decision == REPLACE; i++) {
		if (replace(view, received, key, entry) == BERTH_RECEIVED_REPLACED)
			return BERTH_RECEIVED_REPLACED;
		berth_flowtab_lookup(view, key, entry);
		if (entry->at == BERTH_NOT_FOUND || berth_word_backend(entry->value) == received->backend)
			return BERTH_RECEIVED_OLDER;
		decision = decide(view, received, entry);
	}
	places->has_other = decision == STAY_AND_TELL;
	places->other = *entry;
	return BERTH_RECEIVED_OLDER;
}

/* The same backend: an ended session says nothing of the present one, neither when it began nor that it was told.
 */
static enum berth_received_outcome put_same(const struct berth_view *view, const struct berth_received *received,
					    const struct berth_key *key, struct berth_entry *entry)
{
	struct session own, other;
	if (read_sessions(view, received, entry, &own, &other) && has_ended(received, &own))
		return BERTH_RECEIVED_OLDER;
	if (berth_word_state(entry->value) != BERTH_STATE_CLAIMED)
		confirm(view, received, key, entry);
	return BERTH_RECEIVED_CONFIRMED;
}

static enum berth_received_outcome put(const struct berth_view *view, const struct berth_received *received,
				       const struct berth_key *key, struct berth_received_places *places)
{
	struct berth_entry *entry = &places->entry[places->n];
	enum berth_received_outcome outcome;
	berth_flowtab_lookup(view, key, entry);
	if (entry->at == BERTH_NOT_FOUND)
		outcome = insert(view, received, key, entry);
	else if (berth_word_backend(entry->value) != received->backend)
		outcome = put_against(view, received, key, places);
	else
		outcome = put_same(view, received, key, entry);
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
	places->has_other = false;
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
