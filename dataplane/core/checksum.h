/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/* The internet checksum (RFC 1071) of headers that berth writes itself. */
#pragma once

#include "packet.h"

/* Of an IPv4 header without options whose checksum field is 0. */
BERTH_INLINE uint16_t berth_ip4_checksum(const struct berth_ip4 *ip)
{
	const struct BERTH_WIRE {
		uint16_t word[BERTH_IP4_BYTES / 2];
	} *words = (const void *)ip;
	uint32_t sum = 0;
	for (unsigned int i = 0; i < BERTH_IP4_BYTES / 2; i++)
		sum += words->word[i];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}
