// SPDX-License-Identifier: BSD-3-Clause
/* ICMP errors that berth sends: RFC 792, RFC 1191, RFC 1812 section 4.3.2, RFC 4443. */
#include "tests/golden/expect.h"

const struct world_route *golden_route_to(const union berth_addr *client)
{
	for (uint32_t i = 0; i < WORLD_ROUTES; i++) {
		const union berth_addr prefix = fixture_addr(world_routes[i].prefix);
		uint32_t bits = world_routes[i].bits + (strchr(world_routes[i].prefix, ':') ? 0u : 96u);
		bool same = true;
		for (uint32_t bit = 0; bit < bits; bit++)
			same &= !((prefix.byte[bit / 8] ^ client->byte[bit / 8]) & 0x80 >> bit % 8);
		if (same)
			return &world_routes[i];
	}
	return NULL;
}

/* The largest packet that fits the path. */
static uint32_t mtu_of(const struct golden_case *c, const uint8_t *ip)
{
	const struct world_shape *shape = &world_shapes[c->service];
	const union berth_addr client = expect_address(ip, false);
	uint32_t mtu = shape->mtu ? shape->mtu : WORLD_MTU;
	if (c->from_backend)
		return golden_route_to(&client)->mtu;
	if (shape->mode == BERTH_MODE_IPIP || shape->mode == BERTH_MODE_GUE)
		mtu -= shape->outer == 4 ? 20 : 40;
	if (c->rows_changed)
		mtu -= shape->outer == 4 ? 12 : 24;
	return shape->mode == BERTH_MODE_GUE ? mtu - 8 : mtu;
}

static void put_header4(uint8_t *to, const union berth_addr *from, const union berth_addr *sender, uint32_t bytes)
{
	const uint8_t header[20] = {0x45, 0xc0, 0, 0, 0, 0, 0x40, 0, 64, BERTH_PROTO_ICMP};
	memcpy(to, header, sizeof(header));
	fixture_put16(to + 2, bytes);
	memcpy(to + 12, from->byte + 12, 4);
	memcpy(to + 16, sender->byte + 12, 4);
	fixture_put16(to + 10, fixture_checksum(to, 20));
}

static void put_header6(uint8_t *to, const union berth_addr *from, const union berth_addr *sender, uint32_t bytes)
{
	const uint8_t header[8] = {0x60, 0, 0, 0, 0, 0, BERTH_PROTO_ICMP6, 64};
	memcpy(to, header, sizeof(header));
	fixture_put16(to + 4, bytes - 40);
	memcpy(to + 8, from->byte, 16);
	memcpy(to + 24, sender->byte, 16);
}

uint32_t expect_answer(uint8_t *to, const struct golden_case *c, const struct fixture_frame *frame, uint32_t first)
{
	const uint8_t *ip = frame->frame.data + frame->network;
	const bool is6 = ip[0] >> 4 == 6, too_big = c->verdict == BERTH_VERDICT_ANSWERED_TOO_BIG;
	const union berth_addr sender = expect_address(ip, true);
	const uint32_t header = is6 ? 40 : 20, most = (is6 ? 1280 : 576) - header - 8;
	union berth_addr from = expect_address(ip, false);
	uint8_t *at = to + frame->network;
	uint32_t quoted = expect_ip_bytes(ip), sum_at;
	if (c->from_backend)
		from = fixture_addr(world_shapes[c->service].address);
	if (quoted > first - frame->network)
		quoted = first - frame->network;
	quoted = (quoted < most ? quoted : most) / 4 * 4;
	memcpy(to, frame->frame.data + 6, 6);
	memcpy(to + 6, frame->frame.data, 6);
	if (is6)
		put_header6(at, &from, &sender, header + 8 + quoted);
	else
		put_header4(at, &from, &sender, header + 8 + quoted);
	uint8_t *icmp = at + header;
	memset(icmp, 0, 8);
	icmp[0] = is6 ? (too_big ? 2 : 3) : (too_big ? 3 : 11);
	icmp[1] = too_big && !is6 ? 4 : 0;
	fixture_put16(icmp + 6, too_big ? mtu_of(c, ip) : 0);
	memcpy(icmp + 8, ip, quoted);
	const struct golden_parts parts = golden_parts_of(at, header + 8 + quoted);
	fixture_put16(icmp + 2, golden_checksum(at, header + 8 + quoted, &parts, &sum_at));
	return frame->network + header + 8 + quoted;
}
