/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/*
 * Network-order types, addresses, and the compiler hooks of the core.
 *
 * The core is freestanding: it compiles for the DPDK engine, for BPF and for host tests, and includes only compiler
 * headers, xxhash.h and files of this folder.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BERTH_INLINE static inline __attribute__((always_inline))

/*
 * A step is a function that BPF compiles as a global one: the verifier checks it once and not at every call (kernel
 * 5.12). It returns an int, its pointers lead to memory without pointers in it, and it checks them for NULL
 * (BERTH_IS_SET). On the host:
 * - BERTH_STEP is inlined where the compiler sees fit;
 * - BERTH_HOT_STEP is always inlined: every new flow runs it;
 * - BERTH_RARE_STEP is a cold function: few packets run it.
 * BERTH_OUTLINE is a function of its own on the host and inlined in BPF.
 */
#ifdef __bpf__
#define BERTH_STEP __attribute__((noinline))
#define BERTH_HOT_STEP BERTH_STEP
#define BERTH_RARE_STEP BERTH_STEP
#define BERTH_OUTLINE BERTH_INLINE
/* Hides how a value was computed from the optimiser; each use gives its reason. */
#define BERTH_OPAQUE(x) __asm__ volatile("" : "+r"(x))
#define BERTH_IS_SET(pointer) ((pointer) != NULL)
#else
#define BERTH_STEP static inline __attribute__((unused))
#define BERTH_HOT_STEP static inline __attribute__((always_inline, unused))
#define BERTH_RARE_STEP static __attribute__((unused, noinline, cold))
#define BERTH_OUTLINE static __attribute__((unused, noinline))
#define BERTH_IS_SET(pointer) true
#define BERTH_OPAQUE(x) (void)(x)
#endif

#define BERTH_LIKELY(x) __builtin_expect(!!(x), 1)
#define BERTH_UNLIKELY(x) __builtin_expect(!!(x), 0)

#define BERTH_ASSERT_SIZE(type, bytes) _Static_assert(sizeof(type) == (bytes), #type " must be " #bytes " bytes")

/* Values in network byte order. A plain integer never holds one. */
struct berth_be16 {
	uint16_t raw;
};

struct berth_be32 {
	uint32_t raw;
};

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define BERTH_SWAP16(x) __builtin_bswap16(x)
#define BERTH_SWAP32(x) __builtin_bswap32(x)
#else
#define BERTH_SWAP16(x) (x)
#define BERTH_SWAP32(x) (x)
#endif

BERTH_INLINE uint16_t berth_from_be16(struct berth_be16 v)
{
	return BERTH_SWAP16(v.raw);
}

BERTH_INLINE struct berth_be16 berth_to_be16(uint16_t v)
{
	return (struct berth_be16){BERTH_SWAP16(v)};
}

BERTH_INLINE uint32_t berth_from_be32(struct berth_be32 v)
{
	return BERTH_SWAP32(v.raw);
}

BERTH_INLINE struct berth_be32 berth_to_be32(uint32_t v)
{
	return (struct berth_be32){BERTH_SWAP32(v)};
}

/* An IPv4 or IPv6 address in network byte order; IPv4 as ::ffff:a.b.c.d. */
union berth_addr {
	uint8_t byte[16];
	struct berth_be32 word[4];
	uint64_t half[2];
};
BERTH_ASSERT_SIZE(union berth_addr, 16);

/* Two 8-byte stores, like the loads: a load that spans smaller stores can't be forwarded and waits for the cache.
 */
BERTH_INLINE void berth_addr_set4(union berth_addr *to, struct berth_be32 v4)
{
	to->half[0] = 0;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	to->half[1] = (uint64_t)v4.raw << 32 | 0xffff0000;
#else
	to->half[1] = UINT64_C(0xffff) << 32 | v4.raw;
#endif
}

BERTH_INLINE bool berth_addr_equal(const union berth_addr *a, const union berth_addr *b)
{
	return a->half[0] == b->half[0] && a->half[1] == b->half[1];
}

BERTH_INLINE bool berth_addr_is4(const union berth_addr *a)
{
	return a->half[0] == 0 && a->word[2].raw == BERTH_SWAP32(0xffff);
}
