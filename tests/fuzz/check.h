/* SPDX-License-Identifier: BSD-3-Clause */
/* Checks that the fuzzers of the packet path make on every packet. */
#pragma once

#include "tests/diff/world.h"
#include "tests/support/icmp.h"
#include "tests/support/image.h"

static inline void need(bool holds)
{
	if (!holds)
		abort();
}

/* Resets an image to the state of the first call, from a copy. One worker. */
static inline void reset_image(struct berth_image *image, const struct world_shape shapes[WORLD_SERVICES])
{
	static void *first;
	struct berth_geometry geometry = world_geometry;
	geometry.workers = 1;
	const uint64_t bytes = berth_image_bytes(&geometry);
	if (!first) {
		fixture_new(image, &geometry);
		world_write_image(image, shapes);
		first = malloc(bytes);
		need(first);
		memcpy(first, image->ctl, bytes);
	}
	memcpy(image->ctl, first, bytes);
}

/* A frame at the end of its buffer, so that the address sanitizer detects reads beyond it, and a copy of it. */
struct fuzz_frame {
	uint8_t *room;
	size_t headroom;
	const uint8_t *before;
	uint32_t bytes;
	struct berth_frame frame;
};

static inline bool sent_open(struct fuzz_frame *sent, const uint8_t *data, size_t bytes, size_t headroom)
{
	*sent = (struct fuzz_frame){.room = malloc(headroom + bytes + !(headroom + bytes)),
				    .headroom = headroom,
				    .before = data,
				    .bytes = (uint32_t)bytes};
	if (!sent->room)
		return false;
	uint8_t *at = sent->room + headroom;
	memcpy(at, data, bytes);
	sent->frame = (struct berth_frame){.data = at, .end = at + bytes, .handle = sent->room};
	return true;
}

static inline void sent_close(struct fuzz_frame *sent)
{
	free(sent->room);
}

/* Bytes that were prepended. */
static inline ptrdiff_t sent_bytes_added(const struct fuzz_frame *sent)
{
	return sent->room + sent->headroom - sent->frame.data;
}

/* Length of the frame in bytes. */
static inline ptrdiff_t sent_bytes(const struct fuzz_frame *sent)
{
	return sent->frame.end - sent->frame.data;
}

static inline void check_unchanged(const struct fuzz_frame *sent)
{
	need(sent_bytes_added(sent) == 0 && sent_bytes(sent) == sent->bytes);
	need(memcmp(sent->frame.data, sent->before, sent->bytes) == 0);
}

static inline bool is_service_address(const struct berth_image *image, const union berth_addr *addr)
{
	for (uint32_t i = 1; i < image->geometry.services; i++) {
		const struct berth_service *service =
			&image->services[image->geometry.services * FIXTURE_GENERATION + i];
		if (service->id && berth_addr_equal(&service->address, addr))
			return true;
	}
	return false;
}

/* Compares an answer with the bytes that the RFCs require. Its source is the packet's destination, or a service's
 * address (mode nat); any MTU below the packet's length is accepted. */
static inline void check_answer(const struct berth_image *image, const struct fuzz_frame *sent,
				enum berth_verdict verdict)
{
	uint8_t expected[2048];
	uint32_t network = 14;
	while (wire_read16(sent->before + network - 2) != 0x0800 &&
	       wire_read16(sent->before + network - 2) != 0x86dd)
		network += 4;
	const uint8_t *now = sent->frame.data + network, *ip = sent->before + network;
	bool is4 = ip[0] >> 4 == 4, is_too_big = verdict == BERTH_VERDICT_ANSWERED_TOO_BIG;
	union berth_addr from = fixture_addr("0.0.0.0"), to = from;
	memcpy(&from.byte[is4 ? 12 : 0], now + (is4 ? 12 : 8), is4 ? 4 : 16);
	memcpy(&to.byte[is4 ? 12 : 0], ip + (is4 ? 16 : 24), is4 ? 4 : 16);
	need(berth_addr_equal(&from, &to) || is_service_address(image, &from));
	uint32_t mtu = wire_read16(now + (is4 ? 26 : 46));
	need((mtu != 0) == is_too_big && (!mtu || mtu < wire_length(ip)));
	uint32_t bytes = wire_icmp_answer(expected, sent->before, network, sent->bytes - network, &from, mtu);
	need(sent_bytes_added(sent) == (is4 ? 28 : 48) && sent_bytes(sent) == bytes);
	need(memcmp(sent->frame.data, expected, bytes) == 0);
}
