// SPDX-License-Identifier: BSD-3-Clause
/*
 * All stages of a packet on the host under libFuzzer: parse, classify, steer, rewrite or answer, count. Each table
 * of the image has one bucket. An input is a sequence of records: an event byte, two bytes of length, the frame.
 * The frame ends where its buffer ends, and its headroom begins where the buffer begins.
 */
/* One translation unit, so that one command compiles it and one file lists its dependencies. */
#include "tests/diff/world.c"
#include "tests/fuzz/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	HEADROOM = 72, /* bytes of the largest outer header */
	TIME_EVENTS = 128,
};

static struct berth_image image;
static uint32_t now;

/* Below TIME_EVENTS: seconds pass (powers of two from 64 on). Above: a backend's eligibility changes. */
static void apply_event(uint8_t event)
{
	if (event < TIME_EVENTS)
		now += event < 64 ? event : 1u << (event & 15);
	else
		fixture_set_eligibility(&image, world_backend(1 + (event >> 2 & 31) % (WORLD_SERVICES - 1), 0),
					(uint8_t)((1u << (event & 3)) - 1));
}

static uint64_t verdicts_counted(void)
{
	uint64_t sum = 0;
	for (uint32_t v = BERTH_NO_VERDICT + 1; v < BERTH_VERDICT_COUNT; v++)
		sum += image.workers[0].verdict[v];
	return sum;
}

/* The frame keeps its bytes, and only an outer header is prepended. */
static void check_forwarded(const struct fuzz_frame *sent, uint32_t port)
{
	static const ptrdiff_t headers[] = {0, 20, 28, 40, 48, 72};
	const ptrdiff_t grown = sent_bytes_added(sent);
	uint32_t i = 0;
	while (i < COUNT(headers) && headers[i] != grown)
		i++;
	need(port < WORLD_PORTS && i < COUNT(headers));
	need(sent_bytes(sent) == grown + sent->bytes);
}

static void check(const struct fuzz_frame *sent, enum berth_verdict verdict, uint32_t port)
{
	switch (BERTH_VERDICT_CLASS(verdict)) {
	case BERTH_CLASS_FORWARD:
		check_forwarded(sent, port);
		break;
	case BERTH_CLASS_ANSWER:
		check_answer(&image, sent, verdict);
		break;
	default:
		if (verdict == BERTH_VERDICT_RETURNED_PASS)
			need(sent_bytes_added(sent) == 0 && sent_bytes(sent) == sent->bytes);
		else
			check_unchanged(sent);
		break;
	}
}

static void send_one(const uint8_t *data, size_t bytes, size_t headroom)
{
	struct fuzz_frame sent;
	uint32_t port = UINT32_MAX;
	if (!sent_open(&sent, data, bytes, headroom))
		return;
	const struct berth_view view = berth_image_view(&image, 0, now);
	uint64_t before = verdicts_counted();
	enum berth_verdict verdict = berth_forward(&view, &sent.frame, &(struct berth_packet){0}, sent.bytes,
						   &port);
	need(verdict != BERTH_NO_VERDICT && verdict < BERTH_VERDICT_COUNT && verdict != BERTH_VERDICT_INTERNAL);
	need(verdicts_counted() == before + 1 && image.workers[0].received == before + 1);
	check(&sent, verdict, port);
	sent_close(&sent);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world_shape shapes[WORLD_SERVICES];
	memcpy(shapes, world_shapes, sizeof(shapes));
	for (uint32_t i = 0; i < WORLD_SERVICES; i++)
		if (shapes[i].mode == BERTH_MODE_GUE && shapes[i].protocol == 6) {
			shapes[i].backends = 2;
			shapes[i].rows_changed = true;
		}
	reset_image(&image, shapes);
	image.geometry.flow_buckets = 1;
	image.geometry.session_buckets = 1;
	now = FIXTURE_NOW;
	while (size > 3) {
		size_t bytes = (size_t)data[1] << 8 | data[2];
		apply_event(data[0]);
		data += 3;
		size -= 3;
		if (bytes > size)
			bytes = size;
		send_one(data, bytes, bytes % 16 ? HEADROOM : bytes % 64);
		data += bytes;
		size -= bytes;
	}
	return 0;
}
