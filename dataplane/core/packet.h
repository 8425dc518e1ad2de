/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/*
 * Wire headers; struct berth_packet, a parsed packet; struct berth_frame, its bytes.
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
	BERTH_ICMP_BYTES = 8,
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
	BERTH_PROTO_ICMP = 1,
	BERTH_PROTO_IP4 = 4,
	BERTH_PROTO_TCP = 6,
	BERTH_PROTO_UDP = 17,
	BERTH_PROTO_IP6 = 41,
	BERTH_PROTO_ROUTING = 43,
	BERTH_PROTO_FRAGMENT = 44,
	BERTH_PROTO_ICMP6 = 58,
	BERTH_PROTO_DEST_OPTIONS = 60,
};

enum {
	BERTH_TCP_FIN = 0x01,
	BERTH_TCP_SYN = 0x02,
	BERTH_TCP_RST = 0x04,
	BERTH_TCP_ACK = 0x10,
};

/* Headers have any alignment: a network header is 2 bytes off. Not in BPF: clang would access packed fields byte by
 * byte, the kernel handles alignment, and none of these structs has padding. */
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

/* The link address at `mac` and the two bytes behind it: the address as an integer to compare. Its lower 16 bits
 * are 0. */
BERTH_INLINE uint64_t berth_link_key(const void *mac)
{
	const uint64_t bytes = ((const struct berth_wire64 *)mac)->raw;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return bytes << 16;
#else
	return bytes >> 16 << 16;
#endif
}

/* A key that no address has. */
#define BERTH_NO_LINK UINT64_C(1)

struct BERTH_WIRE berth_vlan {
	struct berth_be16 tag;
	struct berth_be16 type;
};
BERTH_ASSERT_SIZE(struct berth_vlan, BERTH_VLAN_BYTES);

struct BERTH_WIRE berth_ip4 {
	uint8_t version_ihl;
	uint8_t tos;
	struct berth_be16 length; /* bytes of header and payload */
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
	BERTH_IP4_MORE_FRAGMENTS = 0x2000,
	BERTH_IP4_FRAGMENT_MASK = 0x3fff, /* more fragments, and the offset */
	BERTH_IP4_OFFSET_MASK = 0x1fff,	  /* in units of 8 bytes */
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

/* An extension header; the second byte of a fragment header is reserved. */
struct BERTH_WIRE berth_ip6_ext {
	uint8_t next_header;
	uint8_t length;		    /* in units of 8 bytes, without the first 8 */
	struct berth_be16 fragment; /* in a fragment header: offset and more fragments; in a routing header: type
				       and segments left */
	struct berth_be32 id;	    /* in a fragment header: identification */
};
BERTH_ASSERT_SIZE(struct berth_ip6_ext, 8);

enum {
	BERTH_IP6_MORE_FRAGMENTS = 0x0001,
	BERTH_IP6_OFFSET_MASK = 0xfff8, /* in bytes */
	BERTH_IP6_SEGMENTS_LEFT_MASK = 0x00ff,
};

struct BERTH_WIRE berth_tcp {
	struct berth_be16 sport;
	struct berth_be16 dport;
	struct berth_be32 seq;
	struct berth_be32 ack;
	uint8_t offset; /* upper 4 bits: header length in units of 4 bytes */
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

/* The first 8 bytes of an ICMP or ICMPv6 message. */
struct BERTH_WIRE berth_icmp {
	uint8_t type;
	uint8_t code;
	uint16_t checksum;
	struct berth_be32 rest; /* the MTU of "fragmentation needed" (low half) and "packet too big" */
};
BERTH_ASSERT_SIZE(struct berth_icmp, BERTH_ICMP_BYTES);

enum {
	BERTH_ICMP_UNREACHABLE = 3,
	BERTH_ICMP_FRAGMENTATION_NEEDED = 4, /* a code of UNREACHABLE */
	BERTH_ICMP_TIME_EXCEEDED = 11,
	BERTH_ICMP_PARAMETER_PROBLEM = 12,
	BERTH_ICMP6_UNREACHABLE = 1,
	BERTH_ICMP6_PACKET_TOO_BIG = 2,
	BERTH_ICMP6_TIME_EXCEEDED = 3,
	BERTH_ICMP6_PARAMETER_PROBLEM = 4,
};

/* Traits that few packets have. */
enum berth_trait {
	BERTH_FIRST_FRAGMENT = 1,
	BERTH_LATER_FRAGMENT = 2, /* has no ports */
	BERTH_FRAGMENT = BERTH_FIRST_FRAGMENT | BERTH_LATER_FRAGMENT,
	BERTH_ICMP_ERROR = 4,	/* source, destination and ports are those of the flow that the error is about */
	BERTH_RETURN = 8,	/* mode nat: from a backend to a client; `src` is the backend */
	BERTH_TTL_EXPIRES = 16, /* TTL or hop limit is 0 or 1 */
	BERTH_OPENS_CONNECTION = 32, /* a SYN without ACK or RST: the first packet of a connection */
	BERTH_HAS_PAYLOAD = 64,	     /* TCP: with data */
	BERTH_NOT_INSERTED = 128,    /* over a limit of new flows, or with a second hop: no entry is made */
	/* Steered without the fast path. */
	BERTH_SLOW_PATH = BERTH_LATER_FRAGMENT | BERTH_ICMP_ERROR | BERTH_RETURN | BERTH_TTL_EXPIRES,
};

/* A packet: parse, classify, hash and steer fill it in this order. One memory line. */
struct berth_packet {
	union berth_addr src; /* the client */
	union berth_addr dst; /* the service */
	union {
		uint64_t hash;	   /* of the flow (return traffic: that it answers); of a later fragment: of its
				      datagram */
		uint32_t flow_key; /* from classify to hash: the service's part of the flow hash */
	};
	uint32_t bytes;	  /* of the frame, as received */
	uint32_t length;  /* bytes from the IP header to the end of the packet */
	uint16_t service; /* service number; 0: none */
	uint16_t backend; /* backend number; 0: none */
	struct berth_be16 sport;
	struct berth_be16 dport;
	uint16_t transport; /* offset of the TCP, UDP or ICMP header in the frame */
	uint8_t network;    /* offset of the IP header */
	uint8_t protocol;
	uint8_t tcp_flags;
	uint8_t traffic_class; /* IPv4 TOS or IPv6 traffic class */
	uint8_t is6;
	uint8_t traits; /* enum berth_trait */
};
BERTH_ASSERT_SIZE(struct berth_packet, 64);
_Static_assert(offsetof(struct berth_packet, dport) == offsetof(struct berth_packet, sport) + 2,
	       "hashed as one word");

/*
 * The bytes of a packet. `data` and `end` bound the contiguous ones. Each engine fills it and defines
 * - berth_frame_push(frame, bytes): adds `bytes` in front and updates data and end; returns false and changes
 * nothing if there is no headroom;
 * - berth_frame_trim(frame, bytes): cuts the frame to its first `bytes` (at most the contiguous ones); returns
 * false and changes nothing if it cannot.
 */
struct berth_frame {
	uint8_t *data;
	uint8_t *end;
	void *handle; /* of the engine: an mbuf, an xdp_md, a buffer of a test */
};

/* The frame argument of a step (BERTH_STEP). A global function of BPF can't take packet pointers: it takes the
 * context and reads them from there. After a step that pushes or trims, its caller reads them again. */
#ifdef __bpf__
#define BERTH_HANDLE struct xdp_md
#define BERTH_HANDLE_OF(frame) ((struct xdp_md *)(frame)->handle)
#define BERTH_OPEN(frame, from)                                                                                    \
	struct berth_frame opened_ = {(uint8_t *)(long)(from)->data, (uint8_t *)(long)(from)->data_end, from};     \
	struct berth_frame *const frame = &opened_
#else
#define BERTH_HANDLE struct berth_frame
#define BERTH_HANDLE_OF(frame) (frame)
#define BERTH_OPEN(frame, from) struct berth_frame *const frame = from
#endif

/* A pointer to the `type` at `offset` of the frame; NULL if it is not all inside. */
#define BERTH_AT(frame, type, offset)                                                                              \
	({                                                                                                         \
		type *at_ = (type *)(void *)((frame)->data + (offset));                                            \
		(uint8_t *)(at_ + 1) > (frame)->end ? NULL : at_;                                                  \
	})

/* Whether an address can be a host's own (RFC 1122 section 3.2.1.3, RFC 4291 sections 2.5 and 2.7). */
BERTH_INLINE bool berth_is_host_address(const union berth_addr *addr, bool is6)
{
	uint8_t first = is6 ? addr->byte[0] : addr->byte[12];
	if (!is6)
		return first != 0 && first != 127 && first < 224;
	bool is_low = addr->half[0] == 0 && addr->word[2].raw == 0 && berth_from_be32(addr->word[3]) <= 1;
	return first != 0xff && !is_low;
}

BERTH_INLINE bool berth_has_valid_source(const struct berth_packet *packet)
{
	return berth_is_host_address(&packet->src, packet->is6) && !berth_addr_equal(&packet->src, &packet->dst);
}
