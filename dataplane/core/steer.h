/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/*
 * Third stage: which backend a packet goes to. The flow table; on a miss the session table, where the service
 * has client affinity; on a miss selection. Only a flow's first packet, and one a second, pays for more than
 * one line of the flow table.
 */
#pragma once

#include "count.h"
#include "hash.h"
#include "session.h"

/* The state of a flow after this packet. */
BERTH_INLINE uint32_t berth_next_state(const struct berth_packet *packet, uint32_t state)
{
	if (packet->protocol == BERTH_PROTO_UDP)
		return BERTH_STATE_ASSURED;
	if (packet->tcp_flags & (BERTH_TCP_RST | BERTH_TCP_FIN))
		return BERTH_STATE_CLOSING;
	if (state == BERTH_STATE_HALF_OPEN && !(packet->tcp_flags & BERTH_TCP_SYN))
		return BERTH_STATE_ESTABLISHED;
	return state;
}

/* The state of a flow whose first packet this is. A flow that begins in its middle (its entry expired, or
 * another node had it) is as unconfirmed as a SYN, or a flood of spoofed ACKs would fill the table. */
BERTH_INLINE uint32_t berth_first_state(const struct berth_packet *packet)
{
	return packet->protocol == BERTH_PROTO_UDP ? BERTH_STATE_UNREPLIED : BERTH_STATE_HALF_OPEN;
}

/* Whether a host may have this address as its own (RFC 1122 section 3.2.1.3, RFC 4291 sections 2.5 and 2.7). */
BERTH_INLINE bool berth_is_host_address(const union berth_addr *addr, bool is6)
{
	uint8_t first = is6 ? addr->byte[0] : addr->byte[12];
	if (!is6)
		return first != 0 && first != 127 && first < 224;
	bool is_low = addr->half[0] == 0 && addr->word[2].raw == 0 && berth_from_be32(addr->word[3]) <= 1;
	return first != 0xff && !is_low;
}

BERTH_INLINE bool berth_has_valid_source(const struct berth_packet *packet)
{
	return berth_is_host_address(&packet->src, packet->is6) && !berth_addr_equal(&packet->src, &packet->dst);
}

/* Sets packet->backend for a flow that has none, or may not keep the one it had: its client's session's, else
 * selection's, which then is the session's. The verdict says which. */
BERTH_STEP int berth_steer_select(const struct berth_view *view, struct berth_packet *packet)
{
	if (!BERTH_IS_SET(view) || !BERTH_IS_SET(packet))
		return BERTH_VERDICT_INTERNAL;
	const struct berth_service *service = berth_service_of(view, packet->service);
	if (!service)
		return BERTH_VERDICT_INTERNAL;
	/* Here, because no other flow can be there already. */
	if (!(packet->traits & BERTH_ICMP_ERROR) && !berth_has_valid_source(packet))
		return BERTH_VERDICT_BAD_SOURCE;
	if (service->affinity != BERTH_AFFINITY_CLIENT) {
		uint32_t tag = berth_hash_tag(packet->hash);
		packet->backend = (uint16_t)(berth_is_tracked(packet) ? berth_select(view, packet->service, tag)
								      : (uint32_t)berth_select_stateless(
										view, packet->service, tag));
		return packet->backend ? BERTH_VERDICT_SELECTED : BERTH_VERDICT_NO_BACKEND;
	}
	struct berth_key key = berth_session_key(view, packet, service);
	struct berth_entry entry;
	berth_flowtab_lookup(view, &key, &entry);
	if (berth_is_tracked(packet) && entry.at != BERTH_NOT_FOUND &&
	    berth_word_state(entry.value) == BERTH_STATE_CLAIMED)
		berth_flowtab_settle(view, &key, BERTH_STATE_SESSION, &entry);
	uint32_t says = (uint32_t)berth_session_decide(view, packet, &key, &entry);
	if (!(says >> 8) || !berth_is_tracked(packet))
		return (int)(says & 0xff);
	return berth_session_write(view, packet, &key, &entry, says >> 8);
}

/* Begins to fetch what a packet needs whose flow is not simply known: its second bucket, and the row that selects
 * its backend. */
BERTH_INLINE void berth_prefetch_slow(const struct berth_view *view, const struct berth_packet *packet)
{
	const struct berth_bucket *other = berth_at_flows(view, berth_second_bucket(packet->hash, view->flow_mask));
	const struct berth_service *service = berth_service_of(view, packet->service);
	if (other)
		BERTH_PREFETCH(other);
	if (!service)
		return;
	uint32_t row = berth_row_of_tag(berth_hash_tag(packet->hash), service->rows);
	const struct berth_row_line *line = berth_at_rows(view, service->row_line + row / BERTH_ROWS_PER_LINE);
	if (line)
		BERTH_PREFETCH(line);
}

/* Sets packet->hash from packet->flow_key. Apart from steer so that a burst can prefetch between. */
BERTH_INLINE void berth_hash_packet(const struct berth_view *view, struct berth_packet *packet)
{
	const struct berth_ctl *ctl = berth_at_ctl(view, 0);
	packet->hash = ctl ? berth_hash_flow(ctl->secret, packet) : 0;
}

/* Whether an entry may be kept: it has not expired, and its backend keeps its flows. */
BERTH_INLINE bool berth_flow_is_usable(const struct berth_view *view, const struct berth_service *service,
				       uint64_t word)
{
	return !berth_word_is_expired(word, view->now, service) &&
	       (berth_eligibility(view, berth_word_backend(word)) & BERTH_ELIGIBLE_FLOWS);
}

/* Whether a SYN on a kept entry is the first packet of another connection: on the ports of a finished one; on a
 * backend that takes no new one; on those of an attempt that came to nothing and whose backend the client's session
 * left since, which is not to call the client back. */
BERTH_INLINE bool berth_is_new_connection(const struct berth_view *view, const struct berth_service *service,
					  const struct berth_packet *packet, uint64_t word)
{
	const bool by_client = service->affinity == BERTH_AFFINITY_CLIENT;
	const uint32_t state = berth_word_state(word);
	const uint32_t eligibility = berth_eligibility(view, berth_word_backend(word));
	if (state == BERTH_STATE_CLOSING ||
	    !(eligibility & (by_client ? BERTH_ELIGIBLE_SESSIONS : BERTH_ELIGIBLE_NEW)))
		return true;
	return by_client && state == BERTH_STATE_HALF_OPEN && berth_session_has_moved(view, packet, word);
}

/* Whether a flow that does not go on is a connection that ended with its backend. */
BERTH_INLINE bool berth_flow_is_reset(const struct berth_view *view, const struct berth_service *service,
				      const struct berth_packet *packet, uint64_t word)
{
	return service->down == BERTH_DOWN_RESET && berth_word_state(word) == BERTH_STATE_ESTABLISHED &&
	       !(packet->traits & BERTH_OPENS_CONNECTION) && !berth_word_is_expired(word, view->now, service) &&
	       !(berth_eligibility(view, berth_word_backend(word)) & BERTH_ELIGIBLE_FLOWS);
}

/* Beside a verdict: what is still to be done. */
#define BERTH_SESSION_DUE 0x100 /* tell the client's session that the client is not silent */
#define BERTH_ENTRY_DUE 0x200	/* remember the flow */

/* Steers a packet of a flow that goes on, and notes it in the flow's word. */
BERTH_INLINE int berth_steer_existing(const struct berth_view *view, const struct berth_service *service,
				      struct berth_packet *packet, uint64_t *word, uint64_t value)
{
	packet->backend = (uint16_t)berth_word_backend(value);
	uint32_t state = berth_next_state(packet, berth_word_state(value));
	uint64_t touched = berth_word_touch(value, view->now, state);
	if (BERTH_LIKELY(touched == value))
		return BERTH_VERDICT_FLOW;
	/* A lost race means that somebody else has just noted the same. */
	berth_swap(word, value, touched);
	bool due = service->affinity == BERTH_AFFINITY_CLIENT && berth_word_age(value, view->now) != 0;
	return BERTH_VERDICT_FLOW | (due ? BERTH_SESSION_DUE : 0);
}

/* Looks everywhere for a packet's flow, and steers it if the flow goes on. Else no verdict, and `entry` is what
 * is to be begun anew, or nowhere. */
BERTH_HOT_STEP int berth_steer_lookup(const struct berth_view *view, struct berth_packet *packet,
				      struct berth_entry *entry)
{
	if (!BERTH_IS_SET(view) || !BERTH_IS_SET(packet) || !BERTH_IS_SET(entry))
		return BERTH_VERDICT_INTERNAL;
	const struct berth_service *service = berth_service_of(view, packet->service);
	if (!service)
		return BERTH_VERDICT_INTERNAL;
	struct berth_key key = berth_key_make(view, BERTH_TABLE_FLOWS, packet->service, packet->hash);
	berth_flowtab_lookup(view, &key, entry);
	if (BERTH_UNLIKELY(entry->at != BERTH_NOT_FOUND && berth_word_state(entry->value) == BERTH_STATE_CLAIMED))
		berth_flowtab_settle(view, &key, berth_first_state(packet), entry);
	if (entry->at == BERTH_NOT_FOUND)
		return BERTH_NO_VERDICT;
	if (!berth_flow_is_usable(view, service, entry->value))
		return berth_flow_is_reset(view, service, packet, entry->value) ? BERTH_VERDICT_RESET
										: BERTH_NO_VERDICT;
	if ((packet->traits & BERTH_OPENS_CONNECTION) &&
	    berth_is_new_connection(view, service, packet, entry->value))
		return BERTH_NO_VERDICT;
	struct berth_bucket *bucket = berth_at_flows(view, entry->at / BERTH_BUCKET_WORDS);
	if (!bucket)
		return BERTH_VERDICT_INTERNAL;
	return berth_steer_existing(view, service, packet, &bucket->word[entry->at % BERTH_BUCKET_WORDS],
				    entry->value);
}

/* A flow without a word is steered packet by packet, so its choice must not depend on turns and loads; a session's
 * does not. */
BERTH_INLINE void berth_steer_stateless(const struct berth_view *view, struct berth_packet *packet)
{
	const struct berth_service *service = berth_service_of(view, packet->service);
	if (!service || service->affinity == BERTH_AFFINITY_CLIENT)
		return;
	uint32_t again = (uint32_t)berth_select_stateless(view, packet->service, berth_hash_tag(packet->hash));
	if (again)
		packet->backend = (uint16_t)again;
}

BERTH_INLINE struct berth_key berth_flow_key(const struct berth_view *view, const struct berth_packet *packet)
{
	return berth_key_make(view, BERTH_TABLE_FLOWS, packet->service, packet->hash);
}

/* Writes packet->backend, which was chosen with `verdict`, into the flow's own word: it expired, or its backend is
 * gone, or its connection is new. Where another worker was first, its choice stands. */
BERTH_INLINE int berth_steer_replace(const struct berth_view *view, struct berth_packet *packet,
				     const struct berth_entry *entry, int verdict)
{
	struct berth_key key = berth_flow_key(view, packet);
	uint64_t next = berth_word_make(key.tag, packet->backend, view->now, berth_first_state(packet));
	if (berth_entry_swap(view, &key, entry, next)) {
		berth_load_add(view, packet->backend, 1);
	} else {
		uint64_t winner = berth_entry_reread(view, &key, entry);
		if (winner)
			packet->backend = (uint16_t)berth_word_backend(winner);
	}
	return packet->backend != berth_word_backend(entry->value) ? BERTH_VERDICT_RESELECTED : verdict;
}

/* Steers a packet by its flow's new entry, or without one. */
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

/* Remembers packet->backend, which was chosen with `verdict`. */
BERTH_STEP int berth_steer_remember(const struct berth_view *view, struct berth_packet *packet,
				    struct berth_entry *entry, int verdict)
{
	if (!BERTH_IS_SET(view) || !BERTH_IS_SET(packet) || !BERTH_IS_SET(entry))
		return BERTH_VERDICT_INTERNAL;
	if (entry->at != BERTH_NOT_FOUND)
		return berth_steer_replace(view, packet, entry, verdict);
	struct berth_key key = berth_flow_key(view, packet);
	if (berth_flowtab_insert(view, &key, packet->backend, berth_first_state(packet), entry))
		berth_count_event(view, BERTH_EVENT_FLOW_EVICTED);
	verdict = berth_steer_inserted(view, packet, entry, verdict);
	if (entry->at != BERTH_NOT_FOUND)
		berth_load_add(view, packet->backend, 1);
	return verdict;
}

/* The same up to the claim of a word, where the flow has none: then the entry is still due. */
BERTH_INLINE int berth_steer_claim(const struct berth_view *view, struct berth_packet *packet,
				   struct berth_entry *entry, int verdict)
{
	if (entry->at != BERTH_NOT_FOUND)
		return berth_steer_replace(view, packet, entry, verdict);
	struct berth_key key = berth_flow_key(view, packet);
	if (berth_flowtab_claim(view, &key, packet->backend, entry))
		berth_count_event(view, BERTH_EVENT_FLOW_EVICTED);
	if (entry->at == BERTH_NOT_FOUND)
		return berth_steer_inserted(view, packet, entry, verdict);
	/* Now, for the choices of those behind it. */
	berth_load_add(view, packet->backend, 1);
	return verdict | BERTH_ENTRY_DUE;
}

/* The entry of a datagram's fragments, for a packet that has no ports, or of the flow that an error is about: sets
 * packet->backend and packet->service, writes nothing. */
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

/* Steers what is no packet of a flow like others. */
BERTH_INLINE int berth_steer_special(const struct berth_view *view, struct berth_packet *packet)
{
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

/* Steers a packet of a flow like others that does not simply go on from its first word at home. Where the entry is
 * due, packet->backend was chosen, and `entry` is the flow's own, which is to be begun anew, or nowhere. */
BERTH_INLINE int berth_steer_flow(const struct berth_view *view, struct berth_packet *packet,
				  struct berth_entry *entry)
{
	entry->at = BERTH_NOT_FOUND;
	int verdict = berth_steer_lookup(view, packet, entry);
	if (verdict != BERTH_NO_VERDICT)
		return verdict;
	verdict = berth_steer_select(view, packet);
	if (BERTH_VERDICT_CLASS(verdict) != BERTH_CLASS_FORWARD)
		return verdict;
	return berth_is_tracked(packet) ? verdict | BERTH_ENTRY_DUE : BERTH_VERDICT_UNTRACKED;
}

/* Steers a packet that berth_steer_fast said nothing of. */
BERTH_INLINE int berth_steer_otherwise(const struct berth_view *view, struct berth_packet *packet)
{
	if (BERTH_UNLIKELY(packet->traits & BERTH_SLOW_PATH))
		return berth_steer_special(view, packet);
	struct berth_entry entry;
	int steered = berth_steer_flow(view, packet, &entry);
	return steered & BERTH_ENTRY_DUE ? berth_steer_remember(view, packet, &entry, steered & ~BERTH_ENTRY_DUE)
					 : steered;
}

/* The same in two halves, for the packets of a burst that are not special. After the first, up to the claim of a
 * word, the entry may still be due. */
BERTH_INLINE int berth_steer_begin(const struct berth_view *view, struct berth_packet *packet,
				   struct berth_entry *entry)
{
	int steered = berth_steer_flow(view, packet, entry);
	return steered & BERTH_ENTRY_DUE ? berth_steer_claim(view, packet, entry, steered & ~BERTH_ENTRY_DUE)
					 : steered;
}

/* The second: settles the claim. */
BERTH_INLINE int berth_steer_settle(const struct berth_view *view, struct berth_packet *packet,
				    struct berth_entry *entry, int verdict)
{
	struct berth_key key = berth_flow_key(view, packet);
	const uint32_t chosen = packet->backend;
	berth_flowtab_settle_own(view, &key, berth_first_state(packet), entry);
	verdict = berth_steer_inserted(view, packet, entry, verdict);
	if (BERTH_UNLIKELY(entry->at == BERTH_NOT_FOUND || packet->backend != chosen)) {
		berth_load_add(view, chosen, -1);
		if (entry->at != BERTH_NOT_FOUND)
			berth_load_add(view, packet->backend, 1);
	}
	return verdict;
}

/* Whether a packet leaves its flow's entry as it is: used in this second already, confirmed, and not ending. */
BERTH_INLINE bool berth_is_touch_redundant(const struct berth_packet *packet, uint64_t word, uint32_t now)
{
	const uint32_t mask = BERTH_SEEN_MASK << BERTH_SEEN_SHIFT | BERTH_STATE_MASK;
	const uint32_t differs = ((uint32_t)word ^ now << BERTH_SEEN_SHIFT) & mask;
	return (differs == BERTH_STATE_ESTABLISHED || differs == BERTH_STATE_ASSURED) &&
	       !(packet->tcp_flags & (BERTH_TCP_RST | BERTH_TCP_FIN));
}

/* Steers a packet by the entry that is nearly always its flow's. What opens a connection looks everywhere. */
BERTH_INLINE int berth_steer_fast(const struct berth_view *view, struct berth_packet *packet)
{
	if (BERTH_UNLIKELY(packet->traits & (BERTH_SLOW_PATH | BERTH_OPENS_CONNECTION)))
		return BERTH_NO_VERDICT;
	const struct berth_service *service = berth_service_of(view, packet->service);
	uint64_t value;
	uint64_t *word = service ? berth_flowtab_lookup_fast(view, packet->hash, packet->service, &value) : NULL;
	if (BERTH_UNLIKELY(!word))
		return BERTH_NO_VERDICT;
	if (BERTH_LIKELY(berth_is_touch_redundant(packet, value, view->now) &&
			 berth_eligibility(view, berth_word_backend(value)) & BERTH_ELIGIBLE_FLOWS)) {
		packet->backend = (uint16_t)berth_word_backend(value);
		return BERTH_VERDICT_FLOW;
	}
	if (!berth_flow_is_usable(view, service, value))
		return BERTH_NO_VERDICT;
	return berth_steer_existing(view, service, packet, word, value);
}

/* The verdict of a packet that was steered, and remembered if that was due. */
BERTH_INLINE enum berth_verdict berth_steer_finish(const struct berth_view *view, struct berth_packet *packet,
						   int steered)
{
	if (BERTH_UNLIKELY(steered & BERTH_SESSION_DUE))
		berth_session_touch(view, packet);
	return (enum berth_verdict)(steered & ~BERTH_SESSION_DUE);
}

/* Sets packet->backend. */
BERTH_INLINE enum berth_verdict berth_steer(const struct berth_view *view, struct berth_packet *packet)
{
	int steered = berth_steer_fast(view, packet);
	if (BERTH_UNLIKELY(steered == BERTH_NO_VERDICT))
		steered = berth_steer_otherwise(view, packet);
	return berth_steer_finish(view, packet, steered);
}
