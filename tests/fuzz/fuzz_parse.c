// SPDX-License-Identifier: BSD-3-Clause
/*
 * The parser under libFuzzer. The frame ends where its buffer ends, so that the address sanitizer detects reads
 * beyond it. Each frame is parsed whole, and again with only its first half in the first buffer.
 */
#include "tests/support/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool holds)
{
	if (!holds)
		abort();
}

/* Checks the fields of the IP header; `first` bytes of the frame are in the first buffer. */
static void check_network(const struct berth_packet *packet, uint32_t first)
{
	need(packet->network >= 14 && packet->network <= 22);
	need(packet->network + (packet->is6 ? 40u : 20u) <= first);
	need(packet->length >= (packet->is6 ? 40 : 20) && packet->network + packet->length <= packet->bytes);
	need(berth_addr_is4(&packet->dst) == !packet->is6);
	need(packet->traits & BERTH_ICMP_ERROR || berth_addr_is4(&packet->src) == !packet->is6);
}

/* A later fragment has no ports and a protocol that a service may have; other packets have headers with ports. */
static void check_transport(const struct berth_packet *packet, uint32_t first)
{
	const bool is_error = packet->traits & BERTH_ICMP_ERROR;
	const bool has_ports = packet->protocol == BERTH_PROTO_TCP || packet->protocol == BERTH_PROTO_UDP;
	uint32_t header = packet->protocol == BERTH_PROTO_TCP ? 20 : 8;
	need(packet->transport <= BERTH_MAX_L4_OFFSET);
	if (packet->traits & BERTH_LATER_FRAGMENT) {
		need(packet->sport.raw == 0 && packet->dport.raw == 0 && packet->tcp_flags == 0);
		need(has_ports || (packet->is6 && berth_is_ip6_ext(packet->protocol)));
		return;
	}
	if (is_error) /* ICMP header, quoted IP header and 8 bytes */
		header = 8 + (packet->is6 ? 40 : 20) + 8;
	need(has_ports && (packet->protocol == BERTH_PROTO_TCP || packet->tcp_flags == 0));
	need(!is_error || packet->tcp_flags == 0);
	const bool opens = (packet->tcp_flags & (BERTH_TCP_SYN | BERTH_TCP_ACK | BERTH_TCP_RST)) == BERTH_TCP_SYN;
	need(opens == !!(packet->traits & BERTH_OPENS_CONNECTION));
	const bool has_payload = packet->traits & BERTH_HAS_PAYLOAD;
	const uint32_t behind = packet->network + packet->length - packet->transport;
	need(!has_payload || (!is_error && packet->protocol == BERTH_PROTO_TCP && behind > BERTH_TCP_BYTES));
	need(packet->transport >= packet->network + (packet->is6 ? 40 : 20));
	need(packet->transport + header <= first);
	need(packet->transport + header <= packet->network + packet->length);
}

/* Checks the invariants on which steering and rewriting rely. */
static void check(const struct berth_packet *packet, enum berth_verdict verdict, uint32_t first, uint32_t bytes)
{
	const uint32_t of_parse = BERTH_FRAGMENT | BERTH_ICMP_ERROR | BERTH_TTL_EXPIRES | BERTH_OPENS_CONNECTION |
				  BERTH_HAS_PAYLOAD;
	need(verdict == BERTH_NO_VERDICT || verdict == BERTH_VERDICT_NOT_IP ||
	     verdict == BERTH_VERDICT_NOT_TCP_UDP || verdict == BERTH_VERDICT_ROUTING_HEADER ||
	     (verdict >= BERTH_VERDICT_BAD_FRAME && verdict <= BERTH_VERDICT_BAD_ICMP));
	need(packet->bytes == bytes && packet->hash == 0 && packet->service == 0 && packet->backend == 0);
	/* A packet with a length has addresses, even if it is invalid. */
	need(verdict != BERTH_NO_VERDICT || packet->length != 0);
	if (packet->length == 0)
		return;
	check_network(packet, first);
	need(!(packet->traits & ~of_parse) && (packet->traits & BERTH_FRAGMENT) != BERTH_FRAGMENT);
	need(!(packet->traits & BERTH_ICMP_ERROR && packet->traits & BERTH_FRAGMENT));
	if (verdict == BERTH_NO_VERDICT)
		check_transport(packet, first);
}

/* Parses a frame of `bytes` bytes with the first `first` of them in the first buffer. */
static void parse(const uint8_t *data, size_t first, size_t bytes)
{
	uint8_t *copy = malloc(first ? first : 1);
	struct berth_packet packet;
	if (!copy)
		return;
	memcpy(copy, data, first);
	struct berth_frame frame = {.data = copy, .end = copy + first, .handle = copy};
	memset(&packet, 0xff, sizeof(packet));
	check(&packet, berth_parse(&frame, &packet, (uint32_t)bytes), (uint32_t)first, (uint32_t)bytes);
	need(memcmp(copy, data, first) == 0);
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	parse(data, size, size);
	parse(data, size / 2, size);
	return 0;
}
