/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/*
 * Limits of new flows: of a service, and of each client prefix of a service ("source"). A limit is GCRA (ITU-T
 * I.371): a word holds the time until which flows have been let in, at `interval_ns` each; a flow may come up to
 * `burst_ms` before it. So a limit is one word and one compare-and-swap, without a timer and without a division.
 *
 * A service has a word of its own. Sources share a sketch: each is in one word of each of BERTH_LIMIT_ROWS rows, by
 * a keyed hash, and is over its limit only if all of them say so. A flow raises only the words that are below the
 * least of them plus its interval ("conservative update"). So with F sources at their limits another one is limited
 * with a probability of (F / BERTH_LIMIT_COLUMNS) ^ BERTH_LIMIT_ROWS.
 *
 * After a lost race for the deciding word the flow is judged anew, and let in after the last try: as many flows as
 * there are workers can be let in too early.
 */
#pragma once

#include "session.h"

enum {
	BERTH_LIMIT_TRIES = 4,
};

/* A word that is further ahead is damaged: no burst is longer. */
#define BERTH_LIMIT_AHEAD_NS (UINT64_C(1000000) * (BERTH_MAX_BURST_MS + 1000) + 1)

enum berth_limited {
	BERTH_NOT_LIMITED,
	BERTH_LIMITED,
	BERTH_LIMIT_RACE, /* another worker changed the word */
};

/* The time that a word means at time `now`. */
BERTH_INLINE uint64_t berth_limit_until(uint64_t value, uint64_t now)
{
	return value > now && value - now < BERTH_LIMIT_AHEAD_NS ? value : now;
}

BERTH_INLINE bool berth_is_early(const struct berth_limit *limit, uint64_t until, uint64_t now)
{
	return until - now > (uint64_t)limit->burst_ms * 1000000;
}

BERTH_INLINE int berth_service_limit_take(uint64_t *word, const struct berth_limit *limit, uint64_t now)
{
	const uint64_t seen = BERTH_LOAD(word);
	const uint64_t until = berth_limit_until(seen, now);
	if (berth_is_early(limit, until, now))
		return BERTH_LIMITED;
	return berth_swap(word, seen, until + limit->interval_ns) ? BERTH_NOT_LIMITED : BERTH_LIMIT_RACE;
}

/* The hash of a packet's source: 16 bits for each row. */
BERTH_INLINE uint64_t berth_source_hash(const struct berth_view *view, const struct berth_packet *packet,
					const struct berth_service *service)
{
	const struct berth_ctl *ctl = berth_at_ctl(view, 0);
	const union berth_addr prefix = berth_addr_prefix(
		packet->src, packet->is6 ? service->source_limit.prefix6 : 96u + service->source_limit.prefix4);
	/* Apart from the hashes of sessions. */
	return ctl ? berth_hash16(ctl->secret, berth_hash_addr(ctl->secret, &prefix, packet->is6),
				  UINT64_C(0x50000000) << 32 | (uint32_t)packet->service << 1 | packet->is6)
		   : 0;
}

BERTH_INLINE uint64_t *berth_source_word(const struct berth_view *view, uint64_t hash, uint32_t row)
{
	_Static_assert(BERTH_LIMIT_COLUMNS == 1 << 16 && BERTH_LIMIT_ROWS == 4, "16 bits of the hash for a row");
	return berth_at_source_limits(view, row * BERTH_LIMIT_COLUMNS + (uint32_t)(hash >> 16 * row & 0xffff));
}

/* Raises the words of a source to `until`, but not that of the row that decides: were that one raised first,
 * another worker would take one of the others for the least and let a second flow in. A word that another worker
 * has just raised stays. */
BERTH_INLINE void berth_source_raise_others(const struct berth_view *view, uint64_t hash, uint32_t deciding_row,
					    uint64_t until, uint64_t now)
{
	for (uint32_t row = 0; row < BERTH_LIMIT_ROWS; row++) {
		uint64_t *word = berth_source_word(view, hash, row);
		const uint64_t seen = word ? BERTH_LOAD(word) : 0;
		if (word && row != deciding_row && berth_limit_until(seen, now) < until)
			berth_swap(word, seen, until);
	}
}

BERTH_STEP int berth_source_limit_take(const struct berth_view *view, const struct berth_packet *packet)
{
	if (!BERTH_IS_SET(view) || !BERTH_IS_SET(packet))
		return BERTH_NOT_LIMITED;
	const struct berth_service *service = berth_service_of(view, packet->service);
	if (!service)
		return BERTH_NOT_LIMITED;
	const uint64_t now = berth_now_ns(view);
	const uint64_t hash = berth_source_hash(view, packet, service);
	uint64_t least = UINT64_MAX, seen = 0;
	uint32_t least_row = 0;
	for (uint32_t row = 0; row < BERTH_LIMIT_ROWS; row++) {
		const uint64_t *word = berth_source_word(view, hash, row);
		const uint64_t value = word ? BERTH_LOAD(word) : 0;
		const uint64_t until = berth_limit_until(value, now);
		if (until < least) {
			least = until;
			least_row = row;
			seen = value;
		}
	}
	if (berth_is_early(&service->source_limit, least, now))
		return BERTH_LIMITED;
	least += service->source_limit.interval_ns;
	berth_source_raise_others(view, hash, least_row, least, now);
	uint64_t *word = berth_source_word(view, hash, least_row & (BERTH_LIMIT_ROWS - 1));
	return !word || berth_swap(word, seen, least) ? BERTH_NOT_LIMITED : BERTH_LIMIT_RACE;
}

/* Counts a packet over a limit, for its service and in total. */
BERTH_INLINE void berth_count_limited(const struct berth_view *view, uint32_t service, enum berth_event event)
{
	struct berth_tally *tally = berth_at_tallies(view, view->first_tally + service);
	if (tally)
		tally->limited++;
	berth_count_event(view, event);
}

/* Whether a packet of a new flow is over a limit of its service, which has limits; if not, the flow takes its part
 * of them. The source's limit first: a flow over it takes nothing of the service's. */
BERTH_RARE_STEP int berth_limit_exceeds(const struct berth_view *view, const struct berth_packet *packet)
{
	if (!BERTH_IS_SET(view) || !BERTH_IS_SET(packet))
		return 0;
	const struct berth_service *service = berth_service_of(view, packet->service);
	if (!service)
		return 0;
	int limited = service->source_limit.interval_ns ? BERTH_LIMIT_RACE : BERTH_NOT_LIMITED;
	for (uint32_t i = 0; i < BERTH_LIMIT_TRIES && limited == BERTH_LIMIT_RACE; i++)
		limited = berth_source_limit_take(view, packet);
	if (limited == BERTH_LIMITED) {
		berth_count_limited(view, packet->service, BERTH_EVENT_SOURCE_LIMITED);
		return 1;
	}
	uint64_t *word = service->limit.interval_ns ? berth_at_service_limits(view, packet->service) : NULL;
	limited = word ? BERTH_LIMIT_RACE : BERTH_NOT_LIMITED;
	for (uint32_t i = 0; i < BERTH_LIMIT_TRIES && limited == BERTH_LIMIT_RACE; i++)
		limited = berth_service_limit_take(word, &service->limit, berth_now_ns(view));
	if (limited == BERTH_LIMITED)
		berth_count_limited(view, packet->service, BERTH_EVENT_SERVICE_LIMITED);
	return limited == BERTH_LIMITED;
}

/* Whether a packet without a usable entry is of a new flow, and not of one that lost its backend. */
BERTH_INLINE bool berth_is_new_flow(const struct berth_view *view, const struct berth_service *service,
				    const struct berth_packet *packet, const struct berth_entry *entry)
{
	if (entry->at == BERTH_NOT_FOUND || berth_word_is_expired(entry->value, view->now, service))
		return true;
	const uint32_t state = berth_word_state(entry->value);
	return (packet->traits & BERTH_OPENS_CONNECTION) &&
	       (state == BERTH_STATE_CLOSING || state == BERTH_STATE_CLOSED);
}

/* The limits of new flows, for a packet that berth_is_new_flow: OVER_LIMIT or no verdict. Over the limit, a TCP
 * packet without SYN may be of a connection whose entry was lost: it is forwarded like a RST. */
BERTH_INLINE uint8_t berth_steer_limit(const struct berth_view *view, struct berth_packet *packet)
{
	/* What is dropped anyway, or makes no entry, takes nothing of a limit. */
	if (!berth_is_tracked(packet) || !berth_has_valid_source(packet) || !berth_limit_exceeds(view, packet))
		return BERTH_NO_VERDICT;
	packet->traits |= BERTH_NOT_INSERTED;
	return packet->protocol == BERTH_PROTO_TCP && !(packet->tcp_flags & BERTH_TCP_SYN)
		       ? BERTH_NO_VERDICT
		       : BERTH_VERDICT_OVER_LIMIT;
}
