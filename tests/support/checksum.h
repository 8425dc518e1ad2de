/* SPDX-License-Identifier: BSD-3-Clause */
/* Checksums by RFC 1071 over all that they cover (RFC 8200, 8.1, for IPv6), a byte at a time: not the core's
 * method. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "dataplane/core/packet.h"

enum {
	FIXTURE_ROOM = 4096, /* bytes of a test's frame, with its headroom */
};

static inline uint8_t *fixture_put16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
	return at + 2;
}

/* RFC 1071, byte by byte. */
static inline uint16_t fixture_checksum(const uint8_t *bytes, size_t n)
{
	uint32_t sum = 0;
	for (size_t i = 0; i < n; i++)
		sum += i % 2 ? bytes[i] : (uint32_t)bytes[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static inline uint32_t wire_read16(const uint8_t *at)
{
	return (uint32_t)at[0] << 8 | at[1];
}

/* Length in bytes of the packet at `ip`. */
static inline uint32_t wire_length(const uint8_t *ip)
{
	return ip[0] >> 4 == 4 ? wire_read16(ip + 2) : 40 + wire_read16(ip + 4);
}

/* The checksum of `bytes` at `l4` with its pseudo-header; 0 if the message contains its correct checksum. */
static inline uint16_t wire_checksum(const uint8_t *ip, const uint8_t *l4, uint32_t bytes, uint8_t protocol)
{
	uint8_t covered[40 + FIXTURE_ROOM] = {0};
	uint32_t pseudo = 0;
	if (ip[0] >> 4 == 6) {
		memcpy(covered, ip + 8, 32);
		fixture_put16(covered + 34, bytes);
		covered[39] = protocol;
		pseudo = 40;
	} else if (protocol != BERTH_PROTO_ICMP) {
		memcpy(covered, ip + 12, 8);
		covered[9] = protocol;
		fixture_put16(covered + 10, bytes);
		pseudo = 12;
	}
	memcpy(covered + pseudo, l4, bytes);
	return fixture_checksum(covered, pseudo + bytes);
}

/* Offset of the checksum in a protocol's header. */
static inline uint32_t wire_checksum_at(uint8_t protocol)
{
	return protocol == BERTH_PROTO_TCP ? 16 : protocol == BERTH_PROTO_UDP ? 6 : 2;
}

/* Writes the correct checksum of the transport part from `l4` to the packet's end. */
static inline void wire_set_checksum(const uint8_t *ip, uint8_t *l4, uint8_t protocol)
{
	uint8_t *at = l4 + wire_checksum_at(protocol);
	fixture_put16(at, 0);
	uint16_t sum = wire_checksum(ip, l4, (uint32_t)(ip + wire_length(ip) - l4), protocol);
	fixture_put16(at, sum == 0 && protocol == BERTH_PROTO_UDP ? 0xffff : sum);
}

/* Whether a packet's IPv4 and transport checksums are correct; 0 is valid in UDP. */
static inline bool wire_checksums_valid(const uint8_t *ip, const uint8_t *l4, uint8_t protocol)
{
	if (ip[0] >> 4 == 4 && fixture_checksum(ip, (ip[0] & 15u) * 4) != 0)
		return false;
	if (protocol == BERTH_PROTO_UDP && wire_read16(l4 + 6) == 0)
		return true;
	return wire_checksum(ip, l4, (uint32_t)(ip + wire_length(ip) - l4), protocol) == 0;
}
