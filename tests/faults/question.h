/* SPDX-License-Identifier: BSD-3-Clause */
/* What the generator of flows asks and the responder of a backend answers: a frame with a TCP or UDP header and
 * these bytes. The responder adds its own number and that of the node from which it had the question. */
#pragma once

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/checksum.h"

enum {
	QUESTION_MAGIC = 0x62657274,
	QUESTION_FRAME_MAX = 192,
	QUESTION_BURST = 64,	 /* frames of one system call */
	QUESTION_ROOM = 4 << 20, /* bytes of a socket's queue */
};

/* Packed, as it begins at any byte of a frame. */
struct __attribute__((packed)) question {
	uint32_t magic;
	uint32_t flow;
	uint32_t serial; /* of what has this flow's place now */
	uint32_t number; /* of the question */
	uint8_t backend;
	uint8_t node; /* from 1; 0: not one of the nodes */
	uint8_t zero[2];
};
_Static_assert(sizeof(struct question) == 20, "no padding on the wire");

/* Where the parts of a frame are. */
struct question_frame {
	struct ethhdr *link;
	uint8_t *ip;
	uint8_t *ports; /* TCP or UDP header */
	struct question *question;
	uint32_t length; /* of the frame */
	uint8_t protocol;
	bool is6;
};

static inline uint32_t question_ports_bytes(uint8_t protocol)
{
	return protocol == IPPROTO_TCP ? sizeof(struct tcphdr) : sizeof(struct udphdr);
}

/* Lays out a frame for `protocol` at `bytes`. */
static inline struct question_frame question_layout(uint8_t *bytes, bool is6, uint8_t protocol)
{
	uint8_t *ip = bytes + sizeof(struct ethhdr);
	uint8_t *ports = ip + (is6 ? sizeof(struct ip6_hdr) : sizeof(struct iphdr));
	uint8_t *question = ports + question_ports_bytes(protocol);
	return (struct question_frame){
		.link = (struct ethhdr *)bytes,
		.ip = ip,
		.ports = ports,
		.question = (struct question *)question,
		.length = (uint32_t)(question + sizeof(struct question) - bytes),
		.protocol = protocol,
		.is6 = is6,
	};
}

/* Finds the parts of a received frame; false if it is no question or answer. */
static inline bool question_parse(uint8_t *bytes, uint32_t length, struct question_frame *frame)
{
	if (length < sizeof(struct ethhdr) + sizeof(struct iphdr))
		return false;
	const uint8_t *ip = bytes + sizeof(struct ethhdr);
	bool is6 = ip[0] >> 4 == 6;
	if (!is6 && ip[0] != 0x45)
		return false;
	uint8_t protocol = is6 ? ip[6] : ip[9];
	if (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP)
		return false;
	*frame = question_layout(bytes, is6, protocol);
	if (length < frame->length || wire_length(ip) != frame->length - sizeof(struct ethhdr))
		return false;
	uint32_t magic;
	memcpy(&magic, frame->question, sizeof(magic));
	return magic == QUESTION_MAGIC;
}

/* Writes the checksums of a frame whose other fields are complete. */
static inline void question_finish(const struct question_frame *frame)
{
	if (!frame->is6) {
		fixture_put16(frame->ip + 10, 0);
		fixture_put16(frame->ip + 10, fixture_checksum(frame->ip, sizeof(struct iphdr)));
	}
	wire_set_checksum(frame->ip, frame->ports, frame->protocol);
}

static inline void question_die(const char *what)
{
	perror(what);
	exit(1);
}

/* A socket for the frames of an interface of this network namespace. */
static inline int question_socket(const char *interface)
{
	struct sockaddr_ll at = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)if_nametoindex(interface),
	};
	int room = QUESTION_ROOM;
	int one = 1;
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room)) ||
	    setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)) ||
	    bind(fd, (struct sockaddr *)&at, sizeof(at)))
		question_die(interface);
	return fd;
}
