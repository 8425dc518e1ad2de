// SPDX-License-Identifier: BSD-3-Clause
/* The core, compiled for the host. */
#include "tests/diff/engine.h"
#include "tests/support/image.h"

static void run(struct engine *engine, const struct sent *sent, struct engine_outcome *outcome)
{
	static uint8_t room[FIXTURE_HEADROOM + FIXTURE_ROOM];
	uint8_t *data = room + FIXTURE_HEADROOM;
	uint32_t first = sent->first ? sent->first : sent->bytes;
	struct berth_frame frame = {.data = data, .end = data + first, .handle = room};
	const struct berth_view view = berth_image_view(&engine->image, engine_worker, sent->now);
	uint32_t port = 0;
	memcpy(data, sent->frame, sent->bytes);
	enum berth_verdict verdict = berth_forward(&view, &frame, &(struct berth_packet){0}, sent->bytes, &port);
	outcome->class = BERTH_VERDICT_CLASS(verdict);
	outcome->port = outcome->class == BERTH_CLASS_FORWARD ? port : 0;
	/* An answer ends with the first buffer; other frames leave with the rest behind it. */
	const uint8_t *end = outcome->class == BERTH_CLASS_ANSWER ? frame.end : data + sent->bytes;
	outcome->bytes = (uint32_t)(end - frame.data);
	memcpy(outcome->frame, frame.data, outcome->bytes);
}

static void close_host(struct engine *engine)
{
	fixture_free(&engine->image);
}

void engine_host_open(struct engine *engine, const struct berth_geometry *geometry)
{
	*engine = (struct engine){
		.name = "host core",
		.takes_chains = true,
		.longest = FIXTURE_ROOM - FIXTURE_HEADROOM,
		.run = run,
		.close = close_host,
	};
	fixture_new(&engine->image, geometry);
}
