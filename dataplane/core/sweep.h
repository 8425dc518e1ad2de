/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/*
 * The sweep: clears expired words, and those of removed backends. berthd's scan does it while berthd runs. Without
 * it the engine sweeps: a worker of the DPDK engine between bursts, a timer of the XDP engine; some buckets at a
 * time, and with or without packets. clock.h has the reason.
 */
#pragma once

#include "clock.h"
#include "former.h"
#include "session.h"

enum berth_sweep_part {
	/* The former tables first: what moves into the tables meanwhile is swept there. */
	BERTH_SWEEP_FORMER_FLOWS,
	BERTH_SWEEP_FORMER_SESSIONS,
	BERTH_SWEEP_FLOWS,
	BERTH_SWEEP_SESSIONS,
	BERTH_SWEEP_PARTS,
};

/* How far a sweep is. Zeros: at its start. Written by the sweeper alone. */
struct berth_sweep {
	uint32_t part;	 /* enum berth_sweep_part */
	uint32_t bucket; /* the next one of the part */
	uint32_t began;	 /* time of the tables */
	uint32_t pad;
};
BERTH_ASSERT_SIZE(struct berth_sweep, 16);

/* What a word becomes in a sweep: 0 if it expired or its backend was removed. A pinned session starts a new
 * timeout: as an expired entry of a full bucket it could be a victim. `client`: of a session; NULL: a flow. */
BERTH_INLINE uint64_t berth_sweep_word(const struct berth_view *view, uint64_t word,
				       const struct berth_client *client)
{
	const struct berth_backend *backend = berth_backend_of(view, berth_word_backend(word));
	const struct berth_service *service = backend && backend->id ? berth_service_of(view, backend->service)
								     : NULL;
	if (!service)
		return 0;
	if (!berth_word_is_expired(word, view->now, service))
		return word;
	return berth_pinned_backend(client, berth_word_tag(word))
		       ? berth_word_touch(word, view->now, BERTH_STATE_SESSION)
		       : 0;
}

BERTH_INLINE struct berth_bucket *berth_sweep_bucket_at(const struct berth_view *view, uint32_t part,
							uint32_t index)
{
	const uint32_t table = part == BERTH_SWEEP_FORMER_FLOWS || part == BERTH_SWEEP_FLOWS ? BERTH_TABLE_FLOWS
											     : BERTH_TABLE_SESSIONS;
	return part < BERTH_SWEEP_FLOWS ? berth_former_bucket_at(view, table, index)
					: berth_bucket_at(view, table, index);
}

BERTH_INLINE const struct berth_client *berth_sweep_client(const struct berth_view *view, uint32_t part,
							   uint32_t at)
{
	return part == BERTH_SWEEP_SESSIONS	     ? berth_at_clients(view, at)
	       : part == BERTH_SWEEP_FORMER_SESSIONS ? berth_at_former_clients(view, at)
						     : NULL;
}

/* Sweeps one bucket. If a worker uses a word meanwhile, the swap fails and the word stays. Returns 0. */
BERTH_RARE_STEP int berth_sweep_bucket(const struct berth_view *view, uint32_t part, uint32_t index)
{
	if (!BERTH_IS_SET(view))
		return 0;
	struct berth_bucket *bucket = berth_sweep_bucket_at(view, part, index);
	for (uint32_t i = 0; bucket && i < BERTH_BUCKET_WORDS; i++) {
		const uint64_t word = BERTH_LOAD(&bucket->word[i]);
		if (!word)
			continue;
		const uint64_t next = berth_sweep_word(
			view, word, berth_sweep_client(view, part, index * BERTH_BUCKET_WORDS + i));
		if (next != word)
			berth_swap(&bucket->word[i], word, next);
	}
	return 0;
}

BERTH_INLINE uint32_t berth_sweep_buckets(const struct berth_view *view, uint32_t part)
{
	const uint8_t bits = part == BERTH_SWEEP_FORMER_FLOWS ? view->former_flow_bits : view->former_session_bits;
	if (part == BERTH_SWEEP_FLOWS)
		return view->flow_mask + 1;
	if (part == BERTH_SWEEP_SESSIONS)
		return view->session_mask + 1;
	return bits ? 1u << ((bits - 1) & 31) : 0;
}

/* Sweeps the next bucket, or goes on to the next part. True: the sweep is complete. */
BERTH_INLINE bool berth_sweep_next(const struct berth_view *view, struct berth_sweep *sweep)
{
	if (sweep->bucket < berth_sweep_buckets(view, sweep->part)) {
		berth_sweep_bucket(view, sweep->part, sweep->bucket++);
		return false;
	}
	sweep->bucket = 0;
	if (++sweep->part < BERTH_SWEEP_PARTS)
		return false;
	sweep->part = 0;
	return true;
}

/* Sweeps BERTH_SWEEP_BUCKETS buckets, if the last complete sweep began long ago. True: there is more to do.
 * `view` has the time of the tables. */
BERTH_INLINE bool berth_sweep_step(struct berth_ctl *ctl, const struct berth_view *view, struct berth_sweep *sweep)
{
	const uint32_t swept = BERTH_LOAD(&ctl->swept);
	if (swept && (int32_t)(view->now - swept) < BERTH_SWEEP_AFTER_S) {
		sweep->part = sweep->bucket = 0;
		return false;
	}
	if (!sweep->part && !sweep->bucket)
		sweep->began = view->now;
	for (uint32_t i = 0; i < BERTH_SWEEP_BUCKETS; i++) {
		if (berth_sweep_next(view, sweep)) {
			berth_clock_swept(ctl, sweep->began);
			return false;
		}
	}
	return true;
}
