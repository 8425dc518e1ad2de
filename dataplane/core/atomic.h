/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/*
 * The three memory operations that the core uses on shared words. Every shared word is changed by one store
 * or one compare-and-swap and carries all of its meaning, so nothing stronger is needed.
 *
 * BPF: clang 14 lowers no __atomic_load_n; an aligned volatile access is one instruction, and
 * compare-and-swap needs -mcpu=v3 (kernel 5.12).
 */
#pragma once

#include "types.h"

#ifdef __bpf__

#define BERTH_LOAD(ptr) (*(const volatile __typeof__(*(ptr)) *)(ptr))
/* BPF has no prefetch; but a load whose value nobody waits for is one, as far as the processor looks ahead. */
#define BERTH_PREFETCH(line) ((void)*(const volatile uint64_t *)(line))
#define BERTH_STORE(ptr, value) (*(volatile __typeof__(*(ptr)) *)(ptr) = (value))

BERTH_INLINE bool berth_swap(uint64_t *word, uint64_t seen, uint64_t next)
{
	return __sync_val_compare_and_swap(word, seen, next) == seen;
}

#else

/* Sequentially consistent: who writes a claim and then looks for others must not look first (flowtab.h). On x86
 * this is the plain load that an acquire is. */
#define BERTH_PREFETCH(line) __builtin_prefetch(line)
#define BERTH_LOAD(ptr) __atomic_load_n((ptr), __ATOMIC_SEQ_CST)
#define BERTH_STORE(ptr, value) __atomic_store_n((ptr), (value), __ATOMIC_RELEASE)

BERTH_INLINE bool berth_swap(uint64_t *word, uint64_t seen, uint64_t next)
{
	return __atomic_compare_exchange_n(word, &seen, next, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

#endif
