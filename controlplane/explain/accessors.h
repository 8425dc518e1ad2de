/* SPDX-License-Identifier: BSD-3-Clause */
/* The accessors of the core over an overlay, in place of core/image.h. Before core/stages.h. */
#pragma once

#include "controlplane/explain/overlay.h"
#include "dataplane/core/atomic.h"

#define BERTH_HAVE_ACCESSORS 1

#define X(name, type, count)                                                                                       \
	static inline __attribute__((unused)) type *berth_at_##name(const struct berth_view *view, uint32_t index) \
	{                                                                                                          \
		return berth_overlay_at((struct berth_overlay *)(uintptr_t)view->image, BERTH_OVERLAY_##name,      \
					index);                                                                    \
	}
BERTH_SECTIONS(X)
BERTH_FORMER_SECTIONS(X)
#undef X

static inline __attribute__((unused)) uint64_t berth_now_ns(const struct berth_view *view)
{
	return view->now_ns;
}

static inline __attribute__((unused)) uint64_t berth_precise_ns(const struct berth_view *view)
{
	return view->now_ns;
}
