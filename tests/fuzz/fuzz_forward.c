// SPDX-License-Identifier: BSD-3-Clause
/*
 * The whole way of a packet on the host under libFuzzer: parse, classify, steer, encapsulate, count, on an image of
 * one bucket a table. An input is a sequence of records: a byte that says what happens before the frame, two bytes
 * of its length, the frame. The frame ends where its memory does, and its headroom begins there.
 */
/* As one file, so that one compilation, and one file of dependencies, has it all. */
#include "tests/diff/world.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	HEADROOM = 40, /* what the largest outer header takes */
	LATER_AT_MOST = 128,
};

static struct berth_image image;
static uint32_t now;

static void need(bool holds)
{
	if (!holds)
		abort();
}

/* Under 128: so many seconds pass (powers of two from 64 on). From there: a backend's admissions change. */
static void happen(uint8_t event)
{
	if (event < LATER_AT_MOST)
		now += event < 64 ? event : 1u << (event & 15);
	else
		fixture_admit(&image, world_backend(1 + (event >> 3 & 15) % (WORLD_SERVICES - 1), 0),
			      (uint8_t)((1u << (event & 3)) - 1));
}

static uint64_t counted(void)
{
	uint64_t sum = 0;
	for (uint32_t v = BERTH_NO_VERDICT + 1; v < BERTH_VERDICT_COUNT; v++)
		sum += image.workers[0].verdict[v];
	return sum;
}

static void send_one(const uint8_t *data, size_t bytes, size_t headroom)
{
	uint8_t *room = malloc(headroom + bytes + !(headroom + bytes));
	uint32_t port = UINT32_MAX;
	if (!room)
		return;
	memcpy(room + headroom, data, bytes);
	struct berth_frame frame = {.data = room + headroom, .end = room + headroom + bytes, .handle = room};
	const struct berth_view view = berth_image_view(&image, 0, now);
	uint64_t before = counted();
	enum berth_verdict verdict = berth_forward(&view, &frame, (uint32_t)bytes, &port);
	ptrdiff_t grown = room + headroom - frame.data;
	need(verdict != BERTH_NO_VERDICT && verdict < BERTH_VERDICT_COUNT && verdict != BERTH_VERDICT_INTERNAL);
	need(counted() == before + 1 && image.workers[0].received == before + 1);
	if (BERTH_VERDICT_CLASS(verdict) == BERTH_CLASS_FORWARD)
		need(port < WORLD_PORTS && (grown == 0 || grown == 20 || grown == 40));
	else
		need(grown == 0 && memcmp(frame.data, data, bytes) == 0);
	free(room);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct berth_geometry geometry = world_geometry;
	geometry.workers = 1;
	if (!image.ctl)
		fixture_new(&image, &geometry);
	image.geometry.flow_buckets = 1;
	image.geometry.session_buckets = 1;
	world_lay_out(&image, world_shapes);
	now = FIXTURE_NOW;
	while (size > 3) {
		size_t bytes = (size_t)data[1] << 8 | data[2];
		happen(data[0]);
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
