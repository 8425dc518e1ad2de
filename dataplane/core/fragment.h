/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/*
 * Fragments. A first fragment has ports and is steered like any packet. It then inserts an entry into the flow
 * table, in state FRAGMENT and with the hash of its datagram, for the later fragments (berth_steer_related). The
 * entry expires after seconds and can be evicted like any unconfirmed one: fragments need no table of their own.
 */
#pragma once

#include "parse.h"
#include "steer.h"

/* The identification of a fragment's datagram: 16 bits in IPv4, 32 in IPv6. */
BERTH_RARE_STEP int berth_fragment_id(BERTH_HANDLE *handle, const struct berth_packet *packet)
{
	if (!BERTH_IS_SET(packet))
		return 0;
	BERTH_OPEN(frame, handle);
	if (packet->network > BERTH_ETH_BYTES + 2 * BERTH_VLAN_BYTES)
		return 0;
	if (!packet->is6) {
		const struct berth_ip4 *ip = BERTH_AT(frame, const struct berth_ip4, packet->network);
		return ip ? berth_from_be16(ip->id) : 0;
	}
	const struct berth_ip6 *ip = BERTH_AT(frame, const struct berth_ip6, packet->network);
	if (!ip)
		return 0;
	struct berth_ip6_headers headers = {
		.at = packet->network + (uint32_t)BERTH_IP6_BYTES,
		.end = packet->network + packet->length,
		.protocol = ip->next_header,
	};
	berth_skip_ip6_headers(handle, &headers);
	return (int)berth_from_be32(headers.id);
}

/* The hash of a fragment's datagram. */
BERTH_RARE_STEP uint64_t berth_fragment_hash(const struct berth_view *view, BERTH_HANDLE *handle,
					     const struct berth_packet *packet)
{
	if (!BERTH_IS_SET(view) || !BERTH_IS_SET(packet))
		return 0;
	const struct berth_ctl *ctl = berth_at_ctl(view, 0);
	uint32_t id = (uint32_t)berth_fragment_id(handle, packet);
	return ctl ? berth_hash_datagram(ctl->secret, packet, id) : 0;
}

/* Inserts the entry of a first fragment's datagram, for packet->backend. */
BERTH_RARE_STEP int berth_fragment_insert(const struct berth_view *view, const struct berth_packet *packet,
					  uint64_t hash)
{
	if (!BERTH_IS_SET(view) || !BERTH_IS_SET(packet))
		return 0;
	struct berth_key key = berth_key_make(view, BERTH_TABLE_FLOWS, 0, hash);
	struct berth_entry entry;
	berth_flowtab_lookup(view, &key, &entry);
	if (entry.at != BERTH_NOT_FOUND) {
		uint32_t state = berth_word_state(entry.value);
		/* A flow's entry with the same tag (once in 2^28) stays. */
		if (state != BERTH_STATE_FRAGMENT && state != BERTH_STATE_CLAIMED)
			return 0;
		/* A duplicate, or an identification that is used again. */
		berth_entry_swap(view, &key, &entry,
				 berth_word_make(key.tag, packet->backend, view->now, BERTH_STATE_FRAGMENT));
		return 0;
	}
	if (berth_flowtab_insert(view, &key, packet->backend, BERTH_STATE_FRAGMENT, &entry))
		berth_count_event(view, BERTH_EVENT_FLOW_EVICTED);
	if (entry.at == BERTH_NOT_FOUND)
		berth_count_event(view, BERTH_EVENT_FRAGMENT_FULL);
	return 0;
}
