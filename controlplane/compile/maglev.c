// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/compile/maglev.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* The permutation of a backend: offset, offset + skip, ... modulo the number of rows. That number is prime, so the
 * permutation contains each row once. */
struct permutation {
	const struct berth_maglev_backend *backend;
	uint32_t at;
	uint32_t skip;
	uint32_t left; /* rows not visited yet */
	uint64_t credit;
};

enum choice {
	PRIMARY,
	ALTERNATE,
};

static void permutation_start(struct permutation *permutation, uint32_t n_rows, uint64_t seed)
{
	const struct berth_maglev_backend *backend = permutation->backend;
	uint64_t offset = XXH64(backend->name, strlen(backend->name), seed);
	uint64_t skip = XXH64(backend->name, strlen(backend->name), ~seed);
	*permutation = (struct permutation){
		.backend = backend,
		.at = (uint32_t)(offset % n_rows),
		.skip = (uint32_t)(skip % (n_rows - 1)) + 1,
		.left = n_rows,
	};
}

/* The rows with one choice to fill. `taken` has a bit per row: most visits find a taken row, and the bits stay in
 * the L1 cache. */
struct column {
	struct berth_row *rows;
	uint32_t n_rows;
	enum choice choice;
	uint64_t *taken;
};

static bool is_taken(const struct column *column, uint32_t row, uint16_t number)
{
	if (column->taken[row / 64] >> row % 64 & 1)
		return true;
	/* The alternate of a row is not its primary. */
	return column->choice == ALTERNATE && column->rows[row].primary == number;
}

static void assign_row(const struct column *column, uint32_t row, uint16_t number)
{
	column->taken[row / 64] |= UINT64_C(1) << row % 64;
	if (column->choice == PRIMARY)
		column->rows[row].primary = number;
	else
		column->rows[row].alternate = number;
}

/* Gives the backend the next free row of its permutation. False: there is none. */
static bool take_next_row(const struct column *column, struct permutation *permutation)
{
	const uint16_t number = permutation->backend->number;
	const uint32_t skip = permutation->skip, n_rows = column->n_rows;
	uint32_t at = permutation->at, left = permutation->left, found = n_rows;
	while (left > 0 && found == n_rows) {
		if (!is_taken(column, at, number))
			found = at;
		at += skip;
		if (at >= n_rows)
			at -= n_rows;
		left--;
	}
	permutation->at = at;
	permutation->left = left;
	if (found == n_rows)
		return false;
	assign_row(column, found, number);
	return true;
}

static bool is_candidate(const struct berth_maglev_backend *backend, enum choice choice)
{
	return backend->weight > 0 && (choice == PRIMARY || backend->is_eligible);
}

/*
 * Backends take rows in turns: the heaviest takes one each turn, one of half its weight every other turn, and so
 * on, until all rows are taken or no backend can take another.
 */
static void fill(const struct column *column, struct permutation *permutations, size_t n, uint64_t seed)
{
	uint32_t heaviest = 0;
	for (size_t i = 0; i < n; i++) {
		permutation_start(&permutations[i], column->n_rows, seed);
		if (is_candidate(permutations[i].backend, column->choice) &&
		    permutations[i].backend->weight > heaviest)
			heaviest = permutations[i].backend->weight;
	}
	uint32_t taken = 0;
	bool progress = heaviest > 0;
	while (progress && taken < column->n_rows) {
		progress = false;
		for (size_t i = 0; i < n && taken < column->n_rows; i++) {
			struct permutation *permutation = &permutations[i];
			if (!is_candidate(permutation->backend, column->choice) || permutation->left == 0)
				continue;
			progress = true;
			permutation->credit += permutation->backend->weight;
			if (permutation->credit < heaviest)
				continue;
			permutation->credit -= heaviest;
			taken += take_next_row(column, permutation);
		}
	}
}

static int by_name(const void *a, const void *b)
{
	const struct permutation *left = a, *right = b;
	return strcmp(left->backend->name, right->backend->name);
}

int berth_maglev_build(struct berth_row *rows, uint32_t n_rows, const struct berth_maglev_backend *backends,
		       size_t n_backends, uint64_t seed)
{
	const size_t words = n_rows / 64 + 1;
	memset(rows, 0, n_rows * sizeof(*rows));
	struct permutation *permutations = calloc(n_backends ? n_backends : 1, sizeof(*permutations));
	uint64_t *taken = calloc(2 * words, sizeof(*taken));
	for (size_t i = 0; permutations && i < n_backends; i++)
		permutations[i].backend = &backends[i];
	bool made = permutations && taken;
	if (made) {
		/* Sorted by name, so that the order of the arguments does not matter. */
		qsort(permutations, n_backends, sizeof(*permutations), by_name);
		fill(&(struct column){rows, n_rows, PRIMARY, taken}, permutations, n_backends, seed);
		fill(&(struct column){rows, n_rows, ALTERNATE, taken + words}, permutations, n_backends, seed);
	}
	free(permutations);
	free(taken);
	return made ? 0 : -ENOMEM;
}
