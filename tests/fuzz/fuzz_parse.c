// SPDX-License-Identifier: BSD-3-Clause
/*
 * The parser under libFuzzer. The frame ends where its memory does, so that the address sanitizer sees every read
 * past it; each is parsed whole, and once more as the first half of a chain of buffers.
 */
#include "tests/unit/fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool holds)
{
	if (!holds)
		abort();
}

/* What steering and rewriting rely on in a packet that has no verdict. */
static void check(const struct berth_packet *packet, enum berth_verdict verdict, uint32_t first, uint32_t bytes)
{
	need(verdict < BERTH_VERDICT_COUNT && BERTH_VERDICT_CLASS(verdict) <= BERTH_CLASS_DROP);
	need(packet->bytes == bytes);
	if (verdict != BERTH_NO_VERDICT)
		return;
	need(packet->network >= 14 && packet->network <= 22);
	need(packet->length >= 20 && packet->network + packet->length <= bytes);
	need(packet->network + (packet->is6 ? 40u : 20u) <= first);
	need(packet->is_fragment || packet->protocol == BERTH_PROTO_TCP || packet->protocol == BERTH_PROTO_UDP);
	need(!packet->is_fragment || (packet->transport == 0 && packet->sport.raw == 0 && packet->dport.raw == 0));
	if (packet->is_fragment)
		return;
	uint32_t header = packet->protocol == BERTH_PROTO_TCP ? 20 : 8;
	need(packet->transport + header <= first);
	need(packet->transport + header <= packet->network + packet->length);
}

/* Parses the first `first` bytes of a frame of `bytes`. */
static void parse(const uint8_t *data, size_t first, size_t bytes)
{
	uint8_t *copy = malloc(first ? first : 1);
	struct berth_packet packet;
	if (!copy)
		return;
	memcpy(copy, data, first);
	struct berth_frame frame = {.data = copy, .end = copy + first, .handle = copy};
	check(&packet, berth_parse(&frame, &packet, (uint32_t)bytes), (uint32_t)first, (uint32_t)bytes);
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	parse(data, size, size);
	parse(data, size / 2, size);
	return 0;
}
