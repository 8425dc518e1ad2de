/* SPDX-License-Identifier: BSD-3-Clause */
/* The stages of the core for benchmarks that send no frame: no header is added. */
#pragma once

#include "dataplane/core/image.h"
#include "dataplane/core/packet.h"

static inline bool berth_frame_push(struct berth_frame *frame, uint32_t bytes)
{
	(void)frame;
	(void)bytes;
	return false;
}

static inline bool berth_frame_trim(struct berth_frame *frame, uint32_t bytes)
{
	(void)frame;
	(void)bytes;
	return false;
}

#include "dataplane/core/stages.h"

/* Steers a hashed packet, without sending it. */
static inline enum berth_verdict bench_steer(const struct berth_view *view, struct berth_packet *packet)
{
	struct berth_steering steering = berth_steered(BERTH_NO_VERDICT);
	struct berth_entry entry;
	berth_steer(view, packet, &steering, &entry, 1);
	return berth_steer_finish(view, packet, steering, &entry);
}
