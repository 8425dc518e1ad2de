/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/*
 * Client affinity: the session table maps a client to its backend. A session is one table word, with a struct
 * berth_client beside it that holds the client's address and the reason for the placement. It is unconfirmed, as
 * short-lived as a half-open flow and evicted like one, until a flow of the client is confirmed.
 *
 * The services of a group share their sessions. The group has a service number, and its words hold backend numbers
 * of its own. A server has one backend number in the group and one per service; berth_sibling maps one to another.
 */
#pragma once

#include "count.h"
#include "former.h"
#include "hash.h"
#include "select.h"

/* After a lost race: the word that another worker wrote into the entry's place; 0 if it belongs to another key. */
BERTH_INLINE uint64_t berth_entry_reread(const struct berth_view *view, const struct berth_key *key,
					 const struct berth_entry *entry)
{
	uint64_t value = berth_entry_read(view, key, entry);
	return berth_word_matches(view, key, value) ? value : 0;
}

/* Whether a packet may insert or update entries. A RST opens no flow, an ICMP error is not part of its flow, return
 * traffic (mode nat) is not its client's, and a limit of new flows is one of entries. */
BERTH_INLINE bool berth_is_tracked(const struct berth_packet *packet)
{
	return !(packet->tcp_flags & BERTH_TCP_RST) &&
	       !(packet->traits & (BERTH_ICMP_ERROR | BERTH_RETURN | BERTH_NOT_INSERTED));
}

BERTH_INLINE struct berth_key berth_session_key(const struct berth_view *view, const struct berth_packet *packet,
						const struct berth_service *service)
{
	const struct berth_ctl *ctl = berth_at_ctl(view, 0);
	uint64_t hash = ctl ? berth_hash_session(ctl->secret, packet, service) : 0;
	return berth_key_make(view, BERTH_TABLE_SESSIONS, service->session_service, hash);
}

/* The backend number of the same server in `service`; 0: the server is not in that service. */
BERTH_STEP int berth_sibling(const struct berth_view *view, uint32_t number, uint32_t service)
{
	if (!BERTH_IS_SET(view))
		return 0;
	for (uint32_t i = 0; i <= BERTH_MAX_GROUP && number; i++) {
		const struct berth_backend *backend = berth_backend_of(view, number);
		if (!backend || !backend->id)
			return 0;
		if (backend->service == service)
			return (int)number;
		number = backend->sibling;
	}
	return 0;
}

/* The client record of a session word, or NULL. */
BERTH_INLINE struct berth_client *berth_client_at(const struct berth_view *view, uint32_t at)
{
	return at < (view->session_mask + 1) * BERTH_BUCKET_WORDS ? berth_at_clients(view, at) : NULL;
}

/* The backend that a session is pinned to (a number of key->service); 0: not pinned. A pinned session does not
 * expire. It fails over like any session and returns once its backend is eligible, whatever `failback` says. */
BERTH_INLINE uint32_t berth_pinned_backend(const struct berth_client *client, uint32_t tag)
{
	return client && client->tag == tag && client->reason == BERTH_REASON_PINNED ? client->from : 0;
}

/* What a session lookup decides about a new flow, beside packet->backend: what to write into the session. */
struct berth_session_decision {
	uint32_t reason; /* enum berth_reason; NONE: the session stays as it is */
	uint32_t from;	 /* as in struct berth_client */
};

/* Writes the client record of the session word at `at`. */
BERTH_STEP int berth_client_write(const struct berth_view *view, const struct berth_packet *packet,
				  const struct berth_key *key, uint32_t at,
				  const struct berth_session_decision *decision)
{
	if (!BERTH_IS_SET(view) || !BERTH_IS_SET(packet) || !BERTH_IS_SET(key) || !BERTH_IS_SET(decision))
		return 0;
	const struct berth_service *service = berth_service_of(view, packet->service);
	struct berth_client *client = berth_client_at(view, at);
	if (!service || !client)
		return 0;
	client->addr = berth_client_prefix(packet, service);
	client->since = view->now;
	client->flows = 1;
	BERTH_STORE(&client->from, (uint16_t)decision->from);
	BERTH_STORE(&client->reason, (uint8_t)decision->reason);
	/* Last: with it the record is this session's. Before, a pin of the former one in this place is not. */
	BERTH_STORE(&client->tag, key->tag);
	return 0;
}

/* Inserts a session. `entry` becomes the client's session, of any worker, or BERTH_NOT_FOUND. */
BERTH_INLINE void berth_session_insert(const struct berth_view *view, const struct berth_key *key, uint32_t backend,
				       uint32_t state, struct berth_entry *entry)
{
	if (berth_flowtab_insert(view, key, backend, state, entry))
		berth_count_event(view, BERTH_EVENT_SESSION_EVICTED);
}

/* Updates the session of an existing flow's client: its last-seen time, at most once per second and flow, and its
 * state, if the flow is confirmed and gives it state SESSION. Where the session is missing or has expired, inserts
 * one on the flow's backend, in `state`. */
BERTH_RARE_STEP int berth_session_touch(const struct berth_view *view, const struct berth_packet *packet,
					uint32_t state)
{
	if (!BERTH_IS_SET(view) || !BERTH_IS_SET(packet))
		return 0;
	const struct berth_service *service = berth_service_of(view, packet->service);
	if (!service)
		return 0;
	struct berth_key key = berth_session_key(view, packet, service);
	struct berth_entry entry;
	berth_flowtab_lookup(view, &key, &entry);
	bool is_live = entry.at != BERTH_NOT_FOUND &&
		       (!berth_word_is_expired(entry.value, view->now, service) ||
			berth_pinned_backend(berth_client_at(view, entry.at), key.tag));
	if (is_live) {
		const uint32_t before = berth_word_state(entry.value);
		uint64_t touched = berth_word_touch(entry.value, view->now,
						    before == BERTH_STATE_SESSION ? before : state);
		if (before != BERTH_STATE_CLAIMED && touched != entry.value)
			berth_entry_swap(view, &key, &entry, touched);
		return 0;
	}
	const uint32_t eligibility = berth_eligibility(view, packet->backend);
	const uint32_t number = (uint32_t)berth_sibling(view, packet->backend, service->session_service);
	if (!(eligibility & BERTH_ELIGIBLE_SESSIONS) || !number)
		return 0;
	/* If another worker was first, its word and its client record stay. */
	bool is_inserted;
	if (entry.at != BERTH_NOT_FOUND) {
		is_inserted = berth_entry_swap(view, &key, &entry,
					       berth_word_make(key.tag, number, view->now, state));
	} else {
		berth_session_insert(view, &key, number, state, &entry);
		is_inserted = entry.at != BERTH_NOT_FOUND && berth_word_backend(entry.value) == number;
	}
	const struct berth_session_decision decision = {.reason = BERTH_REASON_SELECTED};
	if (is_inserted)
		berth_client_write(view, packet, &key, entry.at, &decision);
	berth_count_event(view, entry.at == BERTH_NOT_FOUND ? BERTH_EVENT_SESSION_FULL : BERTH_EVENT_SESSION_ADDED);
	return 0;
}

/* Whether a backend accepts a session that fails over to it. */
BERTH_INLINE bool berth_accepts_session(const struct berth_view *view, uint32_t number)
{
	return number && berth_accepts_over_share(berth_eligibility(view, number));
}

/* The backend that a session can return to now: the one that it failed over from, or its pin. 0: none. */
BERTH_INLINE uint32_t berth_session_return_target(const struct berth_view *view, const struct berth_packet *packet,
						  const struct berth_service *service,
						  const struct berth_client *client, uint32_t pin)
{
	if (!pin && (client->reason != BERTH_REASON_FAILED_OVER || service->failback != BERTH_FAILBACK_RETURN))
		return 0;
	uint32_t home = (uint32_t)berth_sibling(view, client->from, packet->service);
	uint32_t eligibility = home ? berth_eligibility(view, home) : 0;
	/* A pin also works for a backend without new clients: operators try out a backend of weight 0 so. */
	uint32_t needed = pin ? BERTH_ELIGIBLE_SESSIONS : BERTH_ELIGIBLE_NEW;
	return eligibility & needed && !(eligibility & BERTH_AT_LIMIT) ? home : 0;
}

/* For a session on backend `mine`, which is eligible for it: that backend, unless it is over its share or the
 * session returns elsewhere. Returns the verdict. */
BERTH_INLINE int berth_session_keep(const struct berth_view *view, struct berth_packet *packet,
				    const struct berth_service *service, const struct berth_key *key,
				    const struct berth_entry *entry, uint32_t mine,
				    struct berth_session_decision *decision)
{
	const uint32_t eligibility = berth_eligibility(view, mine);
	if (eligibility & BERTH_AT_LIMIT ||
	    (eligibility & BERTH_OVER_SHARE && service->overload == BERTH_OVERLOAD_SPILL)) {
		packet->backend = (uint16_t)berth_select(view, packet->service, berth_hash_tag(packet->hash));
		if (packet->backend && packet->backend != mine)
			return BERTH_VERDICT_SPILLED;
		if (eligibility & BERTH_AT_LIMIT)
			return BERTH_VERDICT_NO_BACKEND;
	}
	struct berth_client *client = berth_client_at(view, entry->at);
	bool is_current = client && client->tag == key->tag;
	uint32_t pin = berth_pinned_backend(client, key->tag);
	uint32_t target = is_current ? berth_session_return_target(view, packet, service, client, pin) : 0;
	if (target && target != mine) {
		packet->backend = (uint16_t)target;
		decision->reason = pin ? BERTH_REASON_PINNED : BERTH_REASON_RETURNED;
		decision->from = pin ? pin : berth_word_backend(entry->value);
		return BERTH_VERDICT_SELECTED;
	}
	packet->backend = (uint16_t)mine;
	if (!berth_is_tracked(packet))
		return BERTH_VERDICT_SESSION;
	/* A second packet confirms the session, also where no flow is ever confirmed: a UDP client can use a port
	 * per datagram, and a full flow table has no entry. A SYN does not: of these there are floods. */
	const bool is_syn = packet->tcp_flags & BERTH_TCP_SYN;
	uint64_t touched = berth_word_touch(entry->value, view->now,
					    is_syn ? berth_word_state(entry->value) : BERTH_STATE_SESSION);
	if (touched != entry->value)
		berth_entry_swap(view, key, entry, touched);
	if (is_current)
		client->flows++;
	return BERTH_VERDICT_SESSION;
}

/* The session of a key and its client, also in the former table, where it stays: an insert would need more stack
 * than BPF has here. NULL: none. */
BERTH_INLINE const struct berth_client *berth_session_find(const struct berth_view *view,
							   const struct berth_key *key, struct berth_entry *entry)
{
	berth_flowtab_find(view, key, entry);
	if (entry->at != BERTH_NOT_FOUND)
		return berth_client_at(view, entry->at);
	if (!view->former_session_bits)
		return NULL;
	berth_former_find(view, key, entry);
	return entry->at != BERTH_NOT_FOUND ? berth_at_former_clients(view, entry->at) : NULL;
}

/* Whether the client's session moved to another backend in the second in which the flow was last seen, or later. */
BERTH_RARE_STEP int berth_session_has_moved(const struct berth_view *view, const struct berth_packet *packet,
					    uint64_t word)
{
	if (!BERTH_IS_SET(view) || !BERTH_IS_SET(packet))
		return 0;
	const struct berth_service *service = berth_service_of(view, packet->service);
	if (!service)
		return 0;
	struct berth_key key = berth_session_key(view, packet, service);
	struct berth_entry entry;
	const struct berth_client *client = berth_session_find(view, &key, &entry);
	if (!client || client->tag != key.tag || client->reason <= BERTH_REASON_SPILLED ||
	    view->now - client->since > berth_word_age(word, view->now))
		return 0;
	const bool is_live = berth_pinned_backend(client, key.tag) ||
			     !berth_word_is_expired(entry.value, view->now, service);
	const uint32_t mine = (uint32_t)berth_sibling(view, berth_word_backend(entry.value), packet->service);
	return is_live && mine && mine != berth_word_backend(word);
}

/* Whether `backend` was selected only because the row's primary is over its share. */
BERTH_INLINE bool berth_is_spilled(const struct berth_view *view, const struct berth_service *service, uint32_t tag,
				   uint32_t backend)
{
	struct berth_row row = berth_row_at(view, service, berth_row_of_tag(tag, service->rows));
	return row.primary != backend && berth_eligibility(view, row.primary) & (BERTH_OVER_SHARE | BERTH_AT_LIMIT);
}

/* Sets packet->backend for a client's new flow from its session (`entry`, which may be BERTH_NOT_FOUND), else by
 * selection. `decision` tells what to write into the session. Returns the verdict. */
BERTH_STEP int berth_session_decide(const struct berth_view *view, struct berth_packet *packet,
				    const struct berth_key *key, const struct berth_entry *entry,
				    struct berth_session_decision *decision)
{
	if (!BERTH_IS_SET(view) || !BERTH_IS_SET(packet) || !BERTH_IS_SET(key) || !BERTH_IS_SET(entry) ||
	    !BERTH_IS_SET(decision))
		return BERTH_VERDICT_INTERNAL;
	decision->reason = BERTH_REASON_NONE;
	decision->from = 0;
	const struct berth_service *service = berth_service_of(view, packet->service);
	if (!service)
		return BERTH_VERDICT_INTERNAL;
	uint32_t pin = berth_pinned_backend(berth_client_at(view, entry->at), key->tag);
	bool is_live = entry->at != BERTH_NOT_FOUND &&
		       (pin || !berth_word_is_expired(entry->value, view->now, service));
	uint32_t had = is_live ? berth_word_backend(entry->value) : 0;
	uint32_t mine = had ? (uint32_t)berth_sibling(view, had, packet->service) : 0;
	if (mine && berth_eligibility(view, mine) & BERTH_ELIGIBLE_SESSIONS)
		return berth_session_keep(view, packet, service, key, entry, mine, decision);

	const struct berth_backend *gone = mine ? berth_backend_of(view, mine) : NULL;
	uint32_t number = gone && berth_accepts_session(view, gone->backup) ? gone->backup : 0;
	if (!number && berth_is_tracked(packet))
		number = berth_select(view, packet->service, key->tag);
	else if (!number)
		number = (uint32_t)berth_select_stateless(view, packet->service, key->tag);
	packet->backend = (uint16_t)number;
	if (!number)
		return BERTH_VERDICT_NO_BACKEND;
	/* The session's server is not in this service of the group: the session stays for the other services. */
	if (had && !mine)
		return BERTH_VERDICT_SELECTED;
	if (mine) {
		decision->reason = pin ? BERTH_REASON_PINNED : BERTH_REASON_FAILED_OVER;
		decision->from = pin ? pin : had;
	} else {
		decision->reason = berth_is_spilled(view, service, key->tag, number) ? BERTH_REASON_SPILLED
										     : BERTH_REASON_SELECTED;
	}
	return BERTH_VERDICT_SELECTED;
}

/* After a lost race for a session word: takes the backend that the other worker wrote, if it is eligible. */
BERTH_INLINE void berth_session_adopt(const struct berth_view *view, struct berth_packet *packet,
				      const struct berth_key *key, const struct berth_entry *entry)
{
	uint64_t word = berth_entry_reread(view, key, entry);
	uint32_t number = word ? (uint32_t)berth_sibling(view, berth_word_backend(word), packet->service) : 0;
	if (number && berth_eligibility(view, number) & BERTH_ELIGIBLE_SESSIONS)
		packet->backend = (uint16_t)number;
}

/* Writes packet->backend into the session: into its word (`entry`), which has expired or whose backend is not
 * eligible, or into a new one. If another worker was first, its choice becomes packet->backend. */
BERTH_STEP int berth_session_write(const struct berth_view *view, struct berth_packet *packet,
				   const struct berth_key *key, struct berth_entry *entry,
				   const struct berth_session_decision *decision)
{
	if (!BERTH_IS_SET(view) || !BERTH_IS_SET(packet) || !BERTH_IS_SET(key) || !BERTH_IS_SET(entry) ||
	    !BERTH_IS_SET(decision))
		return BERTH_VERDICT_INTERNAL;
	const uint32_t number = (uint32_t)berth_sibling(view, packet->backend, key->service);
	if (!number)
		return BERTH_VERDICT_SELECTED;
	const bool has_moved = decision->reason > BERTH_REASON_SPILLED;
	uint64_t word;
	if (entry->at == BERTH_NOT_FOUND) {
		berth_session_insert(view, key, number, BERTH_STATE_UNCONFIRMED, entry);
		if (entry->at == BERTH_NOT_FOUND) {
			berth_count_event(view, BERTH_EVENT_SESSION_FULL);
			return BERTH_VERDICT_SELECTED;
		}
		word = entry->value;
	} else {
		/* It moved, or had expired. */
		word = berth_word_make(key->tag, number, view->now,
				       has_moved ? berth_word_state(entry->value) : BERTH_STATE_UNCONFIRMED);
		if (!berth_entry_swap(view, key, entry, word)) {
			berth_session_adopt(view, packet, key, entry);
			return BERTH_VERDICT_SELECTED;
		}
	}
	berth_count_event(view, has_moved ? BERTH_EVENT_SESSION_MOVED : BERTH_EVENT_SESSION_ADDED);
	if (berth_word_backend(word) == number)
		berth_client_write(view, packet, key, entry->at, decision);
	else
		packet->backend = (uint16_t)berth_sibling(view, berth_word_backend(word), packet->service);
	return BERTH_VERDICT_SELECTED;
}
