/* SPDX-License-Identifier: BSD-3-Clause */
/* The core's frame hooks for a host: the whole frame is in one buffer, and its handle is the buffer's first byte.
 */
#pragma once

#include "dataplane/core/image.h"
#include "dataplane/core/packet.h"

static inline bool berth_frame_push(struct berth_frame *frame, uint32_t bytes)
{
	if (frame->data - (uint8_t *)frame->handle < (ptrdiff_t)bytes)
		return false;
	frame->data -= bytes;
	return true;
}

static inline bool berth_frame_trim(struct berth_frame *frame, uint32_t bytes)
{
	if (frame->end - frame->data < (ptrdiff_t)bytes)
		return false;
	frame->end = frame->data + bytes;
	return true;
}

/* After the hooks: the stages call them. */
#include "dataplane/core/stages.h"
