// SPDX-License-Identifier: BSD-3-Clause
/*
 * What leaves, from the RFCs: link addresses of the backend's next hop; in mode ipip an outer header in front of
 * the packet (RFC 2003, RFC 2473), VLAN tags in front of both. Shares no code with dataplane/core but the hash.
 */
#include "tests/golden/golden.h"

static uint32_t from_hex(uint8_t *to, const char *hex)
{
	uint32_t n = 0;
	for (; *hex; hex++) {
		unsigned byte;
		if (*hex == ' ')
			continue;
		if (sscanf(hex++, "%2x", &byte) != 1)
			abort();
		to[n++] = (uint8_t)byte;
	}
	return n;
}

static uint32_t read16(const uint8_t *at)
{
	return (uint32_t)at[0] << 8 | at[1];
}

static uint64_t hash16(uint64_t a, uint64_t b)
{
	const uint64_t input[2] = {a, b};
	uint8_t secret[BERTH_SECRET_BYTES];
	for (uint32_t i = 0; i < sizeof(secret); i++)
		secret[i] = (uint8_t)(i * 37 + 11); /* fixture_found's */
	return XXH3_64bits_withSecret(input, sizeof(input), secret, sizeof(secret));
}

/* The flow label is the low 20 bits of the flow's hash: address, service's key, ports. */
static uint32_t flow_label(const uint8_t *ip, const uint8_t *l4, uint32_t service)
{
	uint64_t half[2];
	uint32_t v4;
	uint64_t address;
	if (ip[0] >> 4 == 4) {
		memcpy(&v4, ip + 12, 4);
		address = v4;
	} else {
		memcpy(half, ip + 8, 16);
		address = hash16(half[0], half[1]);
	}
	uint64_t ports = (uint64_t)read16(l4 + 2) << 16 | read16(l4);
	return (uint32_t)hash16(address, (uint64_t)(0xf10 + service) << 32 | ports) & 0xfffff;
}

static uint8_t *put_outer4(uint8_t *at, const uint8_t *ip, uint32_t bytes, uint32_t number)
{
	bool is4 = ip[0] >> 4 == 4;
	uint8_t tos = is4 ? ip[1] : (uint8_t)(ip[0] << 4 | ip[1] >> 4);
	const uint8_t header[20] = {0x45, tos, 0,   0, 0, 0,   0x40, 0, 64, is4 ? 4 : 41,
				    0,	  0,   192, 0, 2, 254, 192,  0, 2,  (uint8_t)number};
	memcpy(at, header, 20);
	fixture_put16(at + 2, bytes + 20);
	fixture_put16(at + 10, fixture_checksum(at, 20));
	return at + 20;
}

static uint8_t *put_outer6(uint8_t *at, const uint8_t *ip, uint32_t bytes, uint32_t number, uint32_t label)
{
	static const uint8_t network[14] = {0x20, 0x01, 0x0d, 0xb8, 0, 3};
	bool is4 = ip[0] >> 4 == 4;
	uint8_t class = is4 ? ip[1] : (uint8_t)(ip[0] << 4 | ip[1] >> 4);
	at[0] = (uint8_t)(0x60 | class >> 4);
	at[1] = (uint8_t)(class << 4 | label >> 16);
	fixture_put16(at + 2, label & 0xffff);
	fixture_put16(at + 4, bytes);
	at[6] = is4 ? 4 : 41;
	at[7] = 64;
	memcpy(at + 8, network, 14);
	fixture_put16(at + 22, 0xfe);
	memcpy(at + 24, network, 14);
	/* Written in decimal digits that are read as hexadecimal ones: 2001:db8:3::40 is backend 40. */
	fixture_put16(at + 38, number / 10 * 16 + number % 10);
	return at + 40;
}

uint32_t golden_expect(uint8_t *to, const struct golden_case *c, const struct fixture_frame *frame)
{
	const uint8_t *data = frame->frame.data;
	const uint8_t *ip = data + frame->network;
	const struct world_shape *shape = &world_shapes[c->service];
	uint32_t number = world_backend(c->service, 0);
	uint32_t bytes = ip[0] >> 4 == 4 ? read16(ip + 2) : read16(ip + 4) + 40;
	uint8_t *at = to + frame->network;
	if (c->leaves)
		return from_hex(to, c->leaves);
	memcpy(to, data, frame->bytes);
	if (BERTH_VERDICT_CLASS(c->verdict) != BERTH_CLASS_FORWARD)
		return frame->bytes;
	const uint8_t macs[12] = {2, 0, 0, 0, 2, (uint8_t)number, 2, 0, 0, 0, 1, 0};
	memcpy(to, macs, 12);
	if (shape->mode == BERTH_MODE_L2)
		return frame->bytes;
	fixture_put16(at - 2, shape->outer == 4 ? 0x0800 : 0x86dd);
	if (shape->outer == 4)
		at = put_outer4(at, ip, bytes, number);
	else
		at = put_outer6(at, ip, bytes, number, flow_label(ip, data + frame->transport, c->service));
	memcpy(at, ip, frame->bytes - frame->network);
	return (uint32_t)(at - to) + frame->bytes - frame->network;
}
