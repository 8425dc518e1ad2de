/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames in a plain buffer, for control-plane code that runs functions of dataplane/core on a packet. The frame's
 * handle points to the first byte of the buffer. */
#pragma once

#include "dataplane/core/packet.h"

static inline __attribute__((unused)) bool berth_frame_push(struct berth_frame *frame, uint32_t bytes)
{
	if (frame->data - (uint8_t *)frame->handle < (ptrdiff_t)bytes)
		return false;
	frame->data -= bytes;
	return true;
}

static inline __attribute__((unused)) bool berth_frame_trim(struct berth_frame *frame, uint32_t bytes)
{
	if (frame->end - frame->data < (ptrdiff_t)bytes)
		return false;
	frame->end = frame->data + bytes;
	return true;
}
