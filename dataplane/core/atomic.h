/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/*
 * Memory operations on shared words. Every change of a shared word is one store or one compare-and-swap, and no
 * word depends on another, so nothing stronger is needed.
 *
 * BPF: clang 14 does not lower __atomic_load_n; an aligned volatile access is one instruction. Compare-and-swap
 * needs -mcpu=v3 (kernel 5.12).
 */
#pragma once

#include "types.h"

#ifdef __bpf__

#define BERTH_LOAD(ptr) (*(const volatile __typeof__(*(ptr)) *)(ptr))
/* BPF has no prefetch instruction. A load with an unused value acts as one within the reorder window. */
#define BERTH_PREFETCH(line) ((void)*(const volatile uint64_t *)(line))
#define BERTH_STORE(ptr, value) (*(volatile __typeof__(*(ptr)) *)(ptr) = (value))

/* Replaces `seen` by `next`; false if the word had another value. */
BERTH_INLINE bool berth_swap(uint64_t *word, uint64_t seen, uint64_t next)
{
	return __sync_val_compare_and_swap(word, seen, next) == seen;
}

#else

#define BERTH_PREFETCH(line) __builtin_prefetch(line)
/* Sequentially consistent: a worker must not look for other claims before its own is written (flowtab.h). On x86
 * this is a plain load, like an acquire. */
#define BERTH_LOAD(ptr) __atomic_load_n((ptr), __ATOMIC_SEQ_CST)
#define BERTH_STORE(ptr, value) __atomic_store_n((ptr), (value), __ATOMIC_RELEASE)

BERTH_INLINE bool berth_swap(uint64_t *word, uint64_t seen, uint64_t next)
{
	return __atomic_compare_exchange_n(word, &seen, next, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

#endif
