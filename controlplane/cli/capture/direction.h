/* SPDX-License-Identifier: BSD-3-Clause */
/* Which packets of a pcapng file were sent: libpcap does not read the flags of a packet. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum {
	BERTH_DIRECTION_BLOCK = 16384, /* bytes of a block that are looked at: a frame, its comment, its flags */
};

/* How far a file has been read. */
struct berth_direction {
	FILE *in;
	bool is_pcapng;	  /* so far */
	bool has_section; /* its first block */
	bool is_swapped;  /* the section has the other byte order */
	bool is_sent;	  /* the last whole block: a packet with the flag "outbound" */
	uint32_t length;  /* of the current block; 0: not known yet */
	uint32_t n;	  /* bytes of it that have been read */
	uint8_t block[BERTH_DIRECTION_BLOCK];
};

/*
 * A stream with the bytes of `in`, which it closes with itself unless that is stdin. It reads no further than its
 * reader: after pcap_next_ex(), `is_sent` is that of the packet. NULL: out of memory; `in` stays open.
 */
FILE *berth_direction_open(struct berth_direction *direction, FILE *in);
