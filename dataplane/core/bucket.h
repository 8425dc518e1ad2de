/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/*
 * Search in a bucket, a memory line of eight words: free words, words with a tag, the oldest word that can be
 * evicted. Other workers write the words meanwhile: callers read a word again before they use it.
 */
#pragma once

/* ThreadSanitizer does not track vector loads. */
#if defined(__AVX2__) && !defined(__SANITIZE_THREAD__)
#define BERTH_VECTORS 1
#include <immintrin.h>
#endif

#include "atomic.h"
#include "word.h"

/* The index of the lowest set bit of eight; 8: none (in BPF one must be set). BPF has no instruction for it: a de
 * Bruijn sequence. */
BERTH_INLINE uint32_t berth_lowest_bit8(uint32_t bits)
{
#ifndef __bpf__
	return (uint32_t)__builtin_ctz(bits | 1 << BERTH_BUCKET_WORDS);
#endif
	return 0x34572610u >> (((bits & -bits) * 0x1d & 0xff) >> 5) * 4 & 7;
}

/* The free words of a bucket, one bit each. Without branches, as below. */
BERTH_INLINE uint32_t berth_bucket_free(const struct berth_bucket *bucket)
{
#ifdef BERTH_VECTORS
	const __m256i *half = (const __m256i *)(const void *)bucket->word;
	const __m256i zero = _mm256_setzero_si256();
	__m256i low = _mm256_cmpeq_epi64(_mm256_load_si256(&half[0]), zero);
	__m256i high = _mm256_cmpeq_epi64(_mm256_load_si256(&half[1]), zero);
	return (uint32_t)_mm256_movemask_pd(_mm256_castsi256_pd(low)) |
	       (uint32_t)_mm256_movemask_pd(_mm256_castsi256_pd(high)) << 4;
#else
	uint32_t free = 0;
	for (uint32_t i = 0; i < BERTH_BUCKET_WORDS; i++) {
		uint64_t value = BERTH_LOAD(&bucket->word[i]);
		free |= (uint32_t)(~(value | (0 - value)) >> 63) << i;
	}
	return free;
#endif
}

/*
 * The words of a bucket with this tag, one bit each. The place of a hit is random, so a branch per word would
 * mostly be mispredicted (and the BPF verifier would follow 256 paths); this has no branch.
 */
BERTH_INLINE uint32_t berth_bucket_match(const struct berth_bucket *bucket, uint32_t tag)
{
#ifdef BERTH_VECTORS
	const __m256i *half = (const __m256i *)(const void *)bucket->word;
	const __m256i wanted = _mm256_set1_epi64x((long long)tag);
	__m256i low = _mm256_srli_epi64(_mm256_load_si256(&half[0]), BERTH_TAG_SHIFT);
	__m256i high = _mm256_srli_epi64(_mm256_load_si256(&half[1]), BERTH_TAG_SHIFT);
	uint32_t in_low = (uint32_t)_mm256_movemask_pd(_mm256_castsi256_pd(_mm256_cmpeq_epi64(low, wanted)));
	uint32_t in_high = (uint32_t)_mm256_movemask_pd(_mm256_castsi256_pd(_mm256_cmpeq_epi64(high, wanted)));
	return in_low | in_high << 4;
#else
	uint32_t equal = 0;
	for (uint32_t i = 0; i < BERTH_BUCKET_WORDS; i++) {
		uint64_t differs = (BERTH_LOAD(&bucket->word[i]) >> BERTH_TAG_SHIFT) ^ tag;
		equal |= (uint32_t)((differs - 1) >> 63) << i;
	}
	return equal;
#endif
}

/* The first word of a bucket with this tag; BERTH_BUCKET_WORDS: none. Used where a miss is likely: in BPF a branch
 * per word, hardly ever taken, then costs less than a bit set. */
BERTH_INLINE uint32_t berth_bucket_match_first(const struct berth_bucket *bucket, uint32_t tag)
{
#ifdef __bpf__
	for (uint32_t i = 0; i < BERTH_BUCKET_WORDS; i++)
		if (BERTH_LOAD(&bucket->word[i]) >> BERTH_TAG_SHIFT == tag)
			return i;
	return BERTH_BUCKET_WORDS;
#else
	return berth_lowest_bit8(berth_bucket_match(bucket, tag));
#endif
}

/*
 * Loops over the candidates for a tag in a bucket; the body checks berth_word_matches. On the host these are the
 * words that matched just now, mostly one or none. In BPF they are all words: the verifier would follow every
 * possible set.
 */
#ifdef __bpf__
#define BERTH_EACH_CANDIDATE(bucket, tag, i) for (uint32_t i = 0; i < BERTH_BUCKET_WORDS; i++)
#else
#define BERTH_EACH_CANDIDATE(bucket, tag, i)                                                                       \
	for (uint32_t left_ = berth_bucket_match(bucket, tag), i = berth_lowest_bit8(left_); left_;                \
	     left_ &= left_ - 1, i = berth_lowest_bit8(left_))
#endif

/* A rank in a bucket: the word's rank << 3 | a number of the word. `order` (3 bits of the new entry's tag) mixes
 * the numbers: ages are whole seconds, and in a flood most words have the same. With one order for all, each new
 * entry would be the victim of the next one. */
#define BERTH_RANK_NONE 0
#define BERTH_RANK_UNKNOWN UINT32_MAX
_Static_assert(BERTH_BUCKET_WORDS == 8, "an index has three bits");

BERTH_INLINE uint32_t berth_rank_of_word(uint32_t rank)
{
	return rank >> 3;
}

BERTH_INLINE uint32_t berth_rank_index(uint32_t rank, uint32_t order)
{
	return (rank ^ order) & (BERTH_BUCKET_WORDS - 1);
}

/* The greatest rank in a bucket; NONE: no word can be evicted. UNKNOWN: one is a claim, or older than `least` of
 * its state, so that it may have expired. */
#ifdef BERTH_VECTORS
BERTH_INLINE uint32_t berth_bucket_rank(const struct berth_bucket *bucket, const uint32_t least[BERTH_STATE_COUNT],
					uint32_t now, uint32_t order)
{
	/* State and age are in the lower halves of the words. */
	const float *words = (const float *)(const void *)bucket->word;
	__m256 mixed = _mm256_shuffle_ps(_mm256_load_ps(words), _mm256_load_ps(words + 8), 0x88);
	__m256i word = _mm256_permute4x64_epi64(_mm256_castps_si256(mixed), 0xd8);
	__m256i state = _mm256_and_si256(word, _mm256_set1_epi32(BERTH_STATE_MASK));
	__m256i age = _mm256_and_si256(
		_mm256_sub_epi32(_mm256_set1_epi32((int)now), _mm256_srli_epi32(word, BERTH_SEEN_SHIFT)),
		_mm256_set1_epi32(BERTH_SEEN_MASK));
	__m256i ahead = _mm256_cmpgt_epi32(age, _mm256_set1_epi32(BERTH_SEEN_MASK - BERTH_SEEN_AHEAD));
	age = _mm256_andnot_si256(ahead, age);
	__m256i limit = _mm256_permutevar8x32_epi32(_mm256_loadu_si256((const __m256i *)(const void *)least),
						    state);
	__m256i claimed = _mm256_cmpeq_epi32(state, _mm256_set1_epi32(BERTH_STATE_CLAIMED));
	__m256i unknown = _mm256_or_si256(claimed, _mm256_cmpgt_epi32(age, limit));
	if (BERTH_UNLIKELY(!_mm256_testz_si256(unknown, unknown)))
		return BERTH_RANK_UNKNOWN;
	const __m256i one = _mm256_set1_epi32(1);
	__m256i first = _mm256_and_si256(_mm256_srlv_epi32(_mm256_set1_epi32(BERTH_UNCONFIRMED_STATES), state),
					 one);
	__m256i idle = _mm256_and_si256(_mm256_srlv_epi32(_mm256_set1_epi32(BERTH_IDLE_STATES), state), one);
	idle = _mm256_and_si256(idle, _mm256_cmpgt_epi32(age, _mm256_set1_epi32(BERTH_RECENT_S)));
	__m256i rank = _mm256_add_epi32(age, _mm256_slli_epi32(first, BERTH_SEEN_BITS));
	const __m256i number = _mm256_xor_si256(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7),
						_mm256_set1_epi32((int)order));
	rank = _mm256_or_si256(_mm256_slli_epi32(rank, 3), number);
	__m256i counts = _mm256_or_si256(first, idle);
	rank = _mm256_and_si256(rank, _mm256_sub_epi32(_mm256_setzero_si256(), counts));
	__m128i most = _mm_max_epi32(_mm256_castsi256_si128(rank), _mm256_extracti128_si256(rank, 1));
	most = _mm_max_epi32(most, _mm_shuffle_epi32(most, 0x4e));
	most = _mm_max_epi32(most, _mm_shuffle_epi32(most, 0xb1));
	return (uint32_t)_mm_cvtsi128_si32(most);
}
#else
BERTH_INLINE uint32_t berth_bucket_rank(const struct berth_bucket *bucket, const uint32_t least[BERTH_STATE_COUNT],
					uint32_t now, uint32_t order)
{
	/* Without branches, as above. All figures are below 2^31: the sign of a difference is a comparison. */
	uint32_t most = BERTH_RANK_NONE, unknown = 0;
	for (uint32_t i = 0; i < BERTH_BUCKET_WORDS; i++) {
		const uint32_t word = (uint32_t)BERTH_LOAD(&bucket->word[i]);
		const uint32_t state = word & BERTH_STATE_MASK;
		uint32_t age = (now - (word >> BERTH_SEEN_SHIFT)) & BERTH_SEEN_MASK;
		age &= 0 - ((age - (BERTH_SEEN_MASK - BERTH_SEEN_AHEAD + 1)) >> 31);
		unknown |= (state - 1) >> 31 | (least[state] - age) >> 31;
		const uint32_t first = BERTH_UNCONFIRMED_STATES >> state & 1;
		const uint32_t idle = BERTH_IDLE_STATES >> state & (BERTH_RECENT_S - age) >> 31;
		const uint32_t rank = ((age + (first << BERTH_SEEN_BITS)) << 3 | (i ^ order)) &
				      (0 - (first | idle));
		most += (rank - most) & (((rank - most) >> 31) - 1);
	}
	return unknown ? BERTH_RANK_UNKNOWN : most;
}
#endif

/* Whether a claim is the only word with its tag in its buckets. If another word has replaced the claim, the result
 * does not matter: the settlement then fails. */
BERTH_INLINE bool berth_claim_is_only_match(const struct berth_bucket *home, const struct berth_bucket *other,
					    uint64_t claim)
{
#ifdef __bpf__
	for (uint32_t i = 0; i < BERTH_BUCKET_WORDS; i++) {
		const uint64_t most = (UINT64_C(1) << BERTH_TAG_SHIFT) - 2;
		if ((BERTH_LOAD(&home->word[i]) ^ claim) - 1 <= most ||
		    (BERTH_LOAD(&other->word[i]) ^ claim) - 1 <= most)
			return false;
	}
	return true;
#else
	uint32_t tag = berth_word_tag(claim);
	uint32_t equal = berth_bucket_match(home, tag) | berth_bucket_match(other, tag) << BERTH_BUCKET_WORDS;
	return !(equal & (equal - 1));
#endif
}
