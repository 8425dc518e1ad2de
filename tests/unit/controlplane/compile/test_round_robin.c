// SPDX-License-Identifier: BSD-3-Clause
/* The rows of the scheduler round-robin: shares in every window, alternates, backends without rows. */
#include <stdio.h>
#include <string.h>

#include "controlplane/compile/round_robin.h"

#include "tests/support/unit.h"

enum {
	ROWS = 65537,
	MAX = 1000,
};

static struct berth_row rows[ROWS];
static char names[MAX][16];
static struct berth_maglev_backend backends[MAX];

static void make_backends(size_t n, const uint32_t *weights)
{
	for (size_t i = 0; i < n; i++) {
		snprintf(names[i], sizeof(names[i]), "backend-%zu", i);
		backends[i] = (struct berth_maglev_backend){names[i], weights[i], (uint16_t)(i + 1), true};
	}
}

static uint32_t build(size_t n, uint32_t capacity)
{
	uint32_t n_rows = 0;
	assert_int_equal(berth_round_robin_build(rows, capacity, backends, n, &n_rows), 0);
	return n_rows;
}

static uint64_t sum_of(size_t n)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < n; i++)
		sum += backends[i].weight;
	return sum;
}

/* Each backend has its share of the first k rows, rounded up or down, for all k. */
static void check_prefixes(size_t n, uint32_t n_rows)
{
	uint64_t sum = sum_of(n), counts[MAX + 1] = {0};
	for (uint32_t k = 1; k <= n_rows; k++) {
		counts[rows[k - 1].primary]++;
		for (size_t i = 0; i < n; i++) {
			uint64_t share = k * (uint64_t)backends[i].weight; /* times the sum */
			uint64_t has = counts[i + 1] * sum;
			if (has + sum <= share || has >= share + sum)
				fail_msg("backend %zu of %zu has %llu of %u rows", i, n,
					 (unsigned long long)counts[i + 1], k);
		}
	}
}

static void every_prefix_of_the_rows_has_the_shares_of_the_weights(void **state)
{
	(void)state;
	static const uint32_t cases[][5] = {{1, 1, 1, 1, 1}, {1, 2, 3, 4, 5},	  {1000, 1, 1, 1, 1},
					    {100, 100, 50},  {997, 991, 983, 10}, {7},
					    {3, 3, 1, 1, 1}};
	for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
		size_t n = 0;
		while (n < 5 && cases[c][n])
			n++;
		make_backends(n, cases[c]);
		check_prefixes(n, build(n, ROWS));
	}
}

/* Also across the end: the first row follows the last. */
static void every_window_is_less_than_two_rows_off_its_shares(void **state)
{
	(void)state;
	static const uint32_t weights[] = {5, 3, 2, 1, 1};
	make_backends(5, weights);
	uint32_t n_rows = build(5, ROWS);
	assert_int_equal(n_rows, 12);
	for (uint32_t begin = 0; begin < n_rows; begin++) {
		int counts[6] = {0};
		for (uint32_t k = 1; k <= 100; k++) {
			counts[rows[(begin + k - 1) % n_rows].primary]++;
			for (int i = 0; i < 5; i++) {
				int away = counts[i + 1] * 12 - (int)(k * weights[i]);
				assert_true(away > -2 * 12 && away < 2 * 12);
			}
		}
	}
}

static void shares_that_need_more_rows_are_cut_off(void **state)
{
	(void)state;
	static uint32_t weights[MAX];
	for (size_t i = 0; i < MAX; i++)
		weights[i] = (uint32_t)(1 + i * 7919 % 1000);
	make_backends(MAX, weights);
	uint32_t n_rows = build(MAX, ROWS);
	assert_int_equal(n_rows, ROWS);
	uint64_t counts[MAX + 1] = {0}, sum = sum_of(MAX);
	for (uint32_t i = 0; i < n_rows; i++)
		counts[rows[i].primary]++;
	for (size_t i = 0; i < MAX; i++)
		assert_in_range(counts[i + 1], ROWS * (uint64_t)weights[i] / sum,
				ROWS * (uint64_t)weights[i] / sum + 1);
}

static void the_alternate_is_the_next_other_backend(void **state)
{
	(void)state;
	static const uint32_t weights[] = {1, 1, 1};
	make_backends(3, weights);
	assert_int_equal(build(3, ROWS), 3);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(rows[i].primary, i + 1);
		assert_int_equal(rows[i].alternate, (i + 1) % 3 + 1);
	}
	static const uint32_t uneven[] = {300, 100};
	make_backends(2, uneven);
	assert_int_equal(build(2, ROWS), 4);
	for (int i = 0; i < 4; i++)
		assert_int_equal(rows[i].alternate, 3 - rows[i].primary);
}

static void backends_that_are_down_or_without_weight_have_no_rows(void **state)
{
	(void)state;
	static const uint32_t weights[] = {1, 1, 0, 1};
	make_backends(4, weights);
	backends[1].is_eligible = false;
	assert_int_equal(build(4, ROWS), 2);
	assert_int_equal(rows[0].primary, 1);
	assert_int_equal(rows[1].primary, 4);
	/* If none is eligible, all have rows, because any can be the first to come back. */
	backends[0].is_eligible = backends[3].is_eligible = false;
	assert_int_equal(build(4, ROWS), 3);
	backends[1].is_eligible = true;
	assert_int_equal(build(4, ROWS), 1);
	assert_int_equal(rows[0].primary, 2);
	assert_int_equal(rows[0].alternate, 0);
}

static void neither_order_nor_numbers_matter(void **state)
{
	(void)state;
	static const uint32_t weights[] = {3, 2, 1};
	struct berth_row before[6];
	make_backends(3, weights);
	assert_int_equal(build(3, ROWS), 6);
	memcpy(before, rows, sizeof(before));
	struct berth_maglev_backend first = backends[0];
	backends[0] = backends[2];
	backends[2] = first;
	backends[2].number = 77;
	assert_int_equal(build(3, ROWS), 6);
	for (int i = 0; i < 6; i++)
		assert_int_equal(rows[i].primary, before[i].primary == 1 ? 77 : before[i].primary);
}

static void without_backends_the_rows_are_empty(void **state)
{
	(void)state;
	static const uint32_t weights[] = {0};
	assert_int_equal(build(0, 7), 7);
	assert_int_equal(rows[0].primary, 0);
	make_backends(1, weights);
	assert_int_equal(build(1, 7), 7);
	assert_int_equal(rows[6].primary, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_prefix_of_the_rows_has_the_shares_of_the_weights),
		cmocka_unit_test(every_window_is_less_than_two_rows_off_its_shares),
		cmocka_unit_test(shares_that_need_more_rows_are_cut_off),
		cmocka_unit_test(the_alternate_is_the_next_other_backend),
		cmocka_unit_test(backends_that_are_down_or_without_weight_have_no_rows),
		cmocka_unit_test(neither_order_nor_numbers_matter),
		cmocka_unit_test(without_backends_the_rows_are_empty),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
