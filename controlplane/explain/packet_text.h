/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Packets as an operator writes them: "tcp 198.51.100.7:4242 -> 203.0.113.10:80 syn", or the bytes of a frame in
 * hexadecimal. Pure.
 */
#pragma once

#include "controlplane/util/error.h"
#include "dataplane/core/packet.h"

enum {
	BERTH_TEXT_FRAME_BYTES = BERTH_ETH_BYTES + BERTH_IP6_BYTES +
				 BERTH_TCP_BYTES, /* the longest that is built */
};

struct berth_packet_text {
	uint8_t protocol;  /* TCP, UDP, or ICMP of either family: an echo request */
	uint8_t tcp_flags; /* 0: not given */
	uint16_t sport, dport;
	union berth_addr src, dst; /* of one family */
};

/* 0, or -EINVAL with one line in `error`. */
int berth_packet_text_parse(struct berth_packet_text *packet, const char *text, char error[BERTH_ERROR_BYTES]);
/* A frame to this link address, without payload. Checksums of TCP and UDP are 0. Returns its bytes. */
uint32_t berth_packet_text_build(const struct berth_packet_text *packet, const uint8_t link[6],
				 uint8_t frame[BERTH_TEXT_FRAME_BYTES]);

/* Whether it is hexadecimal: digits, and spaces, colons and line ends between bytes. */
bool berth_packet_text_is_hex(const char *text);
/* Returns the bytes of the frame, or -EINVAL or -EMSGSIZE with one line in `error`. */
int berth_packet_text_parse_hex(const char *text, uint8_t *frame, size_t room, char error[BERTH_ERROR_BYTES]);
