/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/*
 * The image as BPF maps: one mmapable array per section of core/abi.h, with the section's name. berthd sets
 * max_entries from the geometry before it loads the program, and maps the arrays into its memory. Stores of an
 * earlier image are used as they are.
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "dataplane/core/abi.h"

#define BERTH_HAVE_ACCESSORS 1

#define X(section, element, count)                                                                                 \
	struct {                                                                                                   \
		__uint(type, BPF_MAP_TYPE_ARRAY);                                                                  \
		__uint(map_flags, BPF_F_MMAPABLE);                                                                 \
		__uint(max_entries, 1);                                                                            \
		__type(key, __u32);                                                                                \
		__type(value, element);                                                                            \
	} section SEC(".maps");                                                                                    \
	BERTH_INLINE element *berth_at_##section(const struct berth_view *view, uint32_t index)                    \
	{                                                                                                          \
		(void)view;                                                                                        \
		return bpf_map_lookup_elem(&section, &index);                                                      \
	}
BERTH_SECTIONS(X)
BERTH_FORMER_SECTIONS(X)
#undef X

/* The time for limits of new flows: CLOCK_MONOTONIC in nanoseconds, at most 100 ms late. */
BERTH_INLINE uint64_t berth_now_ns(const struct berth_view *view)
{
	const struct berth_ctl *ctl = berth_at_ctl(view, 0);
	return ctl ? *(const volatile uint64_t *)&ctl->now_ns : 0;
}

/* The same without delay; for few packets, since it costs a call. */
BERTH_INLINE uint64_t berth_precise_ns(const struct berth_view *view)
{
	(void)view;
	return bpf_ktime_get_ns();
}
