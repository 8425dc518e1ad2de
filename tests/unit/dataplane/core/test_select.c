// SPDX-License-Identifier: BSD-3-Clause
/* select.h: the backend of a tag. */
#include "tests/unit/dataplane/core/image.h"

enum {
	SERVICE = 2,
	TAGS = 1 << BERTH_TAG_BITS,
};

static struct berth_view view;
static struct berth_service *service;

static int set_up(void **state)
{
	static const uint16_t backends[] = {1, 2, 3, 4};
	set_up_image(state);
	service = fixture_service(&image, SERVICE, "203.0.113.10", BERTH_PROTO_TCP, 80, BERTH_AFFINITY_FLOW);
	for (uint32_t i = 1; i <= 4; i++)
		fixture_backend(&image, i, SERVICE, BERTH_MODE_L2, "192.0.2.1");
	fixture_rows(&image, SERVICE, backends, COUNT(backends));
	view = fixture_view(&image, FIXTURE_NOW);
	return 0;
}

static uint32_t tag_of_row(uint32_t row)
{
	return (uint32_t)(((uint64_t)row * TAGS + FIXTURE_ROWS - 1) / FIXTURE_ROWS);
}

static void rows_have_equal_shares_of_the_tags(void **state)
{
	(void)state;
	static const uint32_t sizes[] = {1, 2, 3, 16, 251, 65537, BERTH_MAX_ROWS};
	for (size_t i = 0; i < COUNT(sizes); i++) {
		uint32_t rows = sizes[i];
		assert_int_equal(berth_row_of_tag(0, rows), 0);
		assert_int_equal(berth_row_of_tag(TAGS - 1, rows), rows - 1);
		/* Rows differ by at most one tag. */
		for (uint32_t row = 1; row < rows && row < 1000; row++) {
			uint32_t first = (uint32_t)(((uint64_t)row * TAGS + rows - 1) / rows);
			assert_int_equal(berth_row_of_tag(first, rows), row);
			assert_int_equal(berth_row_of_tag(first - 1, rows), row - 1);
		}
	}
}

static void the_primary_is_selected(void **state)
{
	(void)state;
	for (uint32_t row = 0; row < FIXTURE_ROWS; row++)
		assert_int_equal(berth_select(&view, SERVICE, tag_of_row(row)), 1 + row % 4);
}

static void the_alternate_is_selected_if_the_primary_is_not_eligible(void **state)
{
	(void)state;
	static const uint8_t closed[] = {0, BERTH_ELIGIBLE_FLOWS, BERTH_ELIGIBLE_SESSIONS,
					 BERTH_ELIGIBLE_FLOWS | BERTH_ELIGIBLE_SESSIONS};
	for (size_t i = 0; i < COUNT(closed); i++) {
		fixture_set_eligibility(&image, 2, closed[i]);
		for (uint32_t row = 0; row < FIXTURE_ROWS; row++) {
			uint32_t first = 1 + row % 4;
			assert_int_equal(berth_select(&view, SERVICE, tag_of_row(row)), first == 2 ? 3 : first);
		}
	}
}

static void a_tag_keeps_its_backend_when_others_change(void **state)
{
	(void)state;
	for (uint32_t row = 0; row < FIXTURE_ROWS; row += 4) {
		fixture_set_eligibility(&image, 2, 0);
		fixture_set_eligibility(&image, 3, 0);
		assert_int_equal(berth_select(&view, SERVICE, tag_of_row(row)), 1);
		fixture_set_eligibility(&image, 2, BERTH_ELIGIBLE_ALL);
		fixture_set_eligibility(&image, 3, BERTH_ELIGIBLE_ALL);
		assert_int_equal(berth_select(&view, SERVICE, tag_of_row(row)), 1);
	}
}

static void more_rows_are_tried_if_both_backends_are_not_eligible(void **state)
{
	(void)state;
	fixture_set_eligibility(&image, 2, 0);
	fixture_set_eligibility(&image, 3, 0);
	uint32_t got = 0;
	for (uint32_t row = 1; row < FIXTURE_ROWS; row += 4) {
		for (uint32_t i = 0; i < 64; i++) {
			uint32_t backend = berth_select(&view, SERVICE, tag_of_row(row) + i * 4099);
			assert_true(backend == 0 || backend == 1 || backend == 4);
			/* A tag always gets the same backend. */
			assert_int_equal(backend, berth_select(&view, SERVICE, tag_of_row(row) + i * 4099));
			got += backend != 0;
		}
	}
	assert_in_range(got, 4 * 64 - 4,
			4 * 64); /* a quarter of the rows has no eligible backend: 1 in 4^7 tags finds none */
}

static void no_backend_is_selected_if_none_is_eligible(void **state)
{
	(void)state;
	for (uint32_t i = 1; i <= 4; i++)
		fixture_set_eligibility(&image, i, BERTH_ELIGIBLE_FLOWS | BERTH_ELIGIBLE_SESSIONS);
	for (uint32_t row = 0; row < FIXTURE_ROWS; row++)
		assert_int_equal(berth_select(&view, SERVICE, tag_of_row(row)), 0);
}

static void no_backend_is_selected_without_rows(void **state)
{
	(void)state;
	service->rows = 0;
	assert_int_equal(berth_select(&view, SERVICE, 12345), 0);
}

/* glb 0ca5783b: a table was used before it was filled. Here empty rows, or lines outside the section, give no
 * backend, with any eligibility. */
static void no_backend_is_selected_from_empty_rows(void **state)
{
	(void)state;
	memset(&image.rows[SERVICE], 0, sizeof(image.rows[SERVICE]));
	assert_int_equal(berth_select(&view, SERVICE, 12345), 0);
	service->row_line = image.geometry.row_lines;
	assert_int_equal(berth_select(&view, SERVICE, 12345), 0);
	service->row_line = UINT32_MAX;
	assert_int_equal(berth_select(&view, SERVICE, 12345), 0);
}

static void a_row_can_have_no_alternate(void **state)
{
	(void)state;
	static const uint16_t alone[] = {1};
	fixture_rows(&image, SERVICE, alone, 1);
	assert_int_equal(berth_select(&view, SERVICE, 12345), 1);
	fixture_set_eligibility(&image, 1, 0);
	assert_int_equal(berth_select(&view, SERVICE, 12345), 0);
}

/* Row 0 has backends 1 and 2. The product of both words may exceed 32 bits. */
static void the_lower_load_times_cost_of_a_row_is_selected(void **state)
{
	(void)state;
	static const struct {
		struct berth_load_cell cell[2];
		uint32_t backend;
	} cases[] = {
		{{{10, 0}, {10, 0}}, 1},
		{{{11, 0}, {10, 0}}, 2},
		{{{10, 1000}, {10, 1000}}, 1},
		{{{10, 3000}, {29, 1000}}, 2},
		{{{10, 3000}, {30, 1000}}, 1},
		{{{10, 0}, {5, 2}}, 1}, /* a cost of 0 counts as 1 */
		{{{11, 0}, {5, 2}}, 2},
		{{{0, 1000}, {0, 1}}, 1},
		{{{INT32_MAX, INT32_MAX}, {INT32_MAX, INT32_MAX - 1}}, 2},
		{{{10, BERTH_COST_OF_CONNECTIONS | 3000}, {29, BERTH_COST_OF_CONNECTIONS | 1000}}, 2},
		{{{10, BERTH_COST_OF_CONNECTIONS | 3000}, {30, BERTH_COST_OF_CONNECTIONS | 1000}}, 1},
		{{{10, BERTH_COST_OF_CONNECTIONS}, {5, BERTH_COST_OF_CONNECTIONS | 2}}, 1},
		/* Costs of the two scales are not compared. */
		{{{10, BERTH_COST_OF_CONNECTIONS | 3000}, {11, 1}}, 1},
		{{{11, 1}, {10, BERTH_COST_OF_CONNECTIONS | 3000}}, 2},
		{{{1 << 20, 1 << 12}, {1, 1}}, 2},
	};
	service->scheduler = BERTH_SCHEDULER_LEAST_CONN;
	for (size_t i = 0; i < COUNT(cases); i++) {
		for (uint32_t j = 0; j < 2; j++)
			*berth_load_of(&view, 1 + j) = cases[i].cell[j];
		assert_int_equal(berth_select(&view, SERVICE, tag_of_row(0)), cases[i].backend);
	}
}

static void a_backend_number_outside_the_table_is_not_eligible(void **state)
{
	(void)state;
	assert_int_equal(berth_eligibility(&view, image.geometry.backends), 0);
	assert_int_equal(berth_eligibility(&view, 65535), 0);
	assert_int_equal(berth_eligibility(&view, 4), BERTH_ELIGIBLE_ALL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(rows_have_equal_shares_of_the_tags),
		TEST(the_lower_load_times_cost_of_a_row_is_selected),
		TEST(the_primary_is_selected),
		TEST(the_alternate_is_selected_if_the_primary_is_not_eligible),
		TEST(a_tag_keeps_its_backend_when_others_change),
		TEST(more_rows_are_tried_if_both_backends_are_not_eligible),
		TEST(no_backend_is_selected_if_none_is_eligible),
		TEST(no_backend_is_selected_without_rows),
		TEST(no_backend_is_selected_from_empty_rows),
		TEST(a_row_can_have_no_alternate),
		TEST(a_backend_number_outside_the_table_is_not_eligible),
	};
	return cmocka_run_group_tests_name("select", tests, NULL, NULL);
}
