// SPDX-License-Identifier: BSD-3-Clause
/*
 * The expected bytes, from the RFCs and docs/packets.md: TTL decremented; link addresses of the next hop; in modes
 * ipip and gue an outer header (RFC 2003, RFC 2473, RFC 768), VLAN tags before both; in mode nat another address
 * and port, with all checksums that cover them. Answers are in expect_answer.c. Shares only the hash with
 * dataplane/core.
 */
#include "tests/golden/expect.h"

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

static uint64_t hash16(uint64_t a, uint64_t b)
{
	const uint64_t input[2] = {a, b};
	uint8_t secret[BERTH_SECRET_BYTES];
	for (uint32_t i = 0; i < sizeof(secret); i++)
		secret[i] = (uint8_t)(i * 37 + 11); /* as fixture_write_header */
	return XXH3_64bits_withSecret(input, sizeof(input), secret, sizeof(secret));
}

static uint64_t hash_address(const uint8_t *address, bool is6)
{
	uint64_t half[2];
	uint32_t v4;
	memcpy(half, address, is6 ? 16 : 4);
	memcpy(&v4, half, 4);
	return is6 ? hash16(half[0], half[1]) : v4;
}

/* The hash of a later fragment's datagram: addresses, identification, and in IPv4 the protocol. */
static uint64_t datagram_hash(const uint8_t *ip, const struct golden_parts *parts)
{
	if (parts->is6)
		return hash16(hash16(hash_address(ip + 8, true), hash_address(ip + 24, true)), parts->id);
	return hash16(hash_address(ip + 12, false) << 32 | hash_address(ip + 16, false),
		      (uint64_t)parts->protocol << 32 | parts->id);
}

/* The flow's hash: client address, service key, ports; for a service with a prefix, the key includes the
 * destination address. An ICMP error has the hash of the flow that it is about. */
static uint64_t hash_of(const struct golden_case *c, const uint8_t *ip, uint32_t bytes)
{
	const struct golden_parts outer = golden_parts_of(ip, bytes);
	const bool is6 = outer.is6;
	if (outer.is_later_fragment)
		return datagram_hash(ip, &outer);
	const uint8_t *client = ip + (is6 ? 8 : 12), *service = ip + (is6 ? 24 : 16);
	const uint8_t *l4 = ip + outer.transport;
	uint32_t client_port = expect_read16(l4), service_port = expect_read16(l4 + 2);
	if (c->error.type) {
		const uint8_t *quoted = l4 + BERTH_ICMP_BYTES;
		l4 = quoted + golden_parts_of(quoted, bytes - (uint32_t)(quoted - ip)).transport;
		service = quoted + (is6 ? 8 : 12);
		client = quoted + (is6 ? 24 : 16);
		service_port = expect_read16(l4);
		client_port = expect_read16(l4 + 2);
	}
	uint32_t key = 0xf10 + c->service; /* as fixture_insert_vip */
	const union berth_addr first = fixture_addr(world_shapes[c->service].address);
	if (world_shapes[c->service].bits && memcmp(service, is6 ? first.byte : first.byte + 12, is6 ? 16 : 4))
		key ^= (uint32_t)hash_address(service, is6);
	return hash16(hash_address(client, is6), (uint64_t)key << 32 | service_port << 16 | client_port);
}

uint16_t expect_carry(uint16_t given, uint16_t before, uint16_t after)
{
	if (given == before)
		return after;
	uint32_t sum = (uint32_t)given + after + (uint16_t)~before;
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum == 0xffff ? 0 : (uint16_t)sum;
}

uint16_t expect_header_sum(const uint8_t *ip)
{
	uint8_t header[60];
	uint32_t n = (ip[0] & 15) * 4u;
	memcpy(header, ip, n);
	fixture_put16(header + 10, 0);
	return fixture_checksum(header, n);
}

/* Decrements TTL or hop limit. */
static void hop(uint8_t *ip)
{
	if (ip[0] >> 4 == 6) {
		ip[7]--;
		return;
	}
	uint16_t before = expect_header_sum(ip);
	ip[8]--;
	fixture_put16(ip + 10, expect_carry((uint16_t)expect_read16(ip + 10), before, expect_header_sum(ip)));
}

/* Rewrites one end of the packet at `ip`, of which `bytes` are present. Port 0: the port stays. */
static void rewrite_end(uint8_t *ip, uint32_t bytes, bool source, const union berth_addr *to, uint32_t port)
{
	const struct golden_parts parts = golden_parts_of(ip, bytes);
	const bool is_udp = parts.protocol == BERTH_PROTO_UDP;
	const bool has_ports = !parts.is_later_fragment && (is_udp || parts.protocol == BERTH_PROTO_TCP);
	uint32_t at = 0;
	uint16_t header = parts.is6 ? 0 : expect_header_sum(ip);
	uint16_t before = has_ports ? golden_checksum(ip, bytes, &parts, &at) : 0;
	if (parts.is6)
		memcpy(ip + (source ? 8 : 24), to->byte, 16);
	else
		memcpy(ip + (source ? 12 : 16), to->byte + 12, 4);
	if (!parts.is6)
		fixture_put16(ip + 10,
			      expect_carry((uint16_t)expect_read16(ip + 10), header, expect_header_sum(ip)));
	if (!has_ports)
		return;
	if (port)
		fixture_put16(ip + parts.transport + (source ? 0 : 2), port);
	if (at + 2 > bytes || (is_udp && expect_read16(ip + at) == 0))
		return;
	/* A UDP checksum of 0 is sent as ffff, as a correct one before was. */
	uint16_t given = (uint16_t)expect_read16(ip + at);
	uint16_t after = golden_checksum(ip, bytes, &parts, &at);
	after = expect_carry(is_udp && given == 0xffff ? 0 : given, before, after);
	fixture_put16(ip + at, is_udp && after == 0 ? 0xffff : after);
}

/* Rewrites the other end of the packet that an ICMP error quotes, and the error's own source if it equals `from`.
 */
static void rewrite_error(uint8_t *ip, uint32_t bytes, bool source, const union berth_addr *from,
			  const union berth_addr *to, uint32_t port)
{
	const struct golden_parts parts = golden_parts_of(ip, bytes);
	uint32_t at, quoted = parts.transport + BERTH_ICMP_BYTES;
	uint16_t before = golden_checksum(ip, bytes, &parts, &at);
	const uint8_t *end = ip + (parts.is6 ? (source ? 8 : 24) : (source ? 12 : 16));
	rewrite_end(ip + quoted, bytes - quoted, !source, to, port);
	if (!memcmp(end, parts.is6 ? from->byte : from->byte + 12, parts.is6 ? 16 : 4))
		rewrite_end(ip, bytes, source, to, 0);
	uint16_t given = (uint16_t)expect_read16(ip + at);
	fixture_put16(ip + at, expect_carry(given, before, golden_checksum(ip, bytes, &parts, &at)));
}

/* Mode nat: to the backend, or from the service's address to the client. */
static void translate(uint8_t *ip, uint32_t bytes, const struct golden_case *c)
{
	const struct world_shape *shape = &world_shapes[c->service];
	char text[INET6_ADDRSTRLEN];
	world_backend_address(text, world_backend(c->service, 0), shape->outer);
	const union berth_addr backend = fixture_addr(text), service = fixture_addr(shape->address);
	const union berth_addr *from = c->from_backend ? &backend : &service;
	const union berth_addr *to = c->from_backend ? &service : &backend;
	uint32_t port = shape->dport;
	if (c->from_backend)
		port = world_is_ranged(shape) ? 0 : shape->port;
	if (c->error.type)
		rewrite_error(ip, bytes, c->from_backend, from, to, port);
	else
		rewrite_end(ip, bytes, c->from_backend, to, port);
}

static uint8_t traffic_class_of(const uint8_t *ip)
{
	return ip[0] >> 4 == 4 ? ip[1] : (uint8_t)(ip[0] << 4 | ip[1] >> 4);
}

/* The last bytes of an outer source: some bits come from the flow's hash. */
static uint32_t varying_of(const struct world_shape *shape, uint64_t hash)
{
	return (uint32_t)(hash >> 20) & ((1u << shape->source_bits) - 1);
}

static uint8_t *put_outer4(uint8_t *at, const uint8_t *ip, uint32_t bytes, const struct golden_case *c,
			   uint64_t hash, uint8_t protocol)
{
	const struct world_shape *shape = &world_shapes[c->service];
	const uint32_t varying = varying_of(shape, hash);
	const uint8_t header[20] = {0x45, traffic_class_of(ip),
				    0,	  0,
				    0,	  0,
				    0x40, 0,
				    64,	  protocol,
				    0,	  0,
				    192,  0,
				    2,	  254,
				    192,  0,
				    2,	  (uint8_t)world_backend(c->service, 0)};
	const uint8_t source[4] = {198, 18, (uint8_t)(varying >> 8), (uint8_t)varying};
	memcpy(at, header, 20);
	if (shape->source_bits)
		memcpy(at + 12, source, 4);
	fixture_put16(at + 2, bytes + 20);
	fixture_put16(at + 10, fixture_checksum(at, 20));
	return at + 20;
}

static uint8_t *put_outer6(uint8_t *at, const uint8_t *ip, uint32_t bytes, const struct golden_case *c,
			   uint64_t hash, uint8_t protocol)
{
	const struct world_shape *shape = &world_shapes[c->service];
	uint8_t network[14] = {0x20, 0x01, 0x0d, 0xb8, 0, 3};
	uint8_t class = traffic_class_of(ip);
	at[0] = (uint8_t)(0x60 | class >> 4);
	at[1] = (uint8_t)(class << 4 | (hash >> 16 & 15));
	fixture_put16(at + 2, (uint32_t)hash & 0xffff);
	fixture_put16(at + 4, bytes);
	at[6] = protocol;
	at[7] = 64;
	memcpy(at + 24, network, 14);
	fixture_put16(at + 38, world_backend(c->service, 0));
	network[5] = shape->source_bits ? 5 : 3;
	memcpy(at + 8, network, 14);
	fixture_put16(at + 22, shape->source_bits ? varying_of(shape, hash) : 0xfe);
	return at + 40;
}

static uint32_t hop_bytes(const struct world_shape *shape)
{
	return shape->outer == 4 ? 12 : 24;
}

/* A GUE header of variant 0 (draft-ietf-intarea-gue) with private data of the type of IPv4 or IPv6, next hop 0 of
 * 1, and the address of the second backend. */
static uint8_t *put_second_hop(uint8_t *at, uint8_t protocol, const struct golden_case *c)
{
	const struct world_shape *shape = &world_shapes[c->service];
	const uint32_t bytes = shape->outer == 4 ? 4 : 16;
	char text[INET6_ADDRSTRLEN];
	world_backend_address(text, world_backend(c->service, 1), shape->outer);
	const union berth_addr address = fixture_addr(text);
	at = fixture_put16(at, (hop_bytes(shape) - 4) / 4 << 8 | protocol);
	at = fixture_put16(at, 0);
	at = fixture_put16(at, shape->outer == 4 ? 0 : 0xbe06);
	at = fixture_put16(at, 1);
	memcpy(at, address.byte + 16 - bytes, bytes);
	return at + bytes;
}

/* Modes ipip and gue: writes the headers between the tags and the packet at `ip`, of `bytes` bytes. */
static uint8_t *put_outer(uint8_t *at, const uint8_t *ip, uint32_t bytes, const struct golden_case *c)
{
	const struct world_shape *shape = &world_shapes[c->service];
	const bool is_gue = shape->mode == BERTH_MODE_GUE;
	const uint64_t hash = hash_of(c, ip, bytes);
	const uint8_t inner = ip[0] >> 4 == 4 ? BERTH_PROTO_IP4 : BERTH_PROTO_IP6;
	const uint8_t protocol = is_gue ? BERTH_PROTO_UDP : inner;
	const uint32_t hop = c->verdict == BERTH_VERDICT_SECOND_HOP ? hop_bytes(shape) : 0;
	const uint32_t payload = bytes + (is_gue ? 8 : 0) + hop;
	fixture_put16(at - 2, shape->outer == 4 ? 0x0800 : 0x86dd);
	at = shape->outer == 4 ? put_outer4(at, ip, payload, c, hash, protocol)
			       : put_outer6(at, ip, payload, c, hash, protocol);
	if (!is_gue)
		return at;
	at = fixture_put16(at, 49152 + (uint32_t)(hash >> 20) % 16384);
	at = fixture_put16(at, shape->dport ? shape->dport : 6080);
	at = fixture_put16(at, payload);
	at = fixture_put16(at, 0);
	return hop ? put_second_hop(at, inner, c) : at;
}

static uint32_t forwarded(uint8_t *to, const struct golden_case *c, const struct fixture_frame *frame)
{
	const struct world_shape *shape = &world_shapes[c->service];
	const uint8_t *ip = frame->frame.data + frame->network;
	const uint32_t rest = frame->bytes - frame->network;
	const uint8_t macs[12] = {2, 0, 0, 0, 2, (uint8_t)world_backend(c->service, 0), 2, 0, 0, 0, 1, 0};
	uint8_t *at = to + frame->network;
	memcpy(to, macs, sizeof(macs));
	if (shape->mode == BERTH_MODE_IPIP || shape->mode == BERTH_MODE_GUE)
		at = put_outer(at, ip, expect_ip_bytes(ip), c);
	memcpy(at, ip, rest);
	hop(at);
	if (shape->mode == BERTH_MODE_NAT)
		translate(at, expect_ip_bytes(ip), c);
	return (uint32_t)(at - to) + rest;
}

static void returned(uint8_t *to, const struct golden_case *c, const struct fixture_frame *frame)
{
	uint8_t *ip = to + frame->network;
	if (c->verdict == BERTH_VERDICT_RETURNED) {
		const union berth_addr client = expect_address(ip, false);
		const struct world_route *route = golden_route_to(&client);
		const uint8_t macs[12] = {2, 0, 0, 0, 3, (uint8_t)(route - world_routes),
					  2, 0, 0, 0, 1, route->port};
		memcpy(to, macs, sizeof(macs));
		hop(ip);
	}
	translate(ip, expect_ip_bytes(ip), c);
}

uint32_t golden_expect(uint8_t *to, const struct golden_case *c, const struct fixture_frame *frame, uint32_t first)
{
	if (c->expected_hex)
		return from_hex(to, c->expected_hex);
	memcpy(to, frame->frame.data, frame->bytes);
	if (c->verdict == BERTH_VERDICT_RETURNED || c->verdict == BERTH_VERDICT_RETURNED_PASS)
		returned(to, c, frame);
	else if (BERTH_VERDICT_CLASS(c->verdict) == BERTH_CLASS_FORWARD)
		return forwarded(to, c, frame);
	else if (BERTH_VERDICT_CLASS(c->verdict) == BERTH_CLASS_ANSWER)
		return expect_answer(to, c, frame, first);
	return frame->bytes;
}
