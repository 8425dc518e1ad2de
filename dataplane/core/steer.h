/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/*
 * Stage 3: selects a packet's backend. First from the flow table; on a miss from the session table, if the service
 * has client affinity; on a miss by selection.
 *
 * - Fast path (berth_steer_fast): the first matching word of the flow's home bucket, one memory line. Nearly all
 *   packets end here.
 * - Slow path (berth_steer_slow): all words of both buckets, then session and selection. It leaves a claim in the
 *   table where the flow is new.
 * - berth_steer_settle settles that claim.
 *
 * stages.h runs them in this order, for one packet or for a burst. Any worker, any number at once. The rules are in
 * docs/packets.md.
 */
#pragma once

#include "flow_state.h"
#include "new_flow.h"
#include "timing.h"

/* Prefetches what the slow path reads: the flow's second bucket, and the row that selects its backend. */
BERTH_INLINE void berth_prefetch_slow(const struct berth_view *view, const struct berth_packet *packet)
{
	const struct berth_bucket *second = berth_at_flows(view,
							   berth_second_bucket(packet->hash, view->flow_mask));
	const struct berth_service *service = berth_service_of(view, packet->service);
	if (second)
		BERTH_PREFETCH(second);
	if (!service)
		return;
	uint32_t row = berth_row_of_tag(berth_hash_tag(packet->hash), service->rows);
	const struct berth_row_line *line = berth_at_rows(view, service->row_line + row / BERTH_ROWS_PER_LINE);
	if (line)
		BERTH_PREFETCH(line);
}

/* A new connection always takes the slow path: its lines are prefetched before the fast path runs. */
BERTH_INLINE void berth_prefetch_new(const struct berth_view *view, const struct berth_packet *packet)
{
	if (packet->traits & BERTH_OPENS_CONNECTION)
		berth_prefetch_slow(view, packet);
}

/* Sets packet->hash from packet->flow_key. */
BERTH_INLINE void berth_hash_packet(const struct berth_view *view, struct berth_packet *packet)
{
	const struct berth_ctl *ctl = berth_at_ctl(view, 0);
	packet->hash = ctl ? berth_hash_flow(ctl->secret, packet) : 0;
}

/* The same for return traffic: the hash of the flow that it answers. */
BERTH_STEP int berth_hash_return(const struct berth_view *view, struct berth_packet *packet)
{
	if (!BERTH_IS_SET(view) || !BERTH_IS_SET(packet))
		return 0;
	const struct berth_ctl *ctl = berth_at_ctl(view, 0);
	const struct berth_service *service = berth_service_of(view, packet->service);
	packet->hash = ctl && service ? berth_hash_answered(ctl->secret, packet, service->port) : 0;
	return 0;
}

/* Whether a flow can stay on its entry's backend: the entry has not expired, and the backend is eligible. */
BERTH_INLINE bool berth_flow_is_usable(const struct berth_view *view, const struct berth_service *service,
				       uint64_t word)
{
	return !berth_word_is_expired(word, view->now, service) &&
	       (berth_eligibility(view, berth_word_backend(word)) & BERTH_ELIGIBLE_FLOWS);
}

/* Whether a SYN on a usable entry starts another connection, for which a backend is selected anew. It does
 * - if the entry is closing: the client reuses the ports of a finished connection;
 * - if the backend is not eligible for new connections;
 * - if the entry is half-open and the client's session moved since: the earlier attempt failed. */
BERTH_INLINE bool berth_is_new_connection(const struct berth_view *view, const struct berth_service *service,
					  const struct berth_packet *packet, uint64_t word)
{
	const bool by_client = service->affinity == BERTH_AFFINITY_CLIENT;
	const uint32_t state = berth_word_state(word);
	const uint32_t eligibility = berth_eligibility(view, berth_word_backend(word));
	if (state == BERTH_STATE_CLOSING || state == BERTH_STATE_CLOSED ||
	    !(eligibility & (by_client ? BERTH_ELIGIBLE_SESSIONS : BERTH_ELIGIBLE_NEW)))
		return true;
	return by_client && state == BERTH_STATE_UNCONFIRMED && berth_session_has_moved(view, packet, word);
}

/* Whether a flow that can't stay on its backend is answered with a RST (`down: reset`). */
BERTH_INLINE bool berth_flow_is_reset(const struct berth_view *view, const struct berth_service *service,
				      const struct berth_packet *packet, uint64_t word)
{
	const uint32_t state = berth_word_state(word);
	return service->down == BERTH_DOWN_RESET && packet->protocol == BERTH_PROTO_TCP &&
	       (state == BERTH_STATE_CONFIRMED || state == BERTH_STATE_PROVEN) &&
	       !(packet->traits & BERTH_OPENS_CONNECTION) && !berth_word_is_expired(word, view->now, service) &&
	       !(berth_eligibility(view, berth_word_backend(word)) & BERTH_ELIGIBLE_FLOWS);
}

/* The result of steering one packet, and what is still due. Passed by value between inlined functions. */
struct berth_steering {
	uint8_t verdict;     /* enum berth_verdict; NO_VERDICT: the slow path is due */
	uint8_t is_final;    /* not 0: the verdict is from an earlier stage, the packet is not steered */
	uint8_t entry_due;   /* a claim for the flow was written; it has to be settled */
	uint8_t session_due; /* the client's session has to be updated: the state that the flow gives it */
};

BERTH_INLINE struct berth_steering berth_steered(int verdict)
{
	return (struct berth_steering){.verdict = (uint8_t)verdict};
}

/* Whether berth sees the answers to this packet, which are a better proof than the client's packets. Not in UDP: a
 * server answers any datagram. */
BERTH_INLINE bool berth_sees_answers(const struct berth_view *view, const struct berth_packet *packet)
{
	const struct berth_backend *backend = berth_backend_of(view, packet->backend);
	return packet->protocol == BERTH_PROTO_TCP && backend && backend->mode == BERTH_MODE_NAT;
}

/* The state that a flow gives its client's session: once when it is confirmed, then in each second with a packet.
 * 0: none is due. */
BERTH_INLINE uint8_t berth_session_due(const struct berth_packet *packet, uint64_t word, uint32_t state,
				       uint32_t now)
{
	const bool was_confirmed = berth_word_state(word) != BERTH_STATE_UNCONFIRMED;
	/* A RST confirms nothing. */
	const bool is_confirmed = was_confirmed ||
				  (state != BERTH_STATE_UNCONFIRMED && !(packet->tcp_flags & BERTH_TCP_RST));
	if (is_confirmed == was_confirmed && berth_word_age(word, now) == 0)
		return 0;
	return is_confirmed ? BERTH_STATE_SESSION : BERTH_STATE_UNCONFIRMED;
}

/* Steers a packet to the backend of its flow's word, which was read as `value`, and updates the word. `steering`
 * has no verdict and nothing due before. */
BERTH_INLINE void berth_steer_existing(const struct berth_view *view, const struct berth_service *service,
				       struct berth_packet *packet, uint64_t *word, uint64_t value,
				       struct berth_steering *steering)
{
	steering->verdict = BERTH_VERDICT_FLOW;
	packet->backend = (uint16_t)berth_word_backend(value);
	uint32_t state = berth_next_state(packet, value, view->now);
	if (BERTH_UNLIKELY(state == BERTH_STATE_PROVEN && berth_word_state(value) != state) &&
	    berth_sees_answers(view, packet))
		state = BERTH_STATE_CONFIRMED;
	uint64_t touched = berth_word_touch(value, view->now, state);
	if (BERTH_LIKELY(touched == value))
		return;
	/* After a lost race another worker has just made the same update. */
	berth_swap(word, value, touched);
	if (service->affinity == BERTH_AFFINITY_CLIENT)
		steering->session_due = berth_session_due(packet, value, state, view->now);
}

/* Looks a packet's flow up in all words of both buckets, and steers it if the flow can stay on its backend, or if
 * it is over a limit. If not, `steering` has no verdict, and `entry` is the entry to replace, or BERTH_NOT_FOUND.
 * SECOND_HOP: berth_steer_second_hop is due. Returns 0.
 */
BERTH_HOT_STEP int berth_steer_lookup(const struct berth_view *view, struct berth_packet *packet,
				      struct berth_entry *entry, struct berth_steering *steering)
{
	if (!BERTH_IS_SET(view) || !BERTH_IS_SET(packet) || !BERTH_IS_SET(entry) || !BERTH_IS_SET(steering))
		return 0;
	*steering = berth_steered(BERTH_VERDICT_INTERNAL);
	const struct berth_service *service = berth_service_of(view, packet->service);
	if (!service)
		return 0;
	struct berth_key key = berth_flow_key(view, packet);
	berth_flowtab_lookup(view, &key, entry);
	if (BERTH_UNLIKELY(entry->at != BERTH_NOT_FOUND && berth_word_state(entry->value) == BERTH_STATE_CLAIMED))
		berth_flowtab_settle(view, &key, BERTH_FIRST_STATE, entry);
	if (entry->at != BERTH_NOT_FOUND && packet->traits & BERTH_OPENS_CONNECTION &&
	    berth_timing_applies(view, packet, berth_word_backend(entry->value)))
		berth_timing_void(view, packet->hash, berth_word_backend(entry->value));
	steering->verdict = BERTH_NO_VERDICT;
	if (BERTH_UNLIKELY(service->flags) && berth_is_new_flow(view, service, packet, entry)) {
		/* The second hop first: what makes no entry takes nothing of a limit. */
		steering->verdict = berth_may_have_second_hop(service, packet) ? BERTH_VERDICT_SECOND_HOP
				    : service->flags & BERTH_SERVICE_LIMITS    ? berth_steer_limit(view, packet)
									       : BERTH_NO_VERDICT;
		return 0;
	}
	if (entry->at == BERTH_NOT_FOUND)
		return 0;
	if (!berth_flow_is_usable(view, service, entry->value)) {
		if (berth_flow_is_reset(view, service, packet, entry->value))
			steering->verdict = BERTH_VERDICT_RESET;
		return 0;
	}
	if ((packet->traits & BERTH_OPENS_CONNECTION) &&
	    berth_is_new_connection(view, service, packet, entry->value))
		return 0;
	struct berth_bucket *bucket = berth_at_flows(view, entry->at / BERTH_BUCKET_WORDS);
	if (bucket)
		berth_steer_existing(view, service, packet, &bucket->word[entry->at % BERTH_BUCKET_WORDS],
				     entry->value, steering);
	else
		steering->verdict = BERTH_VERDICT_INTERNAL;
	return 0;
}

/* For a flow without an entry: each packet is steered by itself, so its selection must not depend on round-robin
 * turns and loads. A client's session does not. */
BERTH_INLINE void berth_steer_stateless(const struct berth_view *view, struct berth_packet *packet)
{
	const struct berth_service *service = berth_service_of(view, packet->service);
	if (!service || service->affinity == BERTH_AFFINITY_CLIENT)
		return;
	uint32_t again = (uint32_t)berth_select_stateless(view, packet->service, berth_hash_tag(packet->hash));
	if (again)
		packet->backend = (uint16_t)again;
}

/* Replaces the flow's entry (expired, backend not eligible, or a new connection) by one of packet->backend, which
 * was selected with `verdict`. If another worker was first, its choice becomes packet->backend. */
BERTH_INLINE int berth_steer_replace(const struct berth_view *view, struct berth_packet *packet,
				     const struct berth_entry *entry, int verdict)
{
	struct berth_key key = berth_flow_key(view, packet);
	uint64_t next = berth_word_make(key.tag, packet->backend, view->now, BERTH_FIRST_STATE);
	if (berth_entry_swap(view, &key, entry, next)) {
		berth_load_add(view, packet->backend, 1);
	} else {
		uint64_t word = berth_entry_reread(view, &key, entry);
		if (word)
			packet->backend = (uint16_t)berth_word_backend(word);
	}
	return packet->backend != berth_word_backend(entry->value) ? BERTH_VERDICT_RESELECTED : verdict;
}

/* The verdict of a flow that was to be inserted: packet->backend becomes that of its entry, if there is one. */
BERTH_INLINE int berth_steer_inserted(const struct berth_view *view, struct berth_packet *packet,
				      const struct berth_entry *entry, int verdict)
{
	if (entry->at == BERTH_NOT_FOUND) {
		berth_steer_stateless(view, packet);
		return BERTH_VERDICT_TABLE_FULL;
	}
	packet->backend = (uint16_t)berth_word_backend(entry->value);
	berth_count_event(view, BERTH_EVENT_FLOW_ADDED);
	return verdict;
}

/* Enters packet->backend, which was selected, into the flow table: replaces the flow's entry, else writes a claim,
 * which is then due. Returns 0. */
BERTH_STEP int berth_steer_claim(const struct berth_view *view, struct berth_packet *packet,
				 struct berth_entry *entry, struct berth_steering *steering)
{
	if (!BERTH_IS_SET(view) || !BERTH_IS_SET(packet) || !BERTH_IS_SET(entry) || !BERTH_IS_SET(steering))
		return 0;
	if (entry->at != BERTH_NOT_FOUND) {
		steering->verdict = (uint8_t)berth_steer_replace(view, packet, entry, steering->verdict);
		return 0;
	}
	struct berth_key key = berth_flow_key(view, packet);
	if (berth_flowtab_claim(view, &key, packet->backend, entry))
		berth_count_event(view, BERTH_EVENT_FLOW_EVICTED);
	if (entry->at == BERTH_NOT_FOUND) {
		steering->verdict = (uint8_t)berth_steer_inserted(view, packet, entry, steering->verdict);
		return 0;
	}
	/* Before the settlement: the next selections of the burst see this flow. */
	berth_load_add(view, packet->backend, 1);
	if (packet->traits & BERTH_OPENS_CONNECTION && berth_timing_applies(view, packet, packet->backend))
		berth_timing_begin(view, packet->hash, packet->backend);
	steering->entry_due = 1;
	return 0;
}

/* Settles the claim of a new flow. Returns the verdict. */
BERTH_STEP int berth_steer_settle(const struct berth_view *view, struct berth_packet *packet,
				  struct berth_entry *entry, int verdict)
{
	if (!BERTH_IS_SET(view) || !BERTH_IS_SET(packet) || !BERTH_IS_SET(entry))
		return BERTH_VERDICT_INTERNAL;
	struct berth_key key = berth_flow_key(view, packet);
	const uint32_t selected = packet->backend;
	berth_flowtab_settle_own(view, &key, BERTH_FIRST_STATE, entry);
	verdict = berth_steer_inserted(view, packet, entry, verdict);
	if (BERTH_UNLIKELY(entry->at == BERTH_NOT_FOUND || packet->backend != selected)) {
		berth_load_add(view, selected, -1);
		if (entry->at != BERTH_NOT_FOUND)
			berth_load_add(view, packet->backend, 1);
	}
	return verdict;
}

/* Steers a later fragment by its datagram's entry, and an ICMP error by the entry of the flow that it is about.
 * Sets packet->backend and packet->service; writes no entry. Returns the verdict; none: there is no such entry. */
BERTH_RARE_STEP int berth_steer_related(const struct berth_view *view, struct berth_packet *packet)
{
	if (!BERTH_IS_SET(view) || !BERTH_IS_SET(packet))
		return BERTH_VERDICT_INTERNAL;
	const bool is_later = packet->traits & BERTH_LATER_FRAGMENT;
	struct berth_key key = berth_key_make(view, BERTH_TABLE_FLOWS, is_later ? 0 : packet->service,
					      packet->hash);
	struct berth_entry entry;
	berth_flowtab_lookup(view, &key, &entry);
	uint32_t number = entry.at != BERTH_NOT_FOUND ? berth_word_backend(entry.value) : 0;
	const struct berth_backend *backend = number ? berth_backend_of(view, number) : NULL;
	const struct berth_service *service = backend ? berth_service_of(view, backend->service) : NULL;
	if (service && !berth_word_is_expired(entry.value, view->now, service) &&
	    (berth_eligibility(view, number) & BERTH_ELIGIBLE_FLOWS) &&
	    (berth_word_state(entry.value) == BERTH_STATE_FRAGMENT) == is_later) {
		packet->backend = (uint16_t)number;
		packet->service = backend->service;
		return is_later ? BERTH_VERDICT_FRAGMENT : BERTH_VERDICT_ICMP_ERROR;
	}
	return is_later && !packet->service ? BERTH_VERDICT_FRAGMENT_UNKNOWN : BERTH_NO_VERDICT;
}

/* What the flow table tells about return traffic. */
enum berth_returning {
	BERTH_RETURNS_NOTHING, /* it is of no flow that berth sends to this backend */
	BERTH_RETURNS_FLOW,
	BERTH_RETURNS_UNKNOWN, /* it may be of a flow that found no room, or was evicted */
	BERTH_RETURNS_CLIENT,  /* so it may, if it is for a client with a session */
};

/* Whether a packet of a backend answers the SYN of a client: with a SYN-ACK. */
BERTH_INLINE bool berth_accepts_connection(const struct berth_packet *packet)
{
	const uint8_t flags = BERTH_TCP_SYN | BERTH_TCP_ACK;
	return packet->protocol == BERTH_PROTO_TCP && (packet->tcp_flags & (flags | BERTH_TCP_RST)) == flags;
}

/* What return traffic without an entry may be. A flow that waits for its SYN-ACK is evicted soonest; packets later
 * than that may be those of a connection that came to the backend directly. */
BERTH_INLINE int berth_returns_without_entry(const struct berth_view *view, const struct berth_packet *packet,
					     const struct berth_key *key)
{
	const enum berth_room room = berth_flowtab_room(view, key);
	if (room == BERTH_ROOM)
		return BERTH_RETURNS_NOTHING;
	const bool is_first = packet->protocol != BERTH_PROTO_TCP || berth_accepts_connection(packet);
	return room == BERTH_ROOM_NONE || is_first ? BERTH_RETURNS_UNKNOWN : BERTH_RETURNS_CLIENT;
}

/* Whether return traffic is of a flow (enum berth_returning), whose backend and service become the packet's. It
 * updates the flow's entry. */
BERTH_STEP int berth_steer_return(const struct berth_view *view, struct berth_packet *packet)
{
	if (!BERTH_IS_SET(view) || !BERTH_IS_SET(packet))
		return BERTH_RETURNS_NOTHING;
	const bool is_later = packet->traits & BERTH_LATER_FRAGMENT;
	struct berth_key key = berth_key_make(view, BERTH_TABLE_FLOWS, is_later ? 0 : packet->service,
					      packet->hash);
	struct berth_entry entry;
	berth_flowtab_lookup(view, &key, &entry);
	if (entry.at == BERTH_NOT_FOUND)
		return is_later ? BERTH_RETURNS_NOTHING : berth_returns_without_entry(view, packet, &key);
	const uint32_t state = berth_word_state(entry.value);
	const struct berth_backend *backend = berth_backend_of(view, berth_word_backend(entry.value));
	const struct berth_service *service = backend ? berth_service_of(view, backend->service) : NULL;
	if (!service || !berth_addr_equal(&backend->address, &packet->src) ||
	    (state == BERTH_STATE_FRAGMENT) != is_later || berth_word_is_expired(entry.value, view->now, service))
		return BERTH_RETURNS_NOTHING;
	packet->backend = (uint16_t)berth_word_backend(entry.value);
	packet->service = backend->service;
	const uint32_t unseen = BERTH_ICMP_ERROR | BERTH_LATER_FRAGMENT | BERTH_TTL_EXPIRES;
	if (state == BERTH_STATE_CLAIMED || packet->traits & unseen)
		return BERTH_RETURNS_FLOW;
	if (state == BERTH_STATE_UNCONFIRMED && berth_accepts_connection(packet) &&
	    berth_timing_applies(view, packet, packet->backend))
		berth_timing_end(view, packet->hash, packet->backend);
	const uint64_t word = berth_answered_word(packet, entry.value, view->now);
	if (word != entry.value)
		berth_entry_swap(view, &key, &entry, word);
	return BERTH_RETURNS_FLOW;
}

/* Whether selection gives the backend that sent the packet, for a flow without an entry (BERTH_RETURNS_CLIENT: a
 * session); sets packet->backend. */
BERTH_INLINE bool berth_returns_selected(const struct berth_view *view, struct berth_packet *packet, int returning)
{
	const union berth_addr from = packet->src;
	packet->src = packet->dst;
	packet->dst = from;
	int verdict = berth_steer_select(view, packet);
	packet->dst = packet->src;
	packet->src = from;
	const struct berth_backend *backend = berth_backend_of(view, packet->backend);
	return BERTH_VERDICT_CLASS(verdict) == BERTH_CLASS_FORWARD && backend &&
	       (returning == BERTH_RETURNS_UNKNOWN || verdict == BERTH_VERDICT_SESSION) &&
	       berth_addr_equal(&backend->address, &from);
}

/* Steers a packet that inserts no entry: expired TTL, return traffic, later fragment, ICMP error. */
BERTH_INLINE int berth_steer_untracked(const struct berth_view *view, struct berth_packet *packet)
{
	if (packet->traits & BERTH_RETURN) {
		int returning = berth_steer_return(view, packet);
		if (returning == BERTH_RETURNS_NOTHING ||
		    (returning != BERTH_RETURNS_FLOW && !berth_returns_selected(view, packet, returning)))
			return BERTH_VERDICT_NO_FLOW;
	}
	if (packet->traits & BERTH_TTL_EXPIRES)
		return BERTH_VERDICT_TTL_EXPIRED;
	if (packet->traits & BERTH_RETURN)
		return BERTH_VERDICT_RETURNED;
	int verdict = berth_steer_related(view, packet);
	if (verdict == BERTH_NO_VERDICT)
		verdict = berth_steer_select(view, packet);
	bool is_error = packet->traits & BERTH_ICMP_ERROR;
	return is_error && BERTH_VERDICT_CLASS(verdict) == BERTH_CLASS_FORWARD ? BERTH_VERDICT_ICMP_ERROR : verdict;
}

/* Slow path: lookup in both buckets, else session, else selection. With `entry_due`, `entry` is the flow's claim.
 */
BERTH_INLINE struct berth_steering berth_steer_slow(const struct berth_view *view, struct berth_packet *packet,
						    struct berth_entry *entry)
{
	if (BERTH_UNLIKELY(packet->traits & BERTH_SLOW_PATH))
		return berth_steered(berth_steer_untracked(view, packet));
	struct berth_steering steering = berth_steered(BERTH_NO_VERDICT);
	berth_entry_set(entry, 0, BERTH_NOT_FOUND);
	berth_steer_lookup(view, packet, entry, &steering);
	if (BERTH_UNLIKELY(steering.verdict == BERTH_VERDICT_SECOND_HOP))
		steering.verdict = (uint8_t)berth_steer_second_hop(view, packet);
	if (steering.verdict != BERTH_NO_VERDICT)
		return steering;
	int verdict = berth_steer_select(view, packet);
	if (BERTH_VERDICT_CLASS(verdict) != BERTH_CLASS_FORWARD)
		return berth_steered(verdict);
	if (!berth_is_tracked(packet))
		return berth_steered(BERTH_VERDICT_UNTRACKED);
	steering.verdict = (uint8_t)verdict;
	berth_steer_claim(view, packet, entry, &steering);
	return steering;
}

/* Whether a packet leaves its flow's word unchanged: last seen in this second, confirmed, neither FIN nor RST. */
BERTH_INLINE bool berth_is_touch_redundant(const struct berth_packet *packet, uint64_t word, uint32_t now)
{
	const uint32_t mask = BERTH_SEEN_MASK << BERTH_SEEN_SHIFT | BERTH_STATE_MASK;
	const uint32_t differs = ((uint32_t)word ^ now << BERTH_SEEN_SHIFT) & mask;
	_Static_assert(BERTH_STATE_PROVEN == (BERTH_STATE_CONFIRMED | 1), "compared as one");
	return (differs | 1) == BERTH_STATE_PROVEN && !(packet->tcp_flags & (BERTH_TCP_RST | BERTH_TCP_FIN));
}

/* Fast path: steers by the first matching word of the home bucket, nearly always the flow's. If `steering`, which
 * has no verdict and nothing due before, gets none, the slow path is due, as always for a packet that opens a
 * connection. It writes the fields that change only: most packets need one store. */
BERTH_INLINE void berth_steer_fast(const struct berth_view *view, struct berth_packet *packet,
				   struct berth_steering *steering)
{
	if (BERTH_UNLIKELY(packet->traits & (BERTH_SLOW_PATH | BERTH_OPENS_CONNECTION)))
		return;
	const struct berth_service *service = berth_service_of(view, packet->service);
	uint64_t value;
	uint64_t *word = service ? berth_flowtab_lookup_fast(view, packet->hash, packet->service, &value) : NULL;
	if (BERTH_UNLIKELY(!word))
		return;
	if (BERTH_LIKELY(berth_is_touch_redundant(packet, value, view->now) &&
			 berth_eligibility(view, berth_word_backend(value)) & BERTH_ELIGIBLE_FLOWS)) {
		packet->backend = (uint16_t)berth_word_backend(value);
		steering->verdict = BERTH_VERDICT_FLOW;
	} else if (berth_flow_is_usable(view, service, value)) {
		berth_steer_existing(view, service, packet, word, value, steering);
	}
}
