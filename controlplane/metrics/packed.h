/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The values of many rows, most of which are 0 or absent: only the others take memory. Pure.
 */
#pragma once

#include "controlplane/metrics/text.h"

#define BERTH_PACKED_ABSENT UINT64_MAX

enum {
	BERTH_PACKED_MOST = 32, /* values of a row */
};

/* Bits by the value's index. */
struct berth_packed_row {
	uint32_t present;
	uint32_t stored; /* of `present`: not 0 */
	size_t first;	 /* byte of the first stored value in the memory */
};

/* Appends the `n` values of a row, at most BERTH_PACKED_MOST, to `memory`; after a failed allocation
 * `memory->failed` is set, and all values are absent. */
struct berth_packed_row berth_packed_add(struct berth_text *memory, const uint64_t *values, uint32_t n);
/* BERTH_PACKED_ABSENT: there is none. */
uint64_t berth_packed_get(const struct berth_text *memory, const struct berth_packed_row *row, uint32_t i);
