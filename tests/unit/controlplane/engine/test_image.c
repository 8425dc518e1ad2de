// SPDX-License-Identifier: BSD-3-Clause
/* A new image is compatible with its own geometry and ABI version, and with no other. */
#include "tests/support/control.h"

static struct berth_engine *new_engine(struct berth_geometry *geometry)
{
	char error[BERTH_ERROR_BYTES];
	struct berth_config *config = configure("");
	*geometry = berth_geometry_of(&config->limits, 251, 2);
	struct berth_engine *engine = berth_engine_null.open(config, NULL, geometry, error);
	assert_non_null(engine);
	berth_config_free(config);
	return engine;
}

static void a_new_image_is_compatible_with_its_geometry(void **state)
{
	(void)state;
	char error[BERTH_ERROR_BYTES] = "";
	struct berth_geometry geometry;
	struct berth_engine *engine = new_engine(&geometry);
	assert_true(berth_image_is_compatible(&engine->image, NULL, error));
	assert_string_equal(error, "");
	assert_int_equal(engine->image.ctl->generation, 0);
	engine->ops->close(engine, true);
}

static void two_images_have_different_secrets(void **state)
{
	(void)state;
	struct berth_geometry geometry;
	struct berth_engine *one = new_engine(&geometry), *other = new_engine(&geometry);
	assert_memory_not_equal(one->image.ctl->secret, other->image.ctl->secret, sizeof(one->image.ctl->secret));
	one->ops->close(one, true);
	other->ops->close(other, true);
}

static void another_geometry_is_rejected_with_the_reason(void **state)
{
	(void)state;
	char error[BERTH_ERROR_BYTES] = "";
	struct berth_geometry geometry;
	struct berth_engine *engine = new_engine(&geometry);
	engine->image.geometry.flow_buckets *= 2;
	assert_false(berth_image_is_compatible(&engine->image, NULL, error));
	assert_string_equal(error, "the limits were changed");
	engine->ops->close(engine, true);
}

static void packets_are_received_until_the_worker_that_polled_longest_ago(void **state)
{
	(void)state;
	struct berth_geometry geometry;
	struct berth_engine *engine = new_engine(&geometry);
	struct berth_worker *workers = engine->image.workers;
	assert_int_equal(geometry.workers, 2);
	/* Workers of XDP do not poll. */
	workers[0].running = workers[1].running = 1;
	assert_true(berth_engine_received_until_ms(engine) == UINT64_MAX);
	workers[0].polled_ns = 7000000000;
	assert_int_equal(berth_engine_received_until_ms(engine), 7000);
	workers[1].polled_ns = 6999000000;
	assert_int_equal(berth_engine_received_until_ms(engine), 6999);
	workers[1].running = 0;
	assert_int_equal(berth_engine_received_until_ms(engine), 7000);
	engine->ops->close(engine, true);
}

static void another_version_is_rejected_with_the_reason(void **state)
{
	(void)state;
	char error[BERTH_ERROR_BYTES] = "";
	struct berth_geometry geometry;
	struct berth_engine *engine = new_engine(&geometry);
	engine->image.ctl->abi++;
	assert_false(berth_image_is_compatible(&engine->image, NULL, error));
	assert_string_equal(error, "another version of berth created them");
	engine->ops->close(engine, true);
}

static void an_unfinished_image_is_rejected_with_the_reason(void **state)
{
	(void)state;
	char error[BERTH_ERROR_BYTES] = "";
	struct berth_geometry geometry;
	struct berth_engine *engine = new_engine(&geometry);
	engine->image.ctl->magic = 0;
	assert_false(berth_image_is_compatible(&engine->image, NULL, error));
	assert_string_equal(error, "their creation was interrupted");
	engine->ops->close(engine, true);
}

/* berthd may end between the two steps in which it drops a former table. */
static void a_former_table_is_the_one_that_is_read_or_none_is_read(void **state)
{
	(void)state;
	char error[BERTH_ERROR_BYTES] = "";
	struct berth_geometry geometry;
	struct berth_engine *engine = new_engine(&geometry);
	struct berth_image *image = &engine->image;
	for (int i = 0; i < 2; i++) {
		uint8_t *mapped = i ? &image->former_session_bits : &image->former_flow_bits;
		uint8_t *read = i ? &image->ctl->former_session_bits : &image->ctl->former_flow_bits;
		*mapped = 5;
		assert_true(berth_image_is_compatible(image, NULL, error));
		*read = 5;
		assert_true(berth_image_is_compatible(image, NULL, error));
		*read = 6;
		assert_false(berth_image_is_compatible(image, NULL, error));
		assert_string_equal(error, "tables of a former size are no longer read");
		*mapped = *read = 0;
	}
	engine->ops->close(engine, true);
}

/* Each number of a generation that is used as an index. */
static void an_index_out_of_bounds_is_rejected_with_the_reason(void **state)
{
	(void)state;
	struct berth_geometry g;
	struct berth_engine *engine = new_engine(&g);
	const struct berth_image_half half = berth_image_current(&engine->image);
#define EXPECT(field, value, reason)                                                                               \
	do {                                                                                                       \
		char error[BERTH_ERROR_BYTES] = "";                                                                \
		__typeof__(field) before = (field);                                                                \
		(field) = (__typeof__(field))(value);                                                              \
		assert_false(berth_image_is_compatible(&engine->image, NULL, error));                              \
		assert_string_equal(error, reason);                                                                \
		(field) = before;                                                                                  \
		assert_true(berth_image_is_compatible(&engine->image, NULL, error));                               \
	} while (0)
	half.services[1].rows = 251;
	EXPECT(half.services[1].rows, BERTH_MAX_ROWS + 1, "a service is damaged");
	EXPECT(half.services[1].row_line, g.row_lines, "a service is damaged");
	EXPECT(half.services[1].row_line, UINT32_MAX, "a service is damaged");
	EXPECT(half.services[1].session_service, g.services, "a service is damaged");
	EXPECT(half.services[1].prefix4, 33, "a service is damaged");
	EXPECT(half.services[1].prefix6, 129, "a service is damaged");
	EXPECT(engine->image.rows[15].row[10].primary, g.backends, "a service is damaged");
	EXPECT(engine->image.rows[15].row[10].alternate, g.backends, "a service is damaged");
	EXPECT(half.backends[1].service, g.services, "a backend is damaged");
	EXPECT(half.backends[1].port, BERTH_MAX_PORTS, "a backend is damaged");
	EXPECT(half.backends[1].mode, BERTH_MODE_COUNT, "a backend is damaged");
	EXPECT(half.backends[1].source_bits, BERTH_MAX_SOURCE_BITS + 1, "a backend is damaged");
	EXPECT(half.backends[1].sibling, g.backends, "a backend is damaged");
	EXPECT(half.backends[1].backup, g.backends, "a backend is damaged");
	EXPECT(half.vips[g.vips - 1].service, g.services, "the classifier is damaged");
	EXPECT(half.globals->prefix_bits[0], 129, "the globals are damaged");
	EXPECT(half.globals->route[0].bits, 129, "the globals are damaged");
	EXPECT(half.globals->route[0].port, BERTH_MAX_PORTS, "the globals are damaged");
#undef EXPECT
	engine->ops->close(engine, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_image_is_compatible_with_its_geometry),
		cmocka_unit_test(two_images_have_different_secrets),
		cmocka_unit_test(another_geometry_is_rejected_with_the_reason),
		cmocka_unit_test(packets_are_received_until_the_worker_that_polled_longest_ago),
		cmocka_unit_test(another_version_is_rejected_with_the_reason),
		cmocka_unit_test(an_unfinished_image_is_rejected_with_the_reason),
		cmocka_unit_test(a_former_table_is_the_one_that_is_read_or_none_is_read),
		cmocka_unit_test(an_index_out_of_bounds_is_rejected_with_the_reason),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
