/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Selection tables for the scheduler round-robin: workers take the rows one after another, round and round. Pure:
 * the same names and weights give the same table.
 */
#pragma once

#include "controlplane/compile/maglev.h"

/*
 * Fills at most `capacity` rows, `n_rows` of them are used: as many as the shares need to come out even, if there
 * is room. Of the first k rows a backend has its share of k, rounded up or down, so that in any window of rows it
 * is less than two rows from its share. Backends that are not eligible stand in no row, unless nobody is. A second
 * choice is the next row's backend that is another one; 0: there is none. -ENOMEM.
 */
int berth_round_robin_build(struct berth_row *rows, uint32_t capacity, const struct berth_maglev_backend *backends,
			    size_t n_backends, uint32_t *n_rows);
