/* SPDX-License-Identifier: BSD-3-Clause */
/* The core's stages for benchmarks that send nothing: no frame is ever rewritten. */
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
