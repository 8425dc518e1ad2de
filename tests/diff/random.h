/* SPDX-License-Identifier: BSD-3-Clause */
/* Pseudo-random numbers: the same for the same seed on every machine. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* xorshift64*; the state is never 0. */
struct random {
	uint64_t state;
};

/* Stream `stream` of `seed`; streams are independent (splitmix64). */
static inline struct random random_new(uint64_t seed, uint64_t stream)
{
	uint64_t x = seed * UINT64_C(0xd1342543de82ef95) + (stream + 1) * UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return (struct random){(x ^ x >> 31) | 1};
}

static inline uint32_t random_word(struct random *random)
{
	random->state ^= random->state >> 12;
	random->state ^= random->state << 25;
	random->state ^= random->state >> 27;
	return (uint32_t)(random->state * UINT64_C(2685821657736338717) >> 32);
}

static inline uint32_t random_below(struct random *random, uint32_t n)
{
	return random_word(random) % n;
}

static inline bool random_one_in(struct random *random, uint32_t n)
{
	return random_below(random, n) == 0;
}
