/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Selection tables: weighted Maglev hashing (NSDI'16, section 3.4) with two choices a row. Pure: the same
 * names, weights and seed give the same table on every node, for ever.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "dataplane/core/abi.h"

struct berth_maglev_backend {
	const char *name;
	uint32_t weight; /* 0: stands in no row */
	uint16_t number; /* what is written into the rows */
	bool eligible;	 /* may be a second choice: it takes new flows as far as is known */
};

/*
 * Fills `rows` (n_rows, a prime, at least as many as backends). First choices depend on names, weights and
 * seed alone, not on eligibility, so that a failure moves nobody else. A second choice is another backend than
 * the row's first and eligible; 0 where there is none, and both are 0 where all weights are. -ENOMEM.
 */
int berth_maglev_build(struct berth_row *rows, uint32_t n_rows, const struct berth_maglev_backend *backends,
		       size_t n_backends, uint64_t seed);
