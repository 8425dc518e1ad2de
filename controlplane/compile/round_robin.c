// SPDX-License-Identifier: BSD-3-Clause
/*
 * The jth row of a backend is released at row floor(j / share) and due before row ceil((j + 1) / share). Earliest
 * deadline first meets every deadline if the shares add up to one (Liu and Layland 1973).
 */
#include "controlplane/compile/round_robin.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct turn {
	uint64_t key; /* row of the release or the deadline */
	uint32_t of;  /* index of the sharer, sorted by name */
};

/* A min-heap by key, then by name. */
struct heap {
	struct turn *turns;
	size_t n;
};

struct sharer {
	const struct berth_maglev_backend *backend;
	uint64_t weight;
	uint64_t taken; /* rows */
};

static bool is_less(const struct turn *a, const struct turn *b)
{
	return a->key != b->key ? a->key < b->key : a->of < b->of;
}

static void push(struct heap *heap, uint64_t key, uint32_t of)
{
	size_t at = heap->n++;
	const struct turn turn = {key, of};
	for (; at > 0 && is_less(&turn, &heap->turns[(at - 1) / 2]); at = (at - 1) / 2)
		heap->turns[at] = heap->turns[(at - 1) / 2];
	heap->turns[at] = turn;
}

static uint32_t pop(struct heap *heap)
{
	uint32_t of = heap->turns[0].of;
	const struct turn last = heap->turns[--heap->n];
	size_t at = 0;
	for (size_t child; (child = 2 * at + 1) < heap->n; at = child) {
		if (child + 1 < heap->n && is_less(&heap->turns[child + 1], &heap->turns[child]))
			child++;
		if (!is_less(&heap->turns[child], &last))
			break;
		heap->turns[at] = heap->turns[child];
	}
	heap->turns[at] = last;
	return of;
}

static int by_name(const void *a, const void *b)
{
	const struct sharer *left = a, *right = b;
	return strcmp(left->backend->name, right->backend->name);
}

static uint64_t common_divisor(uint64_t a, uint64_t b)
{
	while (b) {
		uint64_t rest = a % b;
		a = b;
		b = rest;
	}
	return a;
}

/* Lists the backends that share the rows, and divides their weights by the common divisor. Returns their number. */
static size_t list_sharers(struct sharer *sharers, const struct berth_maglev_backend *backends, size_t n,
			   uint64_t *sum)
{
	bool any = false;
	size_t sharing = 0;
	uint64_t divisor = 0;
	for (size_t i = 0; i < n; i++)
		any |= backends[i].weight > 0 && backends[i].is_eligible;
	for (size_t i = 0; i < n; i++) {
		if (!backends[i].weight || (any && !backends[i].is_eligible))
			continue;
		sharers[sharing++] = (struct sharer){.backend = &backends[i], .weight = backends[i].weight};
		divisor = common_divisor(backends[i].weight, divisor);
	}
	*sum = 0;
	for (size_t i = 0; i < sharing; i++)
		*sum += sharers[i].weight /= divisor;
	qsort(sharers, sharing, sizeof(*sharers), by_name);
	return sharing;
}

static void fill_primaries(struct berth_row *rows, uint32_t n_rows, struct sharer *sharers, size_t n, uint64_t sum,
			   struct heap *waiting, struct heap *ready)
{
	for (uint32_t i = 0; i < n; i++)
		push(waiting, 0, i);
	for (uint32_t at = 0; at < n_rows; at++) {
		while (waiting->n && waiting->turns[0].key <= at) {
			uint32_t of = pop(waiting);
			const struct sharer *sharer = &sharers[of];
			push(ready, ((sharer->taken + 1) * sum + sharer->weight - 1) / sharer->weight, of);
		}
		uint32_t of = pop(ready);
		rows[at].primary = sharers[of].backend->number;
		sharers[of].taken++;
		push(waiting, sharers[of].taken * sum / sharers[of].weight, of);
	}
}

/* Backwards, and twice: after the last row comes the first. */
static void fill_alternates(struct berth_row *rows, uint32_t n_rows)
{
	uint16_t next = 0, after = 0; /* primary of the next row, and the next other primary */
	for (int round = 0; round < 2; round++) {
		for (struct berth_row *row = rows + n_rows; row-- > rows;) {
			row->alternate = next != row->primary ? next : after;
			if (row->primary != next) {
				after = next;
				next = row->primary;
			}
		}
	}
}

int berth_round_robin_build(struct berth_row *rows, uint32_t capacity, const struct berth_maglev_backend *backends,
			    size_t n_backends, uint32_t *n_rows)
{
	size_t room = n_backends ? n_backends : 1;
	struct sharer *sharers = calloc(room, sizeof(*sharers));
	struct heap waiting = {.turns = calloc(room, sizeof(struct turn))};
	struct heap ready = {.turns = calloc(room, sizeof(struct turn))};
	int err = sharers && waiting.turns && ready.turns ? 0 : -ENOMEM;
	uint64_t sum = 0;
	if (!err) {
		memset(rows, 0, capacity * sizeof(*rows));
		size_t n = list_sharers(sharers, backends, n_backends, &sum);
		*n_rows = n == 0 || sum > capacity ? capacity : (uint32_t)sum;
		if (n > 0) {
			fill_primaries(rows, *n_rows, sharers, n, sum, &waiting, &ready);
			fill_alternates(rows, *n_rows);
		}
	}
	free(ready.turns);
	free(waiting.turns);
	free(sharers);
	return err;
}
