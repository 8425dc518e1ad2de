/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/*
 * The link header: two Ethernet addresses, up to two VLAN tags, the ethertype of the packet (IEEE 802.3, 802.1Q,
 * 802.1ad). The engines and the backends' decapsulating program (bpf/berth_decap.bpf.c) share this file.
 */
#pragma once

#include "packet.h"
#include "verdict.h"

enum {
	BERTH_LINK_ADDRESSES_BYTES = 2 * BERTH_ETH_ADDR_BYTES,
	BERTH_LINK_MAX_TAGS = 2,
	BERTH_LINK_MAX_BYTES = BERTH_ETH_BYTES + BERTH_LINK_MAX_TAGS * BERTH_VLAN_BYTES,
};

/* What follows the addresses: a type and a tag for each VLAN tag, then the packet's type, without a tag. */
struct BERTH_WIRE berth_link_tags {
	struct BERTH_WIRE {
		struct berth_be16 type;
		struct berth_be16 tag;
	} at[BERTH_LINK_MAX_TAGS + 1];
};

BERTH_INLINE bool berth_is_vlan(uint16_t type)
{
	return type == BERTH_ETHERTYPE_VLAN || type == BERTH_ETHERTYPE_QINQ;
}

/* Sets the ethertype of the packet and `network`, the offset of its header. False: the frame is too short. */
BERTH_INLINE bool berth_parse_link(const struct berth_frame *frame, uint16_t *type, uint32_t *network)
{
	const struct berth_eth *eth = BERTH_AT(frame, const struct berth_eth, 0);
	if (!eth)
		return false;
	*type = berth_from_be16(eth->type);
	*network = BERTH_ETH_BYTES;
	for (int tags = 0; tags < BERTH_LINK_MAX_TAGS && berth_is_vlan(*type); tags++) {
		const struct berth_vlan *vlan = BERTH_AT(frame, const struct berth_vlan, *network);
		if (!vlan)
			return false;
		*type = berth_from_be16(vlan->type);
		*network += BERTH_VLAN_BYTES;
	}
	return true;
}

/* Writes the two link addresses, destination and then source, that stand at `macs` side by side. */
BERTH_INLINE enum berth_verdict berth_write_link(struct berth_frame *frame, const uint8_t *macs)
{
	struct berth_eth *eth = BERTH_AT(frame, struct berth_eth, 0);
	if (!eth)
		return BERTH_VERDICT_INTERNAL;
	*(struct berth_wire64 *)(void *)eth = *(const struct berth_wire64 *)(const void *)macs;
	*(struct berth_wire32 *)(void *)((uint8_t *)eth + 8) = *(const struct berth_wire32 *)(const void *)(macs +
													    8);
	return BERTH_NO_VERDICT;
}

/* Copies the VLAN tags of a link header of `network` bytes, and writes `type` as the type of the packet. `to` may
 * overlap `from` where it is before it. */
BERTH_INLINE void berth_copy_tags(struct berth_link_tags *to, const struct berth_link_tags *from, uint32_t network,
				  uint16_t type)
{
	if (network == BERTH_ETH_BYTES) {
		to->at[0].type = berth_to_be16(type);
	} else if (network == BERTH_ETH_BYTES + BERTH_VLAN_BYTES) {
		to->at[0] = from->at[0];
		to->at[1].type = berth_to_be16(type);
	} else {
		to->at[0] = from->at[0];
		to->at[1] = from->at[1];
		to->at[2].type = berth_to_be16(type);
	}
}

/* Moves the VLAN tags `by` bytes towards the beginning of the frame, and writes the type of what follows them. */
BERTH_INLINE bool berth_move_tags(struct berth_frame *frame, uint32_t network, uint32_t by, uint16_t type)
{
	struct berth_link_tags *to = (struct berth_link_tags *)(void *)(frame->data + BERTH_LINK_ADDRESSES_BYTES);
	const struct berth_link_tags *from = BERTH_AT(frame, const struct berth_link_tags,
						      BERTH_LINK_ADDRESSES_BYTES + by);
	if (!from || network > BERTH_LINK_MAX_BYTES)
		return false;
	berth_copy_tags(to, from, network, type);
	return true;
}
