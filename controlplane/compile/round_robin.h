/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Selection tables for the scheduler round-robin: workers use the rows cyclically. Pure: the same names and weights
 * give the same table.
 */
#pragma once

#include "controlplane/compile/maglev.h"

/*
 * Fills `rows` and sets `n_rows`: the number for which all shares are whole rows, but at most `capacity`. Of the
 * first k rows a backend has its share of k, rounded up or down; so in any window of rows it is less than two rows
 * off its share. Only eligible backends get rows, or all if none is eligible. The alternate of a row is the primary
 * of the next row with another backend; 0: there is none. -ENOMEM.
 */
int berth_round_robin_build(struct berth_row *rows, uint32_t capacity, const struct berth_maglev_backend *backends,
			    size_t n_backends, uint32_t *n_rows);
