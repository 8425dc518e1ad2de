/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/*
 * The backend of a packet whose flow has no usable entry: from its client's session, else by selection; and the
 * second hop behind it, for a packet of a connection that another node has put elsewhere. steer.h calls it.
 */
#pragma once

#include "count.h"
#include "hash.h"
#include "limit.h"
#include "session.h"

BERTH_INLINE struct berth_key berth_flow_key(const struct berth_view *view, const struct berth_packet *packet)
{
	return berth_key_make(view, BERTH_TABLE_FLOWS, packet->service, packet->hash);
}

/* Whether a new entry of the packet's flow finds no free word: it has to replace one, or gets none, or may soon be
 * the victim of another one. */
BERTH_STEP int berth_flow_is_crowded(const struct berth_view *view, const struct berth_packet *packet)
{
	if (!BERTH_IS_SET(view) || !BERTH_IS_SET(packet))
		return 0;
	const struct berth_key key = berth_flow_key(view, packet);
	const struct berth_bucket *home = berth_at_flows(view, key.bucket[0]);
	const struct berth_bucket *other = berth_at_flows(view, key.bucket[1]);
	return home && other && !berth_bucket_free(home) && !berth_bucket_free(other);
}

/* The backend of a flow without client affinity; 0: none. Turns and loads need an entry that stays. So the hash
 * alone selects where there is no free word, and for a TCP packet without SYN: its connection has no entry, nearly
 * always because its SYN found such a table. */
BERTH_INLINE uint32_t berth_select_flow(const struct berth_view *view, const struct berth_packet *packet,
					const struct berth_service *service, uint32_t tag)
{
	const bool is_tracked = berth_is_tracked(packet);
	const bool begins = packet->protocol != BERTH_PROTO_TCP || packet->tcp_flags & BERTH_TCP_SYN;
	if (is_tracked &&
	    (service->scheduler == BERTH_SCHEDULER_MAGLEV || (begins && !berth_flow_is_crowded(view, packet))))
		return berth_select(view, packet->service, tag);
	const uint32_t number = (uint32_t)berth_select_stateless(view, packet->service, tag);
	if (!is_tracked || berth_accepts_new(berth_eligibility(view, number)))
		return number;
	return berth_select(view, packet->service, tag);
}

/* Sets packet->backend for a new flow, or for one that can't keep its backend: from the client's session, else by
 * selection, which is then written into the session. Returns the verdict. */
BERTH_STEP int berth_steer_select(const struct berth_view *view, struct berth_packet *packet)
{
	if (!BERTH_IS_SET(view) || !BERTH_IS_SET(packet))
		return BERTH_VERDICT_INTERNAL;
	const struct berth_service *service = berth_service_of(view, packet->service);
	if (!service)
		return BERTH_VERDICT_INTERNAL;
	/* Checked for new flows only: no other flow can be in the table. */
	if (!(packet->traits & BERTH_ICMP_ERROR) && !berth_has_valid_source(packet))
		return BERTH_VERDICT_BAD_SOURCE;
	const bool is_tracked = berth_is_tracked(packet);
	if (service->affinity != BERTH_AFFINITY_CLIENT) {
		packet->backend = (uint16_t)berth_select_flow(view, packet, service, berth_hash_tag(packet->hash));
		return packet->backend ? BERTH_VERDICT_SELECTED : BERTH_VERDICT_NO_BACKEND;
	}
	struct berth_key key = berth_session_key(view, packet, service);
	struct berth_entry entry;
	struct berth_session_decision decision;
	berth_flowtab_lookup(view, &key, &entry);
	if (is_tracked && entry.at != BERTH_NOT_FOUND && berth_word_state(entry.value) == BERTH_STATE_CLAIMED)
		berth_flowtab_settle(view, &key, BERTH_STATE_UNCONFIRMED, &entry);
	int verdict = berth_session_decide(view, packet, &key, &entry, &decision);
	if (decision.reason == BERTH_REASON_NONE || !is_tracked)
		return verdict;
	return berth_session_write(view, packet, &key, &entry, &decision);
}

/* The tag whose row selects the backend of a packet without an entry. */
BERTH_INLINE uint32_t berth_selecting_tag(const struct berth_view *view, const struct berth_packet *packet,
					  const struct berth_service *service)
{
	if (service->affinity != BERTH_AFFINITY_CLIENT)
		return berth_hash_tag(packet->hash);
	return berth_session_key(view, packet, service).tag;
}

/* Whether a second hop can reach its backend, beside a packet to backend `to`. */
BERTH_INLINE bool berth_can_be_second_hop(const struct berth_view *view, uint32_t number,
					  const struct berth_backend *to)
{
	const struct berth_backend *hop = berth_backend_of(view, number);
	return hop && hop->service == to->service && hop->flags & BERTH_BACKEND_NEXT_HOP &&
	       hop->mode == BERTH_MODE_GUE && to->mode == BERTH_MODE_GUE &&
	       berth_addr_is4(&hop->address) == berth_addr_is4(&to->address) &&
	       berth_eligibility(view, number) & BERTH_ELIGIBLE_FLOWS;
}

/* The backend that a packet's connection may be on, if it is not on packet->backend; 0: none that can be reached.
 * What the row gave before; or, where the client's session is still there, what the row gives now. */
BERTH_STEP int berth_second_hop(const struct berth_view *view, const struct berth_packet *packet)
{
	if (!BERTH_IS_SET(view) || !BERTH_IS_SET(packet))
		return 0;
	const struct berth_service *service = berth_service_of(view, packet->service);
	const struct berth_backend *to = berth_backend_of(view, packet->backend);
	if (!service || !to)
		return 0;
	const uint32_t tag = berth_selecting_tag(view, packet, service);
	uint32_t number = berth_former_primary(view, service, tag);
	if (number && number == packet->backend)
		number = berth_row_selected(view, service, tag);
	return number && number != packet->backend && berth_can_be_second_hop(view, number, to) ? (int)number : 0;
}

/* Steers a packet of an unknown connection as one that makes no entry, if there is a second hop for it: the flow's
 * next packet needs that, too. If not, and its service has limits of new flows, by these. Returns the verdict, or
 * none. (No step: below berth_steer_select there is no stack left for one.) */
BERTH_INLINE int berth_steer_second_hop(const struct berth_view *view, struct berth_packet *packet)
{
	packet->traits |= BERTH_NOT_INSERTED;
	const int verdict = berth_steer_select(view, packet);
	if (BERTH_VERDICT_CLASS(verdict) == BERTH_CLASS_FORWARD && berth_second_hop(view, packet))
		return BERTH_VERDICT_SECOND_HOP;
	packet->traits &= (uint8_t)~BERTH_NOT_INSERTED;
	const struct berth_service *service = berth_service_of(view, packet->service);
	return service && service->flags & BERTH_SERVICE_LIMITS ? berth_steer_limit(view, packet)
								: BERTH_NO_VERDICT;
}

/* Whether a packet that berth_is_new_flow may be of a connection that a backend has: its SYN did not come here. */
BERTH_INLINE bool berth_may_have_second_hop(const struct berth_service *service, const struct berth_packet *packet)
{
	return service->flags & BERTH_SERVICE_FORMER_ROWS && packet->protocol == BERTH_PROTO_TCP &&
	       !(packet->tcp_flags & BERTH_TCP_SYN) && !(packet->traits & BERTH_FIRST_FRAGMENT);
}
