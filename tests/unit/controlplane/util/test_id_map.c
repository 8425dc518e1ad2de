// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/util/id_map.h"

#include "tests/support/unit.h"

/* Ids with equal low bits, which begin at the same slot. */
static uint64_t id_of(uint64_t i)
{
	return (i + 1) << 40 | i % 3;
}

static void each_id_has_its_value_and_no_other_id_is_found(void **state)
{
	struct berth_id_map map;
	uint64_t value;
	(void)state;
	assert_int_equal(berth_id_map_init(&map, 1000), 0);
	for (uint64_t i = 0; i < 1000; i++)
		berth_id_map_add(&map, id_of(i), i);
	for (uint64_t i = 0; i < 1000; i++) {
		assert_true(berth_id_map_find(&map, id_of(i), &value));
		assert_int_equal(value, i);
		assert_false(berth_id_map_find(&map, id_of(1000 + i), &value));
	}
	assert_false(berth_id_map_find(&map, 0, &value));
	berth_id_map_free(&map);
	assert_false(berth_id_map_find(&map, id_of(0), &value));
}

static void the_first_value_of_an_id_stays(void **state)
{
	struct berth_id_map map;
	uint64_t value;
	(void)state;
	assert_int_equal(berth_id_map_init(&map, 2), 0);
	berth_id_map_add(&map, 7, 1);
	berth_id_map_add(&map, 7, 2);
	assert_true(berth_id_map_find(&map, 7, &value));
	assert_int_equal(value, 1);
	berth_id_map_free(&map);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_id_has_its_value_and_no_other_id_is_found),
		cmocka_unit_test(the_first_value_of_an_id_stays),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
