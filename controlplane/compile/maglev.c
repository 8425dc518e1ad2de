// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/compile/maglev.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* A backend's walk through the rows in its own order: offset, offset + skip, ... modulo the number of rows,
 * which is prime, so that the walk visits each row once. */
struct order {
	const struct berth_maglev_backend *backend;
	uint32_t at;
	uint32_t skip;
	uint32_t left; /* rows of the walk not visited yet */
	uint64_t credit;
};

enum choice {
	FIRST,
	SECOND,
};

static void order_start(struct order *order, uint32_t n_rows, uint64_t seed)
{
	const struct berth_maglev_backend *backend = order->backend;
	uint64_t offset = XXH64(backend->name, strlen(backend->name), seed);
	uint64_t skip = XXH64(backend->name, strlen(backend->name), ~seed);
	*order = (struct order){
		.backend = backend,
		.at = (uint32_t)(offset % n_rows),
		.skip = (uint32_t)(skip % (n_rows - 1)) + 1,
		.left = n_rows,
	};
}

/* The rows of one choice. Most that a walk looks at are taken, which a bit each says, in the fastest cache. */
struct board {
	struct berth_row *rows;
	uint32_t n_rows;
	enum choice choice;
	uint64_t *taken;
};

static bool is_taken(const struct board *board, uint32_t row, uint16_t number)
{
	if (board->taken[row / 64] >> row % 64 & 1)
		return true;
	/* A row's second choice is never its first. */
	return board->choice == SECOND && board->rows[row].primary == number;
}

static void take(const struct board *board, uint32_t row, uint16_t number)
{
	board->taken[row / 64] |= UINT64_C(1) << row % 64;
	if (board->choice == FIRST)
		board->rows[row].primary = number;
	else
		board->rows[row].alternate = number;
}

/* Gives the backend the next free row of its walk; false if the walk is over. */
static bool take_next(const struct board *board, struct order *order)
{
	const uint16_t number = order->backend->number;
	const uint32_t skip = order->skip, n_rows = board->n_rows;
	uint32_t at = order->at, left = order->left, found = n_rows;
	while (left > 0 && found == n_rows) {
		if (!is_taken(board, at, number))
			found = at;
		at += skip;
		if (at >= n_rows)
			at -= n_rows;
		left--;
	}
	order->at = at;
	order->left = left;
	if (found == n_rows)
		return false;
	take(board, found, number);
	return true;
}

static bool takes_part(const struct berth_maglev_backend *backend, enum choice choice)
{
	return backend->weight > 0 && (choice == FIRST || backend->eligible);
}

/*
 * Backends take rows in turn, the heaviest one each turn, one of half its weight every other turn, and so on,
 * until all rows are taken or nobody can take another.
 */
static void fill(const struct board *board, struct order *orders, size_t n, uint64_t seed)
{
	uint32_t heaviest = 0;
	for (size_t i = 0; i < n; i++) {
		order_start(&orders[i], board->n_rows, seed);
		if (takes_part(orders[i].backend, board->choice) && orders[i].backend->weight > heaviest)
			heaviest = orders[i].backend->weight;
	}
	uint32_t taken = 0;
	bool progress = heaviest > 0;
	while (progress && taken < board->n_rows) {
		progress = false;
		for (size_t i = 0; i < n && taken < board->n_rows; i++) {
			struct order *order = &orders[i];
			if (!takes_part(order->backend, board->choice) || order->left == 0)
				continue;
			progress = true;
			order->credit += order->backend->weight;
			if (order->credit < heaviest)
				continue;
			order->credit -= heaviest;
			taken += take_next(board, order);
		}
	}
}

static int by_name(const void *a, const void *b)
{
	const struct order *left = a, *right = b;
	return strcmp(left->backend->name, right->backend->name);
}

int berth_maglev_build(struct berth_row *rows, uint32_t n_rows, const struct berth_maglev_backend *backends,
		       size_t n_backends, uint64_t seed)
{
	const size_t words = n_rows / 64 + 1;
	memset(rows, 0, n_rows * sizeof(*rows));
	struct order *orders = calloc(n_backends ? n_backends : 1, sizeof(*orders));
	uint64_t *taken = calloc(2 * words, sizeof(*taken));
	for (size_t i = 0; orders && i < n_backends; i++)
		orders[i].backend = &backends[i];
	bool made = orders && taken;
	if (made) {
		/* By name, so that it does not matter in which order they are given. */
		qsort(orders, n_backends, sizeof(*orders), by_name);
		fill(&(struct board){rows, n_rows, FIRST, taken}, orders, n_backends, seed);
		fill(&(struct board){rows, n_rows, SECOND, taken + words}, orders, n_backends, seed);
	}
	free(orders);
	free(taken);
	return made ? 0 : -ENOMEM;
}
