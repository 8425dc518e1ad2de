// SPDX-License-Identifier: BSD-3-Clause
/*
 * Mode nat under libFuzzer, in both directions, with every service that can use it. An input is a frame. A
 * rewritten frame differs only in one address and port, TTL and checksums. Every checksum keeps its error: those of
 * the IP header, of the transport, and of the packet that an ICMP error quotes. An answer has the bytes that the
 * RFCs require.
 */
/* One translation unit, so that one command compiles it and one file lists its dependencies. */
#include "tests/diff/world.c"
#include "tests/fuzz/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	HEADROOM = 48,
};

static struct berth_image image;

static void write_nat_image(void)
{
	struct world_shape shapes[WORLD_SERVICES];
	memcpy(shapes, world_shapes, sizeof(shapes));
	for (uint32_t i = 1; i < WORLD_SERVICES; i++) {
		if (shapes[i].bits || shapes[i].mode == BERTH_MODE_NAT)
			continue;
		shapes[i].mode = BERTH_MODE_NAT;
		shapes[i].outer = world_is6(&shapes[i]) ? 6 : 4;
		shapes[i].source_bits = 0;
		shapes[i].dport = world_is_ranged(&shapes[i]) || i % 2 ? 0 : 8080;
	}
	reset_image(&image, shapes);
}

/* An IP packet of `length` bytes in the frame. */
struct part {
	uint8_t *ip;
	uint8_t *transport; /* NULL in a later fragment */
	uint32_t length;
	uint8_t protocol;
	bool source; /* true: the source is rewritten; false: the destination */
};

static bool has_checksum(const struct part *part)
{
	uint32_t at = wire_checksum_at(part->protocol);
	if (!part->transport || part->transport + at + 2 > part->ip + part->length)
		return false;
	return part->protocol != BERTH_PROTO_UDP || wire_read16(part->transport + at) != 0;
}

/* The errors of the checksums; 0 and 0xffff are the same sum. */
static void sums_of(const struct part *part, uint16_t sums[2])
{
	sums[0] = part->ip[0] >> 4 == 4 ? fixture_checksum(part->ip, (part->ip[0] & 15u) * 4) : 0;
	sums[1] = 0;
	if (has_checksum(part)) {
		uint32_t bytes = (uint32_t)(part->ip + part->length - part->transport);
		sums[1] = wire_checksum(part->ip, part->transport, bytes, part->protocol);
	}
	for (uint32_t i = 0; i < 2; i++)
		sums[i] = sums[i] == UINT16_MAX ? 0 : sums[i];
}

/* Clears the fields that may change. */
static void blank(const struct part *part)
{
	bool is4 = part->ip[0] >> 4 == 4;
	part->ip[is4 ? 8 : 7] = 0;
	if (is4)
		fixture_put16(part->ip + 10, 0);
	uint32_t address = (is4 ? 12u : 8u) + (part->source ? 0 : is4 ? 4 : 16);
	memset(part->ip + address, 0, is4 ? 4 : 16);
	if (has_checksum(part))
		fixture_put16(part->transport + wire_checksum_at(part->protocol), 0);
	if (part->transport && part->protocol != BERTH_PROTO_ICMP && part->protocol != BERTH_PROTO_ICMP6)
		fixture_put16(part->transport + (part->source ? 0 : 2), 0);
}

/* Finds the packet and the packet that it quotes. Returns their number. */
static uint32_t parts_of(struct berth_frame *frame, const struct berth_packet *packet, bool source,
			 struct part parts[2])
{
	uint32_t end = packet->network + packet->length;
	bool is_error = packet->traits & BERTH_ICMP_ERROR;
	parts[0] = (struct part){.ip = frame->data + packet->network,
				 .transport = frame->data + packet->transport,
				 .length = packet->length,
				 .protocol = packet->protocol,
				 .source = source};
	if (packet->traits & BERTH_LATER_FRAGMENT)
		parts[0].transport = NULL;
	if (!is_error)
		return 1;
	parts[0].protocol = packet->is6 ? BERTH_PROTO_ICMP6 : BERTH_PROTO_ICMP;
	struct berth_ip6_headers headers = {.at = packet->transport + 8u, .end = end};
	struct berth_quote quote;
	parts[1] = (struct part){.ip = frame->data + headers.at, .length = end - headers.at, .source = !source};
	need(berth_parse_quote(frame, packet->is6, &quote, &headers) == BERTH_NO_VERDICT);
	parts[1].transport = frame->data + headers.at;
	parts[1].protocol = headers.protocol;
	return 2;
}

/* blank() clears more than changes: the TTL inside an error and the address of its router stay. */
static void check_rewritten(struct fuzz_frame *sent, const struct berth_packet *packet, bool source)
{
	struct part now[2], before[2];
	uint8_t copy[FIXTURE_ROOM];
	need(sent_bytes_added(sent) == 0 && sent_bytes(sent) == sent->bytes);
	memcpy(copy, sent->before, sent->bytes);
	struct berth_frame was = {.data = copy, .end = copy + sent->bytes, .handle = copy};
	uint32_t n = parts_of(&was, packet, source, before);
	need(parts_of(&sent->frame, packet, source, now) == n);
	for (uint32_t i = 0; i < n; i++) {
		uint16_t sums[2], sums_before[2];
		sums_of(&now[i], sums);
		sums_of(&before[i], sums_before);
		need(sums[0] == sums_before[0] && sums[1] == sums_before[1]);
	}
	for (uint32_t i = 0; i < n; i++) {
		blank(&now[i]);
		blank(&before[i]);
	}
	need(memcmp(sent->frame.data + 12, copy + 12, sent->bytes - 12) == 0);
}

static void check(struct fuzz_frame *sent, const struct berth_packet *packet, enum berth_verdict verdict)
{
	bool is_return = verdict == BERTH_VERDICT_RETURNED || verdict == BERTH_VERDICT_RETURNED_PASS;
	const struct berth_backend *backend = fixture_backend_at(&image, packet->backend);
	if (BERTH_VERDICT_CLASS(verdict) == BERTH_CLASS_ANSWER)
		check_answer(&image, sent, verdict);
	else if (is_return ||
		 (BERTH_VERDICT_CLASS(verdict) == BERTH_CLASS_FORWARD && backend->mode == BERTH_MODE_NAT))
		check_rewritten(sent, packet, is_return);
	else if (BERTH_VERDICT_CLASS(verdict) != BERTH_CLASS_FORWARD)
		check_unchanged(sent);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_frame sent;
	struct berth_packet packet;
	uint32_t port;
	if (size > FIXTURE_ROOM || !sent_open(&sent, data, size, HEADROOM))
		return 0;
	write_nat_image();
	/* Of a flow without room, a backend's packet is recognised by selection: so there are packets of flows. */
	for (uint32_t i = 0; size % 2 && i < image.geometry.flow_buckets * BERTH_BUCKET_WORDS; i++)
		image.flows[i / BERTH_BUCKET_WORDS].word[i % BERTH_BUCKET_WORDS] = berth_word_make(
			0x1230000 + i, 1, FIXTURE_NOW, BERTH_STATE_PROVEN);
	const struct berth_view view = berth_image_view(&image, 0, FIXTURE_NOW);
	enum berth_verdict verdict = berth_forward(&view, &sent.frame, &packet, sent.bytes, &port);
	check(&sent, &packet, verdict);
	sent_close(&sent);
	return 0;
}
