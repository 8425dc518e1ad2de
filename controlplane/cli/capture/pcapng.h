/* SPDX-License-Identifier: BSD-3-Clause */
/* Writes pcapng (draft-ietf-opsawg-pcapng): a section, Ethernet interfaces, packets with options, statistics. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum {
	BERTH_PCAPNG_INTERFACES = 32, /* at most; packets of others are written as those of the last one */
	BERTH_PCAPNG_NAME_BYTES = 16,
};

struct berth_pcapng {
	FILE *out;
	uint32_t n;
	char names[BERTH_PCAPNG_INTERFACES][BERTH_PCAPNG_NAME_BYTES];
};

struct berth_pcapng_packet {
	const char *interface;
	uint64_t time_ns; /* since 1970 */
	const uint8_t *bytes;
	uint32_t captured; /* in `bytes` */
	uint32_t length;   /* of the frame */
	uint64_t id;	   /* the same for a packet that arrives and as it leaves */
	bool is_outbound;
	bool has_xdp_action;
	uint64_t xdp_action;
	const char *comment;
};

void berth_pcapng_start(struct berth_pcapng *file, FILE *out);
void berth_pcapng_add(struct berth_pcapng *file, const struct berth_pcapng_packet *packet);
/* The statistics: packets in the file, and those that it lacks. */
void berth_pcapng_end(struct berth_pcapng *file, uint64_t time_ns, uint64_t written, uint64_t missed);
