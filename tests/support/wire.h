/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What rewriting needs of packets beside fixture.h: checksums computed anew over all that they cover (RFC 1071,
 * RFC 8200 section 8.1), and ICMP errors with the packet that they quote. A byte at a time: not how the core does
 * it.
 */
#pragma once

#include "tests/support/fixture.h"

static inline uint32_t wire_read16(const uint8_t *at)
{
	return (uint32_t)at[0] << 8 | at[1];
}

/* Bytes of the packet whose IP header is at `ip`. */
static inline uint32_t wire_length(const uint8_t *ip)
{
	return ip[0] >> 4 == 4 ? wire_read16(ip + 2) : 40 + wire_read16(ip + 4);
}

/* The checksum of `bytes` at `l4` with its pseudo-header; 0 over a message whose own checksum is right. */
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

/* Where in its header a protocol has its checksum. */
static inline uint32_t wire_checksum_at(uint8_t protocol)
{
	return protocol == BERTH_PROTO_TCP ? 16 : protocol == BERTH_PROTO_UDP ? 6 : 2;
}

/* Writes the right checksum of what begins at `l4` and ends with its packet. */
static inline void wire_set_checksum(const uint8_t *ip, uint8_t *l4, uint8_t protocol)
{
	uint8_t *at = l4 + wire_checksum_at(protocol);
	fixture_put16(at, 0);
	uint16_t sum = wire_checksum(ip, l4, (uint32_t)(ip + wire_length(ip) - l4), protocol);
	fixture_put16(at, sum == 0 && protocol == BERTH_PROTO_UDP ? 0xffff : sum);
}

/* Whether the checksums of a whole packet are right: IPv4's, and the transport's unless it is UDP's 0. */
static inline bool wire_is_right(const uint8_t *ip, const uint8_t *l4, uint8_t protocol)
{
	if (ip[0] >> 4 == 4 && fixture_checksum(ip, (ip[0] & 15u) * 4) != 0)
		return false;
	if (protocol == BERTH_PROTO_UDP && wire_read16(l4 + 6) == 0)
		return true;
	return wire_checksum(ip, l4, (uint32_t)(ip + wire_length(ip) - l4), protocol) == 0;
}

/* fixture_build with the transport's checksum. */
static inline void wire_build(struct fixture_frame *to, const struct fixture_packet *packet)
{
	fixture_build(to, packet);
	uint8_t *data = to->frame.data;
	if (packet->protocol == BERTH_PROTO_TCP || packet->protocol == BERTH_PROTO_UDP)
		wire_set_checksum(data + to->network, data + to->transport, packet->protocol);
}

/* An ICMP error; what is left out is 0. */
struct wire_error {
	struct fixture_packet outer;  /* without protocol and payload; source: who sends the error */
	struct fixture_packet quoted; /* what it is about */
	uint8_t type;
	uint8_t code;
	uint32_t rest;
	uint16_t bytes; /* of the packet that it quotes; 0: all */
};

/* Writes the ICMP header and what it quotes behind it, `quote` bytes from `at`, and the checksum. */
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

/* What a packet that was sent to `packet`'s source is like: its ends turned round. */
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
 * be quoted. `from`: whose address it bears; `mtu`: of "too big", 0 for "time exceeded". Returns its bytes. (RFC
 * 792, RFC 1812 section 4.3.2, RFC 4443.) */
static inline uint32_t wire_answer(uint8_t *to, const uint8_t *frame, uint32_t network, uint32_t held,
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
