/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/*
 * Client affinity: what a client's session says of a new flow of the client's. A session is a word of the session
 * table with a line beside it for people (struct berth_client).
 *
 * Services of a group share sessions. The words then hold numbers of the backends of one of them, the group's
 * first; the same server has another number in each service, and berth_sibling finds it.
 */
#pragma once

#include "count.h"
#include "hash.h"
#include "select.h"

/* The value that stands in an entry's place after a lost race, if it is still the key's: another worker was
 * first, and what it wrote is the answer. 0: nothing. */
BERTH_INLINE uint64_t berth_entry_reread(const struct berth_view *view, const struct berth_key *key,
					 const struct berth_entry *entry)
{
	uint64_t value = berth_entry_read(view, key, entry);
	return berth_word_matches(view, key, value) ? value : 0;
}

/* A RST opens nothing: whoever sent it, there is nothing to remember; nor by a packet that is only about a flow. */
BERTH_INLINE bool berth_is_tracked(const struct berth_packet *packet)
{
	return !(packet->tcp_flags & BERTH_TCP_RST) && !(packet->traits & BERTH_ICMP_ERROR);
}

BERTH_INLINE struct berth_key berth_session_key(const struct berth_view *view, const struct berth_packet *packet,
						const struct berth_service *service)
{
	const struct berth_ctl *ctl = berth_at_ctl(view, 0);
	uint64_t hash = ctl ? berth_hash_session(ctl->secret, packet, service) : 0;
	return berth_key_make(view, BERTH_TABLE_SESSIONS, service->session_service, hash);
}

/* The number that a backend's server has in `service`; 0: it is not in there. */
BERTH_STEP int berth_sibling(const struct berth_view *view, uint32_t number, uint32_t service)
{
	if (!BERTH_IS_SET(view))
		return 0;
	for (uint32_t i = 0; i < BERTH_MAX_GROUP && number; i++) {
		const struct berth_backend *backend = berth_backend_of(view, number);
		if (!backend || !backend->id)
			return 0;
		if (backend->service == service)
			return (int)number;
		number = backend->sibling;
	}
	return 0;
}

/* The line beside a word, or NULL. */
BERTH_INLINE struct berth_client *berth_client_at(const struct berth_view *view, uint32_t at)
{
	return at < (view->session_mask + 1) * BERTH_BUCKET_WORDS ? berth_at_clients(view, at) : NULL;
}

/* The backend that a session is pinned to, by its number in key->service; 0: it is not pinned. A pinned session
 * does not expire. It fails over like any other, and returns as soon as that backend may have it, whatever the
 * service says of others. */
BERTH_INLINE uint32_t berth_pinned_backend(const struct berth_client *client, uint32_t tag)
{
	return client && client->tag == tag && client->reason == BERTH_REASON_PINNED ? client->from : 0;
}

/* Writes down who a session's word is, and why it is as it is: `why` is its reason, and from bit 8 on the backend
 * before. */
BERTH_STEP int berth_client_write(const struct berth_view *view, const struct berth_packet *packet,
				  const struct berth_key *key, uint32_t at, uint32_t why)
{
	if (!BERTH_IS_SET(view) || !BERTH_IS_SET(packet) || !BERTH_IS_SET(key))
		return 0;
	const struct berth_service *service = berth_service_of(view, packet->service);
	struct berth_client *client = berth_client_at(view, at);
	if (!service || !client)
		return 0;
	client->addr = berth_client_prefix(packet, service);
	client->since = view->now;
	client->flows = 1;
	client->tag = key->tag;
	client->from = (uint16_t)(why >> 8);
	client->reason = (uint8_t)why;
	return 0;
}

/* Notes that the client of a known flow is not silent: at most once a second and flow. A session that was
 * lost or had expired begins anew on the flow's backend. */
BERTH_STEP int berth_session_touch(const struct berth_view *view, const struct berth_packet *packet)
{
	if (!BERTH_IS_SET(view) || !BERTH_IS_SET(packet))
		return 0;
	const struct berth_service *service = berth_service_of(view, packet->service);
	if (!service)
		return 0;
	struct berth_key key = berth_session_key(view, packet, service);
	struct berth_entry entry;
	berth_flowtab_lookup(view, &key, &entry);
	bool alive = entry.at != BERTH_NOT_FOUND &&
		     (!berth_word_is_expired(entry.value, view->now, service) ||
		      berth_pinned_backend(berth_client_at(view, entry.at), key.tag));
	if (alive) {
		uint64_t touched = berth_word_touch(entry.value, view->now, BERTH_STATE_SESSION);
		if (berth_word_state(entry.value) == BERTH_STATE_SESSION && touched != entry.value)
			berth_entry_swap(view, &key, &entry, touched);
		return 0;
	}
	const uint32_t eligibility = berth_eligibility(view, packet->backend);
	const uint32_t number = (uint32_t)berth_sibling(view, packet->backend, service->session_service);
	if (!(eligibility & BERTH_ELIGIBLE_SESSIONS) || !number)
		return 0;
	/* Where somebody else was first, what stands there and the line beside it are theirs. */
	bool is_ours;
	if (entry.at != BERTH_NOT_FOUND) {
		is_ours = berth_entry_swap(view, &key, &entry,
					   berth_word_make(key.tag, number, view->now, BERTH_STATE_SESSION));
	} else {
		berth_flowtab_insert(view, &key, number, BERTH_STATE_SESSION, &entry);
		is_ours = entry.at != BERTH_NOT_FOUND && berth_word_backend(entry.value) == number;
	}
	if (is_ours)
		berth_client_write(view, packet, &key, entry.at, BERTH_REASON_SELECTED);
	berth_count_event(view, entry.at == BERTH_NOT_FOUND ? BERTH_EVENT_SESSION_FULL : BERTH_EVENT_SESSION_ADDED);
	return 0;
}

/* What a session says beside a verdict: why the choice is to be written into it (enum berth_reason), and which
 * backend it was before. */
BERTH_INLINE int berth_session_say(enum berth_verdict verdict, enum berth_reason reason, uint32_t from)
{
	return (int)((uint32_t)verdict | (uint32_t)reason << 8 | from << 16);
}

/* Whether a backend takes a session that it has not: a client that fails over. */
BERTH_INLINE bool berth_accepts_session(const struct berth_view *view, uint32_t number)
{
	return number && berth_accepts_over_share(berth_eligibility(view, number));
}

/* The backend that a session may go back to now; 0: none, or it has nothing to go back to. */
BERTH_INLINE uint32_t berth_session_return_target(const struct berth_view *view, const struct berth_packet *packet,
						  const struct berth_service *service,
						  const struct berth_client *client, uint32_t pin)
{
	if (!pin && (client->reason != BERTH_REASON_FAILED_OVER || service->failback != BERTH_FAILBACK_RETURN))
		return 0;
	uint32_t home = (uint32_t)berth_sibling(view, client->from, packet->service);
	uint32_t eligibility = home ? berth_eligibility(view, home) : 0;
	/* Who is pinned returns also to where nobody new goes: that is how one tries out a backend of weight 0. */
	uint32_t needed = pin ? BERTH_ELIGIBLE_SESSIONS : BERTH_ELIGIBLE_NEW;
	return eligibility & needed && !(eligibility & BERTH_AT_LIMIT) ? home : 0;
}

/* A client whose session is on `mine`, which may keep it: there, unless it has more than its share, or another
 * backend has the older right. */
BERTH_INLINE int berth_session_keep(const struct berth_view *view, struct berth_packet *packet,
				    const struct berth_service *service, const struct berth_key *key,
				    const struct berth_entry *entry, uint32_t mine)
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
	bool is_its = client && client->tag == key->tag;
	uint32_t pin = berth_pinned_backend(client, key->tag);
	uint32_t home = is_its ? berth_session_return_target(view, packet, service, client, pin) : 0;
	if (home && home != mine) {
		packet->backend = (uint16_t)home;
		return berth_session_say(BERTH_VERDICT_SELECTED, pin ? BERTH_REASON_PINNED : BERTH_REASON_RETURNED,
					 pin ? pin : mine);
	}
	packet->backend = (uint16_t)mine;
	if (!berth_is_tracked(packet))
		return BERTH_VERDICT_SESSION;
	uint64_t touched = berth_word_touch(entry->value, view->now, BERTH_STATE_SESSION);
	if (touched != entry->value)
		berth_entry_swap(view, key, entry, touched);
	if (is_its)
		client->flows++;
	return BERTH_VERDICT_SESSION;
}

/* Whether the client's session left a flow's backend when the flow was last heard of, or later. */
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
	berth_flowtab_lookup(view, &key, &entry);
	const struct berth_client *client = entry.at != BERTH_NOT_FOUND ? berth_client_at(view, entry.at) : NULL;
	if (!client || client->tag != key.tag || client->reason <= BERTH_REASON_SPILLED ||
	    view->now - client->since > berth_word_age(word, view->now))
		return 0;
	const bool alive = berth_pinned_backend(client, key.tag) ||
			   !berth_word_is_expired(entry.value, view->now, service);
	const uint32_t mine = (uint32_t)berth_sibling(view, berth_word_backend(entry.value), packet->service);
	return alive && mine && mine != berth_word_backend(word);
}

/* Whether selection would have said another backend, had that not more than its share. */
BERTH_INLINE bool berth_is_spilled(const struct berth_view *view, const struct berth_service *service, uint32_t tag,
				   uint32_t backend)
{
	struct berth_row row = berth_row_at(view, service, berth_row_of_tag(tag, service->rows));
	return row.primary != backend && berth_eligibility(view, row.primary) & (BERTH_OVER_SHARE | BERTH_AT_LIMIT);
}

/* Sets packet->backend for a new flow of a client, whose session is `entry` or nowhere. What it says is to be
 * written, if it has a reason. */
BERTH_STEP int berth_session_decide(const struct berth_view *view, struct berth_packet *packet,
				    const struct berth_key *key, const struct berth_entry *entry)
{
	if (!BERTH_IS_SET(view) || !BERTH_IS_SET(packet) || !BERTH_IS_SET(key) || !BERTH_IS_SET(entry))
		return BERTH_VERDICT_INTERNAL;
	const struct berth_service *service = berth_service_of(view, packet->service);
	if (!service)
		return BERTH_VERDICT_INTERNAL;
	uint32_t pin = berth_pinned_backend(berth_client_at(view, entry->at), key->tag);
	bool alive = entry->at != BERTH_NOT_FOUND &&
		     (pin || !berth_word_is_expired(entry->value, view->now, service));
	uint32_t had = alive ? berth_word_backend(entry->value) : 0;
	uint32_t mine = had ? (uint32_t)berth_sibling(view, had, packet->service) : 0;
	if (mine && berth_eligibility(view, mine) & BERTH_ELIGIBLE_SESSIONS)
		return berth_session_keep(view, packet, service, key, entry, mine);

	const struct berth_backend *gone = mine ? berth_backend_of(view, mine) : NULL;
	uint32_t number = gone && berth_accepts_session(view, gone->backup) ? gone->backup : 0;
	if (!number && berth_is_tracked(packet))
		number = berth_select(view, packet->service, key->tag);
	else if (!number)
		number = (uint32_t)berth_select_stateless(view, packet->service, key->tag);
	packet->backend = (uint16_t)number;
	if (!number)
		return BERTH_VERDICT_NO_BACKEND;
	/* A server that this service of the group does not have keeps the session for the others. */
	if (had && !mine)
		return BERTH_VERDICT_SELECTED;
	if (mine)
		return berth_session_say(BERTH_VERDICT_SELECTED,
					 pin ? BERTH_REASON_PINNED : BERTH_REASON_FAILED_OVER, pin ? pin : mine);
	bool spilled = berth_is_spilled(view, service, key->tag, number);
	return berth_session_say(BERTH_VERDICT_SELECTED, spilled ? BERTH_REASON_SPILLED : BERTH_REASON_SELECTED, 0);
}

/* Makes packet->backend the session's, in the word that it has (it expired, or its backend is gone) or in a new
 * one. Where another worker was first, its choice stands. `why` as in berth_client_write. */
BERTH_STEP int berth_session_write(const struct berth_view *view, struct berth_packet *packet,
				   const struct berth_key *key, struct berth_entry *entry, uint32_t why)
{
	if (!BERTH_IS_SET(view) || !BERTH_IS_SET(packet) || !BERTH_IS_SET(key) || !BERTH_IS_SET(entry))
		return BERTH_VERDICT_INTERNAL;
	const uint32_t number = (uint32_t)berth_sibling(view, packet->backend, key->service);
	if (!number)
		return BERTH_VERDICT_SELECTED;
	bool has_moved = (why & 0xff) > BERTH_REASON_SPILLED;
	uint64_t stands;
	if (entry->at == BERTH_NOT_FOUND) {
		berth_flowtab_insert(view, key, number, BERTH_STATE_SESSION, entry);
		if (entry->at == BERTH_NOT_FOUND) {
			berth_count_event(view, BERTH_EVENT_SESSION_FULL);
			return BERTH_VERDICT_SELECTED;
		}
		stands = entry->value;
	} else {
		stands = berth_word_make(key->tag, number, view->now, BERTH_STATE_SESSION);
		if (!berth_entry_swap(view, key, entry, stands)) {
			uint64_t winner = berth_entry_reread(view, key, entry);
			uint32_t its = winner ? (uint32_t)berth_sibling(view, berth_word_backend(winner),
									packet->service)
					      : 0;
			if (its && berth_eligibility(view, its) & BERTH_ELIGIBLE_SESSIONS)
				packet->backend = (uint16_t)its;
			return BERTH_VERDICT_SELECTED;
		}
	}
	berth_count_event(view, has_moved ? BERTH_EVENT_SESSION_MOVED : BERTH_EVENT_SESSION_ADDED);
	if (berth_word_backend(stands) == number)
		berth_client_write(view, packet, key, entry->at, why);
	else
		packet->backend = (uint16_t)berth_sibling(view, berth_word_backend(stands), packet->service);
	return BERTH_VERDICT_SELECTED;
}
