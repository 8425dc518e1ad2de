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
	BERTH_IP4_MORE_FRAGMENTS = 0x2000,
	BERTH_IP4_FRAGMENT_MASK = 0x3fff, /* more fragments, and the offset */
	BERTH_IP4_OFFSET_MASK = 0x1fff,	  /* in 8 bytes */
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

/* Any extension header; the fragment header's second byte is reserved. */
struct BERTH_WIRE berth_ip6_ext {
	uint8_t next_header;
	uint8_t length;		    /* in 8 bytes, the first 8 not counted */
	struct berth_be16 fragment; /* in a fragment header: offset and more fragments */
	struct berth_be32 id;	    /* likewise */
};
BERTH_ASSERT_SIZE(struct berth_ip6_ext, 8);

enum {
	BERTH_IP6_MORE_FRAGMENTS = 0x0001,
	BERTH_IP6_OFFSET_MASK = 0xfff8, /* in bytes */
};

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

/* What sets a packet apart from those that nearly all are. */
enum berth_trait {
	BERTH_FIRST_FRAGMENT = 1,
	BERTH_LATER_FRAGMENT = 2, /* has no ports */
	BERTH_FRAGMENT = BERTH_FIRST_FRAGMENT | BERTH_LATER_FRAGMENT,
	BERTH_ICMP_ERROR =
		4,	  /* an ICMP error; source, destination and ports are those of the flow that it is about */
	BERTH_RETURN = 8, /* mode nat: from a backend to a client; `src` is the backend */
	BERTH_TTL_EXPIRES = 16,	     /* TTL or hop limit is 0 or 1 */
	BERTH_OPENS_CONNECTION = 32, /* a SYN without ACK or RST: the first packet of a connection */
	/* What is steered otherwise than by its flow's entry. */
	BERTH_SLOW_PATH = BERTH_LATER_FRAGMENT | BERTH_ICMP_ERROR | BERTH_RETURN | BERTH_TTL_EXPIRES,
};

/* Filled by parse, then by classify, hash and steer. One memory line. */
struct berth_packet {
	union berth_addr src; /* the client */
	union berth_addr dst; /* the service */
	union {
		uint64_t hash;	   /* of the flow; of a later fragment's datagram */
		uint32_t flow_key; /* before that: its service's part in it */
	};
	uint32_t bytes;	  /* of the frame, as received */
	uint32_t length;  /* bytes from the IP header to the packet's end */
	uint16_t service; /* number; 0: none */
	uint16_t backend; /* number; 0: none */
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
 * The frame under a packet. The engine fills it; `data` and `end` bound the contiguous bytes. An engine defines
 * - berth_frame_push(frame, bytes), which puts `bytes` more in front and sets data and end anew; it returns false
 *   and changes nothing where there is no room;
 * - berth_frame_trim(frame, bytes), which cuts the frame to its first `bytes`, at most its contiguous ones, and
 *   returns false and changes nothing where it cannot.
 */
struct berth_frame {
	uint8_t *data;
	uint8_t *end;
	void *handle;	/* the engine's: an mbuf, an xdp_md, a test's buffer */
	bool is_shared; /* others read these bytes too: the frame must not be rewritten */
};

/* What a step (BERTH_STEP) gets of a frame. Global functions of BPF take no pointers to packets, but the context,
 * from which they get them anew; whoever called must do so, too, where a step pushes or trims. */
#ifdef __bpf__
#define BERTH_HANDLE struct xdp_md
#define BERTH_HANDLE_OF(frame) ((struct xdp_md *)(frame)->handle)
#define BERTH_OPEN(frame, from)                                                                                    \
	struct berth_frame opened_ = {(uint8_t *)(long)(from)->data, (uint8_t *)(long)(from)->data_end, from,      \
				      false};                                                                      \
	struct berth_frame *const frame = &opened_
#else
#define BERTH_HANDLE struct berth_frame
#define BERTH_HANDLE_OF(frame) (frame)
#define BERTH_OPEN(frame, from) struct berth_frame *const frame = from
#endif

/* The `size` bytes at `offset` of the frame, or NULL. */
#define BERTH_AT(frame, type, offset)                                                                              \
	({                                                                                                         \
		type *at_ = (type *)(void *)((frame)->data + (offset));                                            \
		(uint8_t *)(at_ + 1) > (frame)->end ? NULL : at_;                                                  \
	})
