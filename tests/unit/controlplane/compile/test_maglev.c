// SPDX-License-Identifier: BSD-3-Clause
/* Selection tables: shares, minimal disruption, alternates, and golden tables that must never change. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "controlplane/compile/maglev.h"
#include "controlplane/compile/round_robin.h"
#include "controlplane/config/parse_services.h"
#include "controlplane/config/rules.h"

#include "tests/support/unit.h"

enum {
	ROWS = 65537,
	MAX = 1000
};

static struct berth_row rows_a[ROWS], rows_b[ROWS];
static char names[MAX][16];

static void make_backends(struct berth_maglev_backend *backends, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		snprintf(names[i], sizeof(names[i]), "backend-%zu", i);
		backends[i] = (struct berth_maglev_backend){names[i], 100, (uint16_t)(i + 1), true};
	}
}

static void count_primaries(const struct berth_row *rows, uint32_t n_rows, uint32_t counts[MAX + 1])
{
	memset(counts, 0, (MAX + 1) * sizeof(*counts));
	for (uint32_t i = 0; i < n_rows; i++)
		counts[rows[i].primary]++;
}

static void equal_weights_get_equal_shares(void **state)
{
	(void)state;
	struct berth_maglev_backend backends[MAX];
	uint32_t counts[MAX + 1];
	for (size_t n = 1; n <= MAX; n *= 10) {
		make_backends(backends, n);
		assert_int_equal(berth_maglev_build(rows_a, ROWS, backends, n, 7), 0);
		count_primaries(rows_a, ROWS, counts);
		assert_int_equal(counts[0], 0);
		for (size_t i = 1; i <= n; i++)
			assert_in_range(counts[i], ROWS / n, ROWS / n + 1);
	}
}

static void shares_follow_weights(void **state)
{
	(void)state;
	struct berth_maglev_backend backends[4];
	uint32_t counts[MAX + 1];
	make_backends(backends, 4);
	backends[0].weight = 1;
	backends[1].weight = 10;
	backends[2].weight = 89;
	backends[3].weight = 0;
	assert_int_equal(berth_maglev_build(rows_a, ROWS, backends, 4, 7), 0);
	count_primaries(rows_a, ROWS, counts);
	assert_in_range(counts[1], ROWS / 100 - 2, ROWS / 100 + 2);
	assert_in_range(counts[2], ROWS / 10 - 2, ROWS / 10 + 2);
	assert_in_range(counts[3], ROWS * 89 / 100 - 2, ROWS * 89 / 100 + 2);
	assert_int_equal(counts[4], 0);
}

static void alternates_differ_from_primaries_and_spread_evenly(void **state)
{
	(void)state;
	struct berth_maglev_backend backends[10];
	uint32_t heirs[11] = {0};
	make_backends(backends, 10);
	assert_int_equal(berth_maglev_build(rows_a, ROWS, backends, 10, 7), 0);
	for (uint32_t i = 0; i < ROWS; i++) {
		assert_int_not_equal(rows_a[i].primary, rows_a[i].alternate);
		assert_int_not_equal(rows_a[i].alternate, 0);
		if (rows_a[i].primary == 1)
			heirs[rows_a[i].alternate]++;
	}
	/* The rows of the removed backend spread evenly over the nine others. */
	for (size_t i = 2; i <= 10; i++)
		assert_in_range(heirs[i], ROWS / 90 * 8 / 10, ROWS / 90 * 12 / 10);
}

static void a_failure_changes_no_primary(void **state)
{
	(void)state;
	struct berth_maglev_backend backends[10];
	make_backends(backends, 10);
	assert_int_equal(berth_maglev_build(rows_a, ROWS, backends, 10, 7), 0);
	backends[3].is_eligible = false;
	backends[4].is_eligible = false;
	assert_int_equal(berth_maglev_build(rows_b, ROWS, backends, 10, 7), 0);
	for (uint32_t i = 0; i < ROWS; i++) {
		assert_int_equal(rows_a[i].primary, rows_b[i].primary);
		assert_int_not_equal(rows_b[i].alternate, 4);
		assert_int_not_equal(rows_b[i].alternate, 5);
		assert_int_not_equal(rows_b[i].alternate, 0);
	}
}

static void a_removal_moves_few_other_rows(void **state)
{
	(void)state;
	struct berth_maglev_backend backends[MAX];
	uint32_t moved = 0;
	make_backends(backends, MAX);
	assert_int_equal(berth_maglev_build(rows_a, ROWS, backends, MAX, 7), 0);
	assert_int_equal(berth_maglev_build(rows_b, ROWS, backends, MAX - 1, 7), 0);
	for (uint32_t i = 0; i < ROWS; i++)
		moved += rows_a[i].primary != MAX && rows_a[i].primary != rows_b[i].primary;
	/* The paper gives 0.57% for 1,000 backends and this many rows. */
	assert_in_range(moved, 0, ROWS / 100);
}

static void neither_order_nor_numbers_matter(void **state)
{
	(void)state;
	struct berth_maglev_backend backends[3], reversed[3];
	make_backends(backends, 3);
	assert_int_equal(berth_maglev_build(rows_a, ROWS, backends, 3, 7), 0);
	for (int i = 0; i < 3; i++)
		reversed[i] = backends[2 - i];
	reversed[2].number = 77;
	assert_int_equal(berth_maglev_build(rows_b, ROWS, reversed, 3, 7), 0);
	for (uint32_t i = 0; i < ROWS; i++)
		assert_int_equal(rows_b[i].primary, rows_a[i].primary == 1 ? 77 : rows_a[i].primary);
}

static void edge_cases(void **state)
{
	(void)state;
	struct berth_maglev_backend backends[2];
	make_backends(backends, 2);
	assert_int_equal(berth_maglev_build(rows_a, 7, backends, 0, 7), 0);
	assert_int_equal(rows_a[0].primary, 0);
	assert_int_equal(berth_maglev_build(rows_a, 7, backends, 1, 7), 0);
	assert_int_equal(rows_a[6].primary, 1);
	assert_int_equal(rows_a[6].alternate, 0);
	backends[0].weight = 0;
	backends[1].weight = 0;
	assert_int_equal(berth_maglev_build(rows_a, 7, backends, 2, 7), 0);
	assert_int_equal(rows_a[3].primary, 0);
	backends[1].weight = 1000;
	backends[1].is_eligible = false;
	assert_int_equal(berth_maglev_build(rows_a, 7, backends, 2, 7), 0);
	assert_int_equal(rows_a[3].primary, 2);
	assert_int_equal(rows_a[3].alternate, 0);
}

/* haproxy 03e9a5a1. Every node and every release must give these tables: another one moves every client that has no
 * session. */
static void golden_tables_never_change(void **state)
{
	(void)state;
	static const struct {
		size_t n;
		uint32_t n_rows;
		uint64_t seed;
		uint64_t hash;
	} golden[] = {
		{1, 13, 0, 0x95c03abb23156225},
		{3, 65537, 42, 0xf2f92c5fbeacbaf4},
		{100, 65537, 42, 0x28a0142fabbe8e99},
		{1000, 65537, 0xfeedfacecafebeef, 0x24405dd131cebe77},
	};
	struct berth_maglev_backend backends[MAX];
	for (size_t i = 0; i < sizeof(golden) / sizeof(golden[0]); i++) {
		make_backends(backends, golden[i].n);
		for (size_t j = 0; j < golden[i].n; j++)
			backends[j].weight = (uint32_t)(1 + j % 7);
		assert_int_equal(
			berth_maglev_build(rows_a, golden[i].n_rows, backends, golden[i].n, golden[i].seed), 0);
		assert_int_equal(XXH64(rows_a, golden[i].n_rows * sizeof(rows_a[0]), 0), golden[i].hash);
	}
}

/* The promise of the warning about weights: with its number of rows, every backend has one. */
static void with_enough_rows_every_backend_has_one(void **state)
{
	(void)state;
	enum {
		MOST = 60
	};
	static char labels[MOST][8];
	static struct berth_row rows[BERTH_MAX_ROWS];
	struct berth_maglev_backend backends[MOST];
	uint32_t random = 1;
	for (int round = 0; round < 40; round++) {
		uint64_t sum = 0, heaviest = 0, lightest = UINT64_MAX;
		size_t n = 2 + (size_t)round;
		for (size_t i = 0; i < n; i++) {
			random = random * 1664525 + 1013904223;
			uint32_t weight = random >> 31 ? 1 + (random >> 8) % 1000 : 1 + (random >> 8) % 5;
			snprintf(labels[i], sizeof(labels[i]), "b%zu", i);
			backends[i] = (struct berth_maglev_backend){labels[i], weight * 10, (uint16_t)(i + 1),
								    true};
			sum += weight;
			heaviest = weight > heaviest ? weight : heaviest;
			lightest = weight < lightest ? weight : lightest;
		}
		for (int scheduler = 0; scheduler < 2; scheduler++) {
			bool seen[MOST + 1] = {false};
			uint64_t size = berth_rules_rows_needed(scheduler ? BERTH_SCHEDULE_ROUND_ROBIN
									  : BERTH_SCHEDULE_MAGLEV,
								sum, heaviest, lightest);
			uint32_t n_rows = (uint32_t)(size > n ? size : n + 1);
			while (!berth_config_is_prime(n_rows))
				n_rows++;
			if (scheduler)
				assert_int_equal(berth_round_robin_build(rows, n_rows, backends, n, &n_rows), 0);
			else
				assert_int_equal(berth_maglev_build(rows, n_rows, backends, n, (uint64_t)round), 0);
			for (uint32_t i = 0; i < n_rows; i++)
				seen[rows[i].primary] = true;
			for (size_t i = 1; i <= n; i++)
				assert_true(seen[i]);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(with_enough_rows_every_backend_has_one),
		cmocka_unit_test(equal_weights_get_equal_shares),
		cmocka_unit_test(shares_follow_weights),
		cmocka_unit_test(alternates_differ_from_primaries_and_spread_evenly),
		cmocka_unit_test(a_failure_changes_no_primary),
		cmocka_unit_test(a_removal_moves_few_other_rows),
		cmocka_unit_test(neither_order_nor_numbers_matter),
		cmocka_unit_test(edge_cases),
		cmocka_unit_test(golden_tables_never_change),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
