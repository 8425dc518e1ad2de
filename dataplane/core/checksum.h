/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/* The internet checksum (RFC 1071) of headers that berth writes, and its incremental update (RFC 1624). */
#pragma once

#include "packet.h"

/* Folds a sum of 16-bit words. */
BERTH_INLINE uint16_t berth_checksum_fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* Folds a sum of up to 2^16 32-bit words. */
BERTH_INLINE uint16_t berth_checksum_fold64(uint64_t sum)
{
	return berth_checksum_fold((uint32_t)((sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32)));
}

/* The difference that a changed word makes to a sum; up to 2^15 differences can be added. Words in memory order: a
 * ones' complement sum has no byte order. */
BERTH_INLINE uint32_t berth_checksum_change(uint16_t from, uint16_t to)
{
	return (uint32_t)(uint16_t)~from + to;
}

BERTH_INLINE uint32_t berth_checksum_change32(uint32_t from, uint32_t to)
{
	return berth_checksum_change((uint16_t)from, (uint16_t)to) +
	       berth_checksum_change((uint16_t)(from >> 16), (uint16_t)(to >> 16));
}

/* The checksum after changes (RFC 1624 equation 3). */
BERTH_INLINE uint16_t berth_checksum_after(uint16_t checksum, uint32_t changes)
{
	return (uint16_t)~berth_checksum_fold((uint16_t)~checksum + changes);
}

/* Decrements TTL or hop limit (at least 2) of the IP header at `at`. */
BERTH_INLINE bool berth_decrement_ttl(struct berth_frame *frame, uint32_t at, bool is6)
{
	if (is6) {
		struct berth_ip6 *ip = BERTH_AT(frame, struct berth_ip6, at);
		if (ip)
			ip->hop_limit--;
		return ip;
	}
	struct berth_ip4 *ip = BERTH_AT(frame, struct berth_ip4, at);
	if (!ip)
		return false;
	/* The word of TTL and protocol decreases by 0x100, so the checksum increases by as much (RFC 1141). */
	uint32_t sum = (uint32_t)ip->checksum + berth_to_be16(0x0100).raw;
	ip->checksum = (uint16_t)(sum + (sum >= 0xffff));
	ip->ttl--;
	return true;
}
