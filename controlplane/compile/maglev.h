/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Selection tables: weighted Maglev hashing (NSDI'16, section 3.4) with a primary and an alternate backend per row.
 * Pure: the same names, weights and seed give the same table on every node and in every release.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "dataplane/core/abi.h"

struct berth_maglev_backend {
	const char *name;
	uint32_t weight;  /* 0: in no row */
	uint16_t number;  /* written into the rows */
	bool is_eligible; /* for new clients: can be an alternate */
};

/*
 * Fills `rows` (n_rows, a prime, at least as many as backends). Primaries depend on names, weights and seed only,
 * not on eligibility, so a failure moves no other client. The alternate of a row is an eligible backend other than
 * the primary; 0: there is none. If all weights are 0, all rows are 0. -ENOMEM.
 */
int berth_maglev_build(struct berth_row *rows, uint32_t n_rows, const struct berth_maglev_backend *backends,
		       size_t n_backends, uint64_t seed);
