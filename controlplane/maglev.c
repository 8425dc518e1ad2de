// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/maglev.h"

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

static bool is_taken(const struct berth_row *row, enum choice choice, uint16_t number)
{
	/* A row's second choice is never its first. */
	return choice == FIRST ? row->first != 0 : row->second != 0 || row->first == number;
}

/* Gives the backend the next free row of its walk; false if the walk is over. */
static bool take_row(struct berth_row *rows, uint32_t n_rows, enum choice choice, struct order *order)
{
	uint16_t number = order->backend->number;
	while (order->left > 0) {
		struct berth_row *row = &rows[order->at];
		order->at += order->skip;
		if (order->at >= n_rows)
			order->at -= n_rows;
		order->left--;
		if (is_taken(row, choice, number))
			continue;
		if (choice == FIRST)
			row->first = number;
		else
			row->second = number;
		return true;
	}
	return false;
}

static bool takes_part(const struct berth_maglev_backend *backend, enum choice choice)
{
	return backend->weight > 0 && (choice == FIRST || backend->eligible);
}

/*
 * Backends take rows in turn, the heaviest one each turn, one of half its weight every other turn, and so on,
 * until all rows are taken or nobody can take another.
 */
static void fill(struct berth_row *rows, uint32_t n_rows, enum choice choice, struct order *orders, size_t n,
		 uint64_t seed)
{
	uint32_t heaviest = 0;
	for (size_t i = 0; i < n; i++) {
		order_start(&orders[i], n_rows, seed);
		if (takes_part(orders[i].backend, choice) && orders[i].backend->weight > heaviest)
			heaviest = orders[i].backend->weight;
	}
	uint32_t taken = 0;
	bool progress = heaviest > 0;
	while (progress && taken < n_rows) {
		progress = false;
		for (size_t i = 0; i < n && taken < n_rows; i++) {
			struct order *order = &orders[i];
			if (!takes_part(order->backend, choice) || order->left == 0)
				continue;
			progress = true;
			order->credit += order->backend->weight;
			if (order->credit < heaviest)
				continue;
			order->credit -= heaviest;
			taken += take_row(rows, n_rows, choice, order);
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
	memset(rows, 0, n_rows * sizeof(*rows));
	struct order *orders = calloc(n_backends ? n_backends : 1, sizeof(*orders));
	if (!orders)
		return -ENOMEM;
	for (size_t i = 0; i < n_backends; i++)
		orders[i].backend = &backends[i];
	/* Turns are taken in the order of names, so that it does not matter in which order they are given. */
	qsort(orders, n_backends, sizeof(*orders), by_name);
	fill(rows, n_rows, FIRST, orders, n_backends, seed);
	fill(rows, n_rows, SECOND, orders, n_backends, seed);
	free(orders);
	return 0;
}
