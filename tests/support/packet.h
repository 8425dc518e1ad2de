/* SPDX-License-Identifier: BSD-3-Clause */
/* Packets built by hand, against the RFCs alone: none of the core's packet code is used. */
#pragma once

#include "tests/support/address.h"
#include "tests/support/checksum.h"
#include "tests/support/frame.h"

/* A packet's fields; omitted fields are 0, lengths are computed. */
struct fixture_packet {
	const char *src;
	const char *dst;
	uint16_t sport;
	uint16_t dport;
	uint8_t protocol;
	uint8_t tcp_flags;
	uint8_t tags;	       /* VLAN tags: 0 to 3 */
	uint8_t traffic_class; /* or TOS */
	uint16_t payload;      /* bytes behind the transport header */
	uint16_t trailer;      /* bytes behind the packet: Ethernet's padding */
	uint8_t options;       /* IPv4: in 4 bytes */
	uint8_t tcp_options;   /* in 4 bytes */
	uint16_t fragment;     /* IPv4: flags and offset */
	const uint8_t *ext;    /* IPv6: extension headers' protocols, up to a 0xff */
	uint16_t ext_fragment; /* IPv6: offset and flags of a fragment header */
	uint8_t ext_length;    /* IPv6: of the other extension headers, in 8 bytes past the first 8 */
};

enum {
	FIXTURE_HEADROOM = 128,
	FIXTURE_EXT_END = 0xff,
};

struct fixture_frame {
	uint8_t room[FIXTURE_ROOM];
	struct berth_frame frame;
	uint32_t network; /* offsets */
	uint32_t transport;
	uint32_t bytes;
};

static inline uint8_t *fixture_put_link(uint8_t *at, const struct fixture_packet *packet, bool is6)
{
	static const uint8_t macs[12] = {2, 0, 0, 0, 1, 0, 2, 0, 0, 0, 9, 9};
	memcpy(at, macs, sizeof(macs));
	at += sizeof(macs);
	for (uint32_t i = 0; i < packet->tags; i++) {
		at = fixture_put16(at, i + 1 < packet->tags ? BERTH_ETHERTYPE_QINQ : BERTH_ETHERTYPE_VLAN);
		at = fixture_put16(at, 0x2064 + i); /* priority 1, VLAN 100 and up */
	}
	return fixture_put16(at, is6 ? BERTH_ETHERTYPE_IP6 : BERTH_ETHERTYPE_IP4);
}

static inline uint8_t *fixture_put_ip4(uint8_t *at, const struct fixture_packet *packet, uint32_t l4)
{
	uint32_t header = 20 + packet->options * 4u;
	union berth_addr src = fixture_addr(packet->src), dst = fixture_addr(packet->dst);
	memset(at, 1, header); /* options: no operation */
	at[0] = (uint8_t)(0x40 | header / 4);
	at[1] = packet->traffic_class;
	fixture_put16(at + 2, header + l4);
	fixture_put16(at + 4, 0x1234);
	fixture_put16(at + 6, packet->fragment);
	at[8] = 63;
	at[9] = packet->protocol;
	fixture_put16(at + 10, 0);
	memcpy(at + 12, &src.byte[12], 4);
	memcpy(at + 16, &dst.byte[12], 4);
	fixture_put16(at + 10, fixture_checksum(at, header));
	return at + header;
}

static inline uint8_t *fixture_put_ip6(uint8_t *at, const struct fixture_packet *packet, uint32_t l4)
{
	static const uint8_t none[] = {FIXTURE_EXT_END};
	union berth_addr src = fixture_addr(packet->src), dst = fixture_addr(packet->dst);
	const uint8_t *ext = packet->ext ? packet->ext : none;
	uint8_t *ip = at;
	ip[0] = (uint8_t)(0x60 | packet->traffic_class >> 4);
	ip[1] = (uint8_t)(packet->traffic_class << 4 | 3);
	fixture_put16(ip + 2, 0x4567);
	ip[6] = ext[0] != FIXTURE_EXT_END ? ext[0] : packet->protocol;
	ip[7] = 63;
	memcpy(ip + 8, &src, 16);
	memcpy(ip + 24, &dst, 16);
	at += 40;
	for (; *ext != FIXTURE_EXT_END; ext++) {
		uint32_t more = *ext == BERTH_PROTO_FRAGMENT ? 0 : packet->ext_length;
		memset(at, 0, 8 + more * 8);
		at[0] = ext[1] != FIXTURE_EXT_END ? ext[1] : packet->protocol;
		at[1] = (uint8_t)more;
		if (*ext == BERTH_PROTO_FRAGMENT)
			fixture_put16(at + 2, packet->ext_fragment);
		at += 8 + more * 8;
	}
	fixture_put16(ip + 4, (uint32_t)(at - ip) - 40 + l4);
	return at;
}

/* Length of the transport header in bytes. */
static inline uint32_t fixture_transport_bytes(const struct fixture_packet *packet)
{
	if (packet->protocol == BERTH_PROTO_TCP)
		return 20 + packet->tcp_options * 4u;
	return packet->protocol == BERTH_PROTO_UDP ? 8 : 0;
}

static inline uint8_t *fixture_put_transport(uint8_t *at, const struct fixture_packet *packet)
{
	uint32_t header = fixture_transport_bytes(packet);
	if (header == 0)
		return at;
	memset(at, 0, header);
	fixture_put16(at, packet->sport);
	fixture_put16(at + 2, packet->dport);
	if (packet->protocol == BERTH_PROTO_TCP) {
		at[12] = (uint8_t)(header / 4 << 4);
		at[13] = packet->tcp_flags;
	} else {
		fixture_put16(at + 4, header + packet->payload);
	}
	return at + header;
}

/* Upper bound of a packet's bytes: headroom and every possible header. */
static inline uint32_t fixture_room_bytes(const struct fixture_packet *packet)
{
	uint32_t bytes = FIXTURE_HEADROOM + 14 + packet->tags * 4u + 40 + packet->options * 4u + packet->payload +
			 fixture_transport_bytes(packet) + packet->trailer;
	for (const uint8_t *ext = packet->ext; ext && *ext != FIXTURE_EXT_END; ext++)
		bytes += 8 + packet->ext_length * 8u;
	return bytes;
}

/* Builds the packet behind FIXTURE_HEADROOM bytes; transport checksums are 0, the core reads none. */
static inline void fixture_build(struct fixture_frame *to, const struct fixture_packet *packet)
{
	bool is6 = strchr(packet->dst, ':') != NULL;
	uint32_t l4 = fixture_transport_bytes(packet) + packet->payload;
	if (fixture_room_bytes(packet) > FIXTURE_ROOM)
		abort();
	uint8_t *start = to->room + FIXTURE_HEADROOM;
	uint8_t *at = fixture_put_link(start, packet, is6);
	to->network = (uint32_t)(at - start);
	at = is6 ? fixture_put_ip6(at, packet, l4) : fixture_put_ip4(at, packet, l4);
	to->transport = (uint32_t)(at - start);
	at = fixture_put_transport(at, packet);
	for (uint32_t i = 0; i < packet->payload; i++)
		*at++ = (uint8_t)i;
	memset(at, 0xee, packet->trailer);
	at += packet->trailer;
	to->bytes = (uint32_t)(at - start);
	to->frame = (struct berth_frame){.data = start, .end = at, .handle = to->room};
}

/* fixture_build with the transport's checksum. */
static inline void wire_build(struct fixture_frame *to, const struct fixture_packet *packet)
{
	fixture_build(to, packet);
	uint8_t *data = to->frame.data;
	if (packet->protocol == BERTH_PROTO_TCP || packet->protocol == BERTH_PROTO_UDP)
		wire_set_checksum(data + to->network, data + to->transport, packet->protocol);
}
