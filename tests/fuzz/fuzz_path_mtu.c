// SPDX-License-Identifier: BSD-3-Clause
/*
 * The parser of routers' reports under libFuzzer. The packet ends where its buffer ends, so that the address
 * sanitizer detects reads beyond it. Each packet is parsed as it is, and again with a right checksum.
 */
#include <stdlib.h>

#include "controlplane/path_mtu/parse.h"
#include "tests/support/checksum.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	LINK_BYTES = 14, /* the seeds are frames */
};

static void need(bool holds)
{
	if (!holds)
		abort();
}

static void check(const uint8_t *packet, size_t size)
{
	struct berth_too_big report;
	if (!berth_path_mtu_parse(packet, size, &report))
		return;
	bool is4 = packet[0] >> 4 == 4;
	need(berth_addr_is4(&report.reporter) == is4 || !is4);
	need(berth_addr_is4(&report.source) == is4 || !is4);
	need(berth_addr_is4(&report.destination) == is4 || !is4);
	need(report.protocol == BERTH_PROTO_UDP || report.dport == 0);
	need(size >= (is4 ? 20u + 8 + 20 + 8 : 40u + 8 + 40 + 8));
}

/* The offset of the ICMP header if all of the message is there; 0: it is not. */
static size_t message_of(const uint8_t *packet, size_t size)
{
	size_t header = 40, length;
	if (size < 20)
		return 0;
	if (packet[0] >> 4 == 4) {
		header = (size_t)(packet[0] & 15) * 4;
		length = (size_t)packet[2] << 8 | packet[3];
	} else {
		length = header + ((size_t)packet[4] << 8 | packet[5]);
	}
	return header >= 20 && length <= size && header + 8 <= length ? header : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size <= LINK_BYTES)
		return 0;
	size -= LINK_BYTES;
	uint8_t *packet = malloc(size);
	need(packet);
	memcpy(packet, data + LINK_BYTES, size);
	check(packet, size);
	size_t message = message_of(packet, size);
	if (message) {
		bool is4 = packet[0] >> 4 == 4;
		wire_set_checksum(packet, packet + message, is4 ? BERTH_PROTO_ICMP : BERTH_PROTO_ICMP6);
		check(packet, size);
	}
	free(packet);
	return 0;
}
