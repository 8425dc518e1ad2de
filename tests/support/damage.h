/* SPDX-License-Identifier: BSD-3-Clause */
/* Random damage that a seed repeats: bits, words, and ranges of zeros, ones and noise. */
#pragma once

#include <stdint.h>

static inline uint32_t test_draw(uint64_t *seed, uint64_t below)
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)((*seed >> 33) % below);
}

static inline void test_damage(uint8_t *memory, uint64_t size, uint64_t seed)
{
	seed = seed * 1000 + 1;
	uint8_t *at = memory + test_draw(&seed, size);
	const uint64_t left = size - (uint64_t)(at - memory);
	const uint32_t kind = test_draw(&seed, 4);
	uint64_t bytes = kind ? 1 + test_draw(&seed, test_draw(&seed, 4) ? 8 : 512) : 1;
	bytes = bytes < left ? bytes : left;
	for (uint64_t i = 0; i < bytes; i++)
		at[i] = kind == 0   ? (uint8_t)(at[i] ^ 1u << test_draw(&seed, 8))
			: kind == 1 ? 0
			: kind == 2 ? 0xff
				    : (uint8_t)test_draw(&seed, 256);
}
