/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/*
 * The clock of the tables: CLOCK_MONOTONIC in whole seconds, for workers, sweeps and berthd. It follows no change
 * of the host's time, and it stands still while the host is suspended.
 *
 * A word's age is a time modulo 36 hours, so an expired word that no sweep clears would come alive again.
 * A complete sweep leaves no word older than BERTH_MAX_TIMEOUT. For BERTH_MAX_UNSWEPT_S after it began, each age is
 * exact. Then the clock stops, until the next one is complete: no entry expires meanwhile, and none comes alive.
 * Engines sweep by themselves (sweep.h), so it stops only where no engine runs.
 */
#pragma once

#include "atomic.h"
#include "word.h"

enum {
	/* Ages above BERTH_SEEN_MASK - BERTH_SEEN_AHEAD are those of words ahead of their reader's clock. */
	BERTH_MAX_UNSWEPT_S = BERTH_SEEN_MASK - BERTH_SEEN_AHEAD - BERTH_MAX_TIMEOUT,
};
_Static_assert(BERTH_MAX_UNSWEPT_S > 4 * BERTH_SWEEP_AFTER_S, "a sweep begins in time, and can take hours");

/* The time of the tables at `monotonic` seconds of CLOCK_MONOTONIC. */
BERTH_INLINE uint32_t berth_clock_now(const struct berth_ctl *ctl, uint32_t monotonic)
{
	const uint32_t swept = BERTH_LOAD(&ctl->swept);
	const bool is_late = swept && (int32_t)(monotonic - swept) > BERTH_MAX_UNSWEPT_S;
	return BERTH_UNLIKELY(is_late) ? swept + BERTH_MAX_UNSWEPT_S : monotonic;
}

/* A sweep that began at `began` is complete. It may have taken longer than a later one. */
BERTH_INLINE void berth_clock_swept(struct berth_ctl *ctl, uint32_t began)
{
	const uint32_t swept = BERTH_LOAD(&ctl->swept);
	if (!swept || (int32_t)(began - swept) > 0)
		BERTH_STORE(&ctl->swept, began ? began : 1);
}
