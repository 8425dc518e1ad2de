/* SPDX-License-Identifier: BSD-3-Clause */
/* Helpers of the two files that build expected bytes. */
#pragma once

#include "tests/golden/golden.h"

static inline uint32_t expect_read16(const uint8_t *at)
{
	return (uint32_t)at[0] << 8 | at[1];
}

/* Length in bytes of the packet at `ip`, from its header. */
static inline uint32_t expect_ip_bytes(const uint8_t *ip)
{
	return ip[0] >> 4 == 4 ? expect_read16(ip + 2) : expect_read16(ip + 4) + 40;
}

/* The source or destination of the packet at `ip`. */
static inline union berth_addr expect_address(const uint8_t *ip, bool source)
{
	union berth_addr addr = {.byte = {[10] = 0xff, [11] = 0xff}};
	if (ip[0] >> 4 == 4)
		memcpy(addr.byte + 12, ip + (source ? 12 : 16), 4);
	else
		memcpy(addr.byte, ip + (source ? 8 : 24), 16);
	return addr;
}

/* Updates a checksum after a change of the bytes that it covers: a wrong checksum stays wrong (RFC 1624). `before`
 * and `after` are the correct checksums. */
uint16_t expect_carry(uint16_t given, uint16_t before, uint16_t after);

/* The correct checksum of an IPv4 header. */
uint16_t expect_header_sum(const uint8_t *ip);

/* Turns the frame in `to` into the ICMP error that answers it. */
uint32_t expect_answer(uint8_t *to, const struct golden_case *c, const struct fixture_frame *frame, uint32_t first);
