/* SPDX-License-Identifier: BSD-3-Clause */
/* ICMP errors with the packet that they quote, as a router sends them and as berth answers. */
#pragma once

#include "tests/support/packet.h"

/* An ICMP error; what is left out is 0. */
struct wire_error {
	struct fixture_packet outer;  /* without protocol and payload; source: the sender of the error */
	struct fixture_packet quoted; /* the packet that it quotes */
	uint8_t type;
	uint8_t code;
	uint32_t rest;
	uint16_t bytes; /* of the packet that it quotes; 0: all */
};

/* Writes the ICMP header, the `quote` bytes at `at` after it, and the checksum. */
static inline void wire_put_error(struct fixture_frame *to, const struct wire_error *error, const uint8_t *at,
				  uint32_t quote)
{
	uint8_t *ip = to->frame.data + to->network, *icmp = to->frame.data + to->transport;
	icmp[0] = error->type;
	icmp[1] = error->code;
	fixture_put16(fixture_put16(icmp + 4, error->rest >> 16), error->rest & 0xffff);
	memcpy(icmp + 8, at, quote);
	wire_set_checksum(ip, icmp, ip[0] >> 4 == 4 ? BERTH_PROTO_ICMP : BERTH_PROTO_ICMP6);
}

static inline void wire_build_error(struct fixture_frame *to, const struct wire_error *error)
{
	struct fixture_frame quoted;
	struct fixture_packet outer = error->outer;
	wire_build(&quoted, &error->quoted);
	uint32_t quote = quoted.bytes - quoted.network;
	if (error->bytes && error->bytes < quote)
		quote = error->bytes;
	outer.protocol = strchr(outer.dst, ':') ? BERTH_PROTO_ICMP6 : BERTH_PROTO_ICMP;
	outer.payload = (uint16_t)(BERTH_ICMP_BYTES + quote);
	fixture_build(to, &outer);
	wire_put_error(to, error, quoted.frame.data + quoted.network, quote);
}

/* The reply to `packet`: source and destination swapped. */
static inline struct fixture_packet wire_reply(struct fixture_packet packet)
{
	const char *src = packet.src;
	uint16_t sport = packet.sport;
	packet.src = packet.dst;
	packet.dst = src;
	packet.sport = packet.dport;
	packet.dport = sport;
	return packet;
}

/* The ICMP error that answers a frame whose IP header is at `network`, and of which `held` bytes from there on may
 * be quoted. `from`: its source address; `mtu`: of "too big", 0 for "time exceeded". Returns its bytes. (RFC
 * 792, RFC 1812 section 4.3.2, RFC 4443.) */
static inline uint32_t wire_icmp_answer(uint8_t *to, const uint8_t *frame, uint32_t network, uint32_t held,
					const union berth_addr *from, uint32_t mtu)
{
	const uint8_t *ip = frame + network;
	const bool is4 = ip[0] >> 4 == 4;
	uint32_t header = is4 ? 20 : 40, quote = wire_length(ip);
	if (quote > (is4 ? 576u - 28 : 1280u - 48))
		quote = is4 ? 576 - 28 : 1280 - 48;
	if (quote > held)
		quote = held;
	quote -= quote % 4;
	memcpy(to, frame + 6, 6);
	memcpy(to + 6, frame, 6);
	memcpy(to + 12, frame + 12, network - 12);
	uint8_t *at = to + network;
	memset(at, 0, header + 8);
	if (is4) {
		fixture_put16(at, 0x45c0);
		fixture_put16(at + 2, 28 + quote);
		fixture_put16(at + 6, 0x4000);
		fixture_put16(at + 8, 64 << 8 | BERTH_PROTO_ICMP);
		memcpy(at + 12, &from->byte[12], 4);
		memcpy(at + 16, ip + 12, 4);
		fixture_put16(at + 10, fixture_checksum(at, 20));
		fixture_put16(at + 20, mtu ? 3 << 8 | 4 : 11 << 8);
	} else {
		at[0] = 0x60;
		fixture_put16(at + 4, 8 + quote);
		fixture_put16(at + 6, BERTH_PROTO_ICMP6 << 8 | 64);
		memcpy(at + 8, from, 16);
		memcpy(at + 24, ip + 8, 16);
		fixture_put16(at + 40, mtu ? 2 << 8 : 3 << 8);
	}
	fixture_put16(at + header + 6, mtu);
	memcpy(at + header + 8, ip, quote);
	wire_set_checksum(at, at + header, is4 ? BERTH_PROTO_ICMP : BERTH_PROTO_ICMP6);
	return network + header + 8 + quote;
}
