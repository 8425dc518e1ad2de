// SPDX-License-Identifier: BSD-3-Clause
/* Offsets in a packet (RFC 791, RFC 8200) and its correct checksums (RFC 768, RFC 792, RFC 4443, RFC 9293). Shares
 * no code with dataplane/core. */
#include "tests/golden/golden.h"

static uint32_t read16(const uint8_t *at)
{
	return (uint32_t)at[0] << 8 | at[1];
}

static struct golden_parts parts_of_ip4(const uint8_t *ip)
{
	uint32_t fragment = read16(ip + 6);
	return (struct golden_parts){
		.is_later_fragment = (fragment & 0x1fff) != 0,
		.is_first_fragment = (fragment & 0x3fff) == 0x2000,
		.protocol = ip[9],
		.id = read16(ip + 4),
		.transport = (ip[0] & 15) * 4u,
	};
}

static struct golden_parts parts_of_ip6(const uint8_t *ip, uint32_t bytes)
{
	struct golden_parts parts = {.is6 = true, .protocol = ip[6], .transport = 40};
	while (!parts.is_later_fragment && parts.transport + 8 <= bytes) {
		const uint8_t *header = ip + parts.transport;
		uint32_t fragment = read16(header + 2);
		if (parts.protocol == 44 && (fragment & 0xfff9)) {
			parts.is_later_fragment = (fragment & 0xfff8) != 0;
			parts.is_first_fragment = !parts.is_later_fragment;
			parts.id = read16(header + 4) << 16 | read16(header + 6);
		} else if (parts.protocol != 44 && parts.protocol != 0 && parts.protocol != 43 &&
			   parts.protocol != 60) {
			break;
		}
		parts.transport += parts.protocol == 44 ? 8 : 8 + header[1] * 8u;
		parts.protocol = header[0];
	}
	return parts;
}

struct golden_parts golden_parts_of(const uint8_t *ip, uint32_t bytes)
{
	return ip[0] >> 4 == 4 ? parts_of_ip4(ip) : parts_of_ip6(ip, bytes);
}

uint16_t golden_checksum(const uint8_t *ip, uint32_t bytes, const struct golden_parts *parts, uint32_t *at)
{
	static uint8_t covered[40 + FIXTURE_ROOM];
	uint32_t n = 0, length = bytes - parts->transport;
	uint32_t offset = parts->protocol == BERTH_PROTO_TCP ? 16 : parts->protocol == BERTH_PROTO_UDP ? 6 : 2;
	*at = parts->transport + offset;
	if (parts->is6) {
		memcpy(covered, ip + 8, 32);
		memset(covered + 32, 0, 8);
		fixture_put16(covered + 34, length);
		covered[39] = parts->protocol;
		n = 40;
	} else if (parts->protocol != BERTH_PROTO_ICMP) {
		memcpy(covered, ip + 12, 8);
		fixture_put16(covered + 8, parts->protocol);
		fixture_put16(covered + 10, length);
		n = 12;
	}
	memcpy(covered + n, ip + parts->transport, length);
	if (offset + 2 <= length)
		memset(covered + n + offset, 0, 2);
	return fixture_checksum(covered, n + length);
}
