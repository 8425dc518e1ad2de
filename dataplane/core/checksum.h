/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/* The internet checksum (RFC 1071) of headers that berth writes itself. */
#pragma once

#include "packet.h"

/* Of an IPv4 header without options, given as its words in host order, the checksum's own 16 bits 0. */
BERTH_INLINE uint16_t berth_ip4_checksum(uint32_t w0, uint32_t w1, uint32_t w2, uint32_t w3, uint32_t w4)
{
	uint32_t sum = (w0 >> 16) + (w0 & 0xffff) + (w1 >> 16) + (w1 & 0xffff) + (w2 >> 16) + (w2 & 0xffff) +
		       (w3 >> 16) + (w3 & 0xffff) + (w4 >> 16) + (w4 & 0xffff);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}
