/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/*
 * GUE variant 0 (draft-ietf-intarea-gue) behind the outer UDP header, and its private data: a list of second hops.
 *
 *   variant 0 (2 bits), control (1), bytes of private data / 4 (5) | protocol | flags (16)
 *   type of the private data (16)                        | next (8) | count (8)
 *   hop 0, hop 1, ...   addresses in the family of the outer header
 *
 * A receiver that does not have the connection sends the packet to hop number `next`, with `next` increased.
 * The list for IPv4 is the one that GLB Director publishes. It has none for IPv6: that type is berth's own.
 */
#pragma once

#include "packet.h"

enum {
	BERTH_GUE_BYTES = 4,
	BERTH_GUE_HOPS_BYTES = 4,
	BERTH_GUE_LENGTH_UNIT = 4,
	BERTH_GUE_LENGTH_MASK = 0x1f,
	BERTH_GUE_HOPS4 = 0,
	BERTH_GUE_HOPS6 = 0xbe06,
};

struct BERTH_WIRE berth_gue {
	uint8_t variant_length;
	uint8_t protocol; /* of the inner packet */
	struct berth_be16 flags;
};
BERTH_ASSERT_SIZE(struct berth_gue, BERTH_GUE_BYTES);

struct BERTH_WIRE berth_gue_hops {
	struct berth_be16 type;
	uint8_t next; /* `count`: no hop is left */
	uint8_t count;
};
BERTH_ASSERT_SIZE(struct berth_gue_hops, BERTH_GUE_HOPS_BYTES);

/* A hop of the list for IPv6. */
struct BERTH_WIRE berth_gue_hop6 {
	union berth_addr address;
};
BERTH_ASSERT_SIZE(struct berth_gue_hop6, 16);

BERTH_INLINE uint32_t berth_gue_hop_bytes(bool is_outer6)
{
	return is_outer6 ? sizeof(union berth_addr) : sizeof(struct berth_be32);
}

/* Whether private data of `bytes` is a list of second hops for this family. */
BERTH_INLINE bool berth_gue_hops_are_valid(const struct berth_gue_hops *hops, uint32_t bytes, bool is_outer6)
{
	return berth_from_be16(hops->type) == (is_outer6 ? BERTH_GUE_HOPS6 : BERTH_GUE_HOPS4) &&
	       bytes == BERTH_GUE_HOPS_BYTES + hops->count * berth_gue_hop_bytes(is_outer6) &&
	       hops->next <= hops->count;
}
