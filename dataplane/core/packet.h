/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/*
 * Wire headers, and struct berth_packet: what the stages know about one packet.
 */
#pragma once

#include "types.h"

enum {
	BERTH_ETH_ADDR_BYTES = 6,
	BERTH_ETH_BYTES = 14,
	BERTH_VLAN_BYTES = 4,
	BERTH_IP4_BYTES = 20,
	BERTH_IP6_BYTES = 40,
	BERTH_TCP_BYTES = 20,
	BERTH_UDP_BYTES = 8,
};

enum {
	BERTH_ETHERTYPE_IP4 = 0x0800,
	BERTH_ETHERTYPE_IP6 = 0x86dd,
	BERTH_ETHERTYPE_VLAN = 0x8100, /* IEEE 802.1Q */
	BERTH_ETHERTYPE_QINQ = 0x88a8, /* IEEE 802.1ad */
};

/* IANA protocol numbers, IPv6 extension headers among them (RFC 8200 section 4). */
enum {
	BERTH_PROTO_HOP_BY_HOP = 0,
	BERTH_PROTO_IP4 = 4,
	BERTH_PROTO_TCP = 6,
	BERTH_PROTO_UDP = 17,
	BERTH_PROTO_IP6 = 41,
	BERTH_PROTO_ROUTING = 43,
	BERTH_PROTO_FRAGMENT = 44,
	BERTH_PROTO_DEST_OPTIONS = 60,
};

enum {
	BERTH_TCP_FIN = 0x01,
	BERTH_TCP_SYN = 0x02,
	BERTH_TCP_RST = 0x04,
	BERTH_TCP_ACK = 0x10,
};

/* Headers stand at any alignment: a frame's network header is 2 bytes off. In BPF clang would read and write such
 * fields byte by byte; there the kernel sees to alignment, and none of these structs has padding by itself. */
#ifdef __bpf__
#define BERTH_WIRE
#else
#define BERTH_WIRE __attribute__((packed, aligned(1)))
#endif

/* Words at any alignment. */
struct BERTH_WIRE berth_wire64 {
	uint64_t raw;
};

struct BERTH_WIRE berth_wire32 {
	uint32_t raw;
};

struct BERTH_WIRE berth_eth {
	uint8_t dst[BERTH_ETH_ADDR_BYTES];
	uint8_t src[BERTH_ETH_ADDR_BYTES];
	struct berth_be16 type;
};
BERTH_ASSERT_SIZE(struct berth_eth, BERTH_ETH_BYTES);

struct BERTH_WIRE berth_vlan {
	struct berth_be16 tag;
	struct berth_be16 type;
};
BERTH_ASSERT_SIZE(struct berth_vlan, BERTH_VLAN_BYTES);

struct BERTH_WIRE berth_ip4 {
	uint8_t version_ihl;
	uint8_t tos;
	struct berth_be16 length; /* of header and payload */
	struct berth_be16 id;
	struct berth_be16 fragment; /* flags and offset */
	uint8_t ttl;
	uint8_t protocol;
	uint16_t checksum; /* raw: a ones' complement sum has no byte order (RFC 1071) */
	struct berth_be32 src;
	struct berth_be32 dst;
};
BERTH_ASSERT_SIZE(struct berth_ip4, BERTH_IP4_BYTES);

enum {
	BERTH_IP4_DONT_FRAGMENT = 0x4000,
	BERTH_IP4_FRAGMENT_MASK = 0x3fff, /* more fragments, and the offset */
	BERTH_IP4_OFFSET_MASK = 0x1fff,
};

struct BERTH_WIRE berth_ip6 {
	struct berth_be32 version_class_label;
	struct berth_be16 payload;
	uint8_t next_header;
	uint8_t hop_limit;
	union berth_addr src;
	union berth_addr dst;
};
BERTH_ASSERT_SIZE(struct berth_ip6, BERTH_IP6_BYTES);

/* Any extension header but the fragment header, whose second byte is reserved. */
struct BERTH_WIRE berth_ip6_ext {
	uint8_t next_header;
	uint8_t length;		    /* in 8 bytes, the first 8 not counted */
	struct berth_be16 fragment; /* in a fragment header: offset and more fragments */
	uint8_t rest[4];
};
BERTH_ASSERT_SIZE(struct berth_ip6_ext, 8);

struct BERTH_WIRE berth_tcp {
	struct berth_be16 sport;
	struct berth_be16 dport;
	struct berth_be32 seq;
	struct berth_be32 ack;
	uint8_t offset; /* upper 4 bits: header length in 4 bytes */
	uint8_t flags;
	struct berth_be16 window;
	uint16_t checksum;
	struct berth_be16 urgent;
};
BERTH_ASSERT_SIZE(struct berth_tcp, BERTH_TCP_BYTES);

struct BERTH_WIRE berth_udp {
	struct berth_be16 sport;
	struct berth_be16 dport;
	struct berth_be16 length; /* of header and payload */
	uint16_t checksum;
};
BERTH_ASSERT_SIZE(struct berth_udp, BERTH_UDP_BYTES);

/* Filled by parse, then by classify, hash and steer. One memory line. */
struct berth_packet {
	union berth_addr src; /* the client */
	union berth_addr dst; /* the service */
	uint64_t hash;	      /* of the flow */
	uint32_t bytes;	      /* of the frame, as received */
	uint32_t length;      /* bytes from the IP header to the packet's end */
	uint16_t service;     /* number; 0: none */
	uint16_t backend;     /* number; 0: none */
	struct berth_be16 sport;
	struct berth_be16 dport;
	uint16_t transport; /* offset of the TCP or UDP header in the frame */
	uint8_t network;    /* offset of the IP header */
	uint8_t protocol;
	uint8_t tcp_flags;
	uint8_t traffic_class; /* IPv4 TOS or IPv6 traffic class */
	uint8_t is6;
	uint8_t is_fragment;
};
BERTH_ASSERT_SIZE(struct berth_packet, 64);

/*
 * The frame under a packet. The engine fills it; `data` and `end` bound the contiguous bytes. An engine
 * defines berth_frame_push(), which puts `bytes` more in front and sets data and end anew; it returns false
 * and changes nothing where there is no room.
 */
struct berth_frame {
	uint8_t *data;
	uint8_t *end;
	void *handle; /* the engine's: an mbuf, an xdp_md, a test's buffer */
};
