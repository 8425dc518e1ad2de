/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/*
 * Mode nat: the time from the SYN of a new flow to the SYN-ACK of its backend, for a sample of the flows of a
 * backend with BERTH_BACKEND_TIMED. berthd makes averages of it (scheduler response-time).
 *
 * - The secret hash decides which flows are in the sample, so a client cannot.
 * - Only a flow without an entry begins a time. Each other SYN of the flow ends it without one: nothing tells which
 * of the two a SYN-ACK answers (Karn's algorithm, RFC 6298 section 3), and the time between them is the client's.
 * - A SYN stays for BERTH_TIMING_US, and later ones find no room meanwhile, so the sample does not prefer fast
 * answers. A flood of SYNs that the backend does not answer takes the room of other flows of this backend alone.
 * Without times of one backend the checks' times count for all of its service.
 * - What takes longer counts nothing: a client has sent its next SYN by then.
 */
#pragma once

#include "count.h"

enum {
	BERTH_TIMING_ONE_IN = 32,     /* new flows; a power of two. With 8, new flows cost 5% more */
	BERTH_TIMING_AHEAD_US = 1000, /* of another worker's clock: more than a burst takes */
};

/* The time, at most a burst late. Low 32 bits of microseconds. */
BERTH_INLINE uint32_t berth_timing_now(const struct berth_view *view)
{
	return (uint32_t)(berth_precise_ns(view) / 1000);
}

BERTH_INLINE bool berth_timing_is_sampled(uint64_t hash)
{
	return !(hash & (BERTH_TIMING_ONE_IN - 1));
}

/* Not 0. */
BERTH_INLINE uint32_t berth_timing_tag(uint64_t hash)
{
	return (uint32_t)(hash >> 32) | 1;
}

/* Whether a SYN still waits for its answer. If its time is after `now`, another worker wrote it, whose clock is
 * ahead: it does not wait. */
BERTH_INLINE bool berth_timing_waits(uint64_t syn, uint32_t now)
{
	return syn && now - (uint32_t)syn < BERTH_TIMING_US;
}

/* Whether its place is taken, also by a SYN that is a little later than `now`. */
BERTH_INLINE bool berth_timing_is_taken(uint64_t syn, uint32_t now)
{
	return syn && now - (uint32_t)syn + BERTH_TIMING_AHEAD_US < BERTH_TIMING_US + BERTH_TIMING_AHEAD_US;
}

/* Ends the time of the flow with this tag. Returns its SYN; 0: it has none. */
BERTH_INLINE uint64_t berth_timing_take(struct berth_timing_line *line, uint32_t tag)
{
	for (uint32_t i = 0; i < BERTH_TIMING_SYNS; i++) {
		const uint64_t syn = BERTH_LOAD(&line->syn[i]);
		if (syn >> 32 == tag)
			return berth_swap(&line->syn[i], syn, 0) ? syn : 0;
	}
	return 0;
}

BERTH_INLINE struct berth_timing_line *berth_timing_line_of(const struct berth_view *view, uint32_t backend)
{
	return backend < view->backends ? berth_at_timings(view, backend) : NULL;
}

/* A flow without an entry begins, and its SYN goes to `backend`. Always 0. */
BERTH_RARE_STEP int berth_timing_begin(const struct berth_view *view, uint64_t hash, uint32_t backend)
{
	struct berth_timing_line *line = BERTH_IS_SET(view) ? berth_timing_line_of(view, backend) : NULL;
	if (!line)
		return 0;
	const uint32_t now = berth_timing_now(view);
	const uint64_t next = (uint64_t)berth_timing_tag(hash) << 32 | now;
	/* Its entry was lost since an earlier SYN. */
	if (berth_timing_waits(berth_timing_take(line, berth_timing_tag(hash)), now))
		return 0;
	for (uint32_t i = 0; i < BERTH_TIMING_SYNS; i++) {
		const uint64_t syn = BERTH_LOAD(&line->syn[i]);
		if (!berth_timing_is_taken(syn, now)) {
			berth_swap(&line->syn[i], syn, next);
			return 0;
		}
	}
	return 0;
}

/* Another SYN of a flow that has an entry. Always 0. */
BERTH_RARE_STEP int berth_timing_void(const struct berth_view *view, uint64_t hash, uint32_t backend)
{
	struct berth_timing_line *line = BERTH_IS_SET(view) ? berth_timing_line_of(view, backend) : NULL;
	if (line)
		berth_timing_take(line, berth_timing_tag(hash));
	return 0;
}

/* The backend has answered the SYN of a flow. Always 0. */
BERTH_RARE_STEP int berth_timing_end(const struct berth_view *view, uint64_t hash, uint32_t backend)
{
	struct berth_timing_line *line = BERTH_IS_SET(view) ? berth_timing_line_of(view, backend) : NULL;
	const uint64_t syn = line ? berth_timing_take(line, berth_timing_tag(hash)) : 0;
	const uint32_t now = berth_timing_now(view);
	if (line && berth_timing_waits(syn, now))
		__sync_fetch_and_add(&line->totals, (UINT64_C(1) << BERTH_TIMING_SUM_BITS) + (now - (uint32_t)syn));
	return 0;
}

/* Whether a packet that opens a connection, or answers it, is of a flow in the sample. */
BERTH_INLINE bool berth_timing_applies(const struct berth_view *view, const struct berth_packet *packet,
				       uint32_t number)
{
	const struct berth_backend *backend = berth_backend_of(view, number);
	return backend && BERTH_UNLIKELY(backend->flags & BERTH_BACKEND_TIMED) &&
	       berth_timing_is_sampled(packet->hash);
}
