/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A live image of which each element is copied when the core first asks for it, so that whatever the core writes
 * changes nothing.
 */
#pragma once

#include "dataplane/core/abi.h"

struct berth_overlay;

enum berth_overlay_section {
#define X(name, type, count) BERTH_OVERLAY_##name,
	BERTH_SECTIONS(X) BERTH_FORMER_SECTIONS(X)
#undef X
};

/* Of this live image. NULL: out of memory. */
struct berth_overlay *berth_overlay_new(const struct berth_image *image);
void berth_overlay_free(struct berth_overlay *overlay);
/* A view over the copies, for a packet that arrives at a port now. */
struct berth_view berth_overlay_view(struct berth_overlay *overlay, uint32_t port);
/* The copy of an element. NULL: behind the last, or out of memory. */
void *berth_overlay_at(struct berth_overlay *overlay, enum berth_overlay_section section, uint32_t index);
