// SPDX-License-Identifier: BSD-3-Clause
/* former_rows.h, compile, publish: the backends that rows had before, as the engines read them. */
#include "tests/support/control.h"

#include "controlplane/model/former_rows.h"
#include "dataplane/core/select.h"
#include "dataplane/interface/image_check.h"

enum {
	ROWS = 251,
	HOUR = 3600,
	NOW = 1000,
};

struct hop_rig {
	struct berth_model model;
	struct berth_engine *engine;
	struct berth_publisher *publisher;
};

/* Services "web" and "other" in mode gue. `keys`: more of web's; `backends`: web's, a name and number each. */
static struct berth_config *gue(const char *keys, const char *backends)
{
	char text[2048];
	int n = snprintf(
		text, sizeof(text),
		"  - {name: web, address: 203.0.113.10, port: 80, mode: gue, table-size: 251, %s backends: [",
		keys);
	for (; *backends; backends++)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "{name: %c, address: 192.0.2.%d},", *backends,
			      *backends);
	snprintf(text + n, sizeof(text) - (size_t)n,
		 "]}\n  - {name: other, address: 203.0.113.11, port: 80, mode: gue, table-size: 251, second-hop: "
		 "1h, "
		 "backends: [{name: x, address: 192.0.2.1}, {name: y, address: 192.0.2.2}]}\n");
	return configure(text);
}

static const char *const on = "second-hop: 1h,";

static void publish(struct hop_rig *rig)
{
	all_up(&rig->model);
	assert_int_equal(publish_model(rig->publisher, rig->engine, &rig->model), 0);
	assert_null(berth_image_fault(&rig->engine->image));
}

static void apply(struct hop_rig *rig, struct berth_config *config)
{
	char error[BERTH_ERROR_BYTES];
	assert_int_equal(berth_model_apply(&rig->model, config, error), 0);
	publish(rig);
}

static struct hop_rig rig_of(const struct berth_config *config)
{
	struct hop_rig rig = {.engine = null_engine(config)};
	rig.publisher = berth_publisher_new(rig.engine);
	assert_int_equal(berth_model_init(&rig.model, &rig.engine->image.geometry), 0);
	return rig;
}

/* The first health checks are done. */
static void begin(struct hop_rig *rig)
{
	for (size_t i = 0; i < rig->model.n_services; i++) {
		rig->model.services[i].is_health_known = true;
		berth_former_rows_begin(&rig->model.services[i]);
	}
	assert_false(berth_former_rows_step(&rig->model, NOW));
}

static struct hop_rig rig_with(struct berth_config *config)
{
	struct hop_rig rig = rig_of(config);
	apply(&rig, config);
	begin(&rig);
	return rig;
}

static void drop(struct hop_rig *rig)
{
	berth_publisher_free(rig->publisher);
	rig->engine->ops->close(rig->engine, true);
	berth_model_clear(&rig->model);
}

static struct berth_model_service *web(struct hop_rig *rig)
{
	return berth_model_service(&rig->model, "web");
}

static uint32_t tag_of(uint32_t row)
{
	return (uint32_t)((((uint64_t)row << BERTH_TAG_BITS) + ROWS - 1) / ROWS);
}

/* What an engine reads: the primaries of all rows of a service, now or before. */
static void read_rows(struct hop_rig *rig, const char *name, bool former, uint32_t rows[ROWS])
{
	const struct berth_view view = berth_image_view(&rig->engine->image, 0, 0);
	const struct berth_service *service = berth_service_of(&view,
							       berth_model_service(&rig->model, name)->number);
	assert_int_equal(service->rows, ROWS);
	for (uint32_t i = 0; i < ROWS; i++)
		rows[i] = former ? berth_former_primary(&view, service, tag_of(i))
				 : berth_row_at(&view, service, i).primary;
}

static uint32_t count_former(struct hop_rig *rig)
{
	uint32_t rows[ROWS], n = 0;
	read_rows(rig, "web", true, rows);
	for (uint32_t i = 0; i < ROWS; i++)
		n += rows[i] != 0;
	return n;
}

/* Each row that had another primary has it as its former one, and no other row has one. */
static void assert_former_is(struct hop_rig *rig, const uint32_t before[ROWS])
{
	uint32_t now[ROWS], former[ROWS];
	read_rows(rig, "web", false, now);
	read_rows(rig, "web", true, former);
	for (uint32_t i = 0; i < ROWS; i++)
		assert_int_equal(former[i], before[i] == now[i] ? 0 : before[i]);
}

static void a_changed_row_has_the_backend_before(void **state)
{
	(void)state;
	uint32_t before[ROWS], others[ROWS], others_after[ROWS];
	struct hop_rig rig = rig_with(gue(on, "ab"));
	assert_int_equal(count_former(&rig), 0);
	read_rows(&rig, "web", false, before);
	read_rows(&rig, "other", false, others);
	for (int i = 0; i < 2; i++) {
		/* Both halves. */
		apply(&rig, gue(on, "abc"));
		assert_former_is(&rig, before);
		assert_in_range(count_former(&rig), ROWS / 4, ROWS / 2);
		read_rows(&rig, "other", false, others_after);
		assert_memory_equal(others_after, others, sizeof(others));
	}
	read_rows(&rig, "other", true, others_after);
	for (uint32_t i = 0; i < ROWS; i++)
		assert_int_equal(others_after[i], 0);
	drop(&rig);
}

/* A backend that is added changes rows before and after its first health checks: what a row gave between them does
 * not take the place of what it gave before, but what it gives a minute later does. */
static void the_backend_before_a_short_one_stays(void **state)
{
	(void)state;
	char error[BERTH_ERROR_BYTES];
	uint32_t before[ROWS], between[ROWS], now[ROWS], former[ROWS], changed_twice = 0;
	struct hop_rig rig = rig_with(gue(on, "ab"));
	read_rows(&rig, "web", false, before);
	assert_int_equal(berth_model_apply(&rig.model, gue(on, "abc"), error), 0);
	web(&rig)->backends[2].health = BERTH_HEALTH_DOWN;
	assert_int_equal(publish_model(rig.publisher, rig.engine, &rig.model), 0);
	assert_false(berth_former_rows_step(&rig.model, NOW));
	for (uint32_t i = 0; i < ROWS; i++) {
		const struct berth_row *row = &web(&rig)->rows[i];
		between[i] = row->primary == web(&rig)->backends[2].number ? row->alternate : row->primary;
	}
	publish(&rig);
	read_rows(&rig, "web", false, now);
	read_rows(&rig, "web", true, former);
	for (uint32_t i = 0; i < ROWS; i++) {
		changed_twice += before[i] != now[i] && between[i] != before[i] && between[i] != now[i];
		if (before[i] != now[i])
			assert_int_equal(former[i], before[i]);
	}
	assert_in_range(changed_twice, 1, ROWS);
	assert_false(berth_former_rows_step(&rig.model, NOW));
	assert_false(berth_former_rows_step(&rig.model, NOW + 60));
	uint32_t last[ROWS], replaced = 0;
	apply(&rig, gue(on, "abcd"));
	read_rows(&rig, "web", false, last);
	read_rows(&rig, "web", true, former);
	for (uint32_t i = 0; i < ROWS; i++)
		if (last[i] != now[i] && now[i] != before[i] && last[i] != before[i]) {
			assert_int_equal(former[i], now[i]);
			replaced++;
		}
	assert_in_range(replaced, 1, ROWS);
	drop(&rig);
}

/* They come one after another, and each gives rows to a backend. */
static void the_first_health_checks_are_no_change(void **state)
{
	(void)state;
	char error[BERTH_ERROR_BYTES];
	struct berth_config *config = gue(on, "ab");
	struct hop_rig rig = rig_of(config);
	assert_int_equal(berth_model_apply(&rig.model, config, error), 0);
	all_up(&rig.model);
	web(&rig)->backends[1].health = BERTH_HEALTH_UNKNOWN;
	assert_int_equal(publish_model(rig.publisher, rig.engine, &rig.model), 0);
	/* The check that completes them, and a scan that ends before their tables are built. */
	web(&rig)->is_health_known = true;
	assert_false(berth_former_rows_step(&rig.model, NOW));
	publish(&rig);
	assert_int_equal(count_former(&rig), 0);
	web(&rig)->backends[1].health = BERTH_HEALTH_DOWN;
	assert_int_equal(publish_model(rig.publisher, rig.engine, &rig.model), 0);
	assert_in_range(count_former(&rig), ROWS / 4, ROWS);
	drop(&rig);
}

static void without_second_hop_there_is_none(void **state)
{
	(void)state;
	struct hop_rig rig = rig_with(gue("", "ab"));
	apply(&rig, gue("", "abc"));
	assert_int_equal(count_former(&rig), 0);
	assert_null(web(&rig)->former);
	apply(&rig, gue(on, "abc"));
	assert_int_equal(count_former(&rig), 0);
	apply(&rig, gue(on, "abcd"));
	assert_in_range(count_former(&rig), 1, ROWS);
	apply(&rig, gue("", "abcd"));
	assert_int_equal(count_former(&rig), 0);
	/* At once: a plan with second-hop may read what it shares with the model in several turns. */
	assert_null(web(&rig)->former);
	drop(&rig);
}

/* Primaries stay, and alternates take new flows. */
static void a_drain_and_a_failure_are_changes_too(void **state)
{
	(void)state;
	uint32_t primaries[ROWS], former[ROWS];
	struct hop_rig rig = rig_with(gue(on, "ab"));
	struct berth_model_backend *a = &web(&rig)->backends[0], *b = &web(&rig)->backends[1];
	read_rows(&rig, "web", false, primaries);
	for (int i = 0; i < 2; i++) {
		berth_model_set_admin(&rig.model, a, i ? BERTH_ADMIN_ENABLED : BERTH_ADMIN_DRAINING, 0);
		publish(&rig);
		read_rows(&rig, "web", true, former);
		for (uint32_t row = 0; row < ROWS; row++)
			assert_int_equal(former[row], primaries[row] == b->number ? 0 : i ? b->number : a->number);
	}
	a->health = b->health = BERTH_HEALTH_DOWN;
	assert_int_equal(publish_model(rig.publisher, rig.engine, &rig.model), 0);
	publish(&rig);
	read_rows(&rig, "web", true, former);
	for (uint32_t row = 0; row < ROWS; row++)
		assert_int_equal(former[row], primaries[row] == b->number ? 0 : b->number);
	drop(&rig);
}

static void a_former_backend_ends_after_the_configured_time(void **state)
{
	(void)state;
	struct hop_rig rig = rig_with(gue(on, "ab"));
	apply(&rig, gue(on, "abc"));
	const uint32_t n = count_former(&rig);
	assert_false(berth_former_rows_step(&rig.model, NOW));
	assert_false(berth_former_rows_step(&rig.model, NOW + HOUR / 2));
	/* Those of another change have a time of their own. */
	apply(&rig, gue(on, "abcd"));
	assert_false(berth_former_rows_step(&rig.model, NOW + HOUR - 1));
	assert_true(count_former(&rig) > n);
	assert_true(berth_former_rows_step(&rig.model, NOW + HOUR));
	publish(&rig);
	assert_in_range(count_former(&rig), 1, ROWS / 2);
	assert_false(berth_former_rows_step(&rig.model, NOW + 2 * HOUR - 2));
	assert_true(berth_former_rows_step(&rig.model, NOW + 2 * HOUR - 1));
	publish(&rig);
	assert_int_equal(count_former(&rig), 0);
	assert_int_equal(berth_former_rows_count(web(&rig)), 0);
	drop(&rig);
}

static void a_removed_backend_is_none_although_its_number_is_used_again(void **state)
{
	(void)state;
	struct hop_rig rig = rig_with(gue(on, "ab"));
	apply(&rig, gue(on, "abc"));
	const uint32_t a = web(&rig)->backends[0].number;
	apply(&rig, gue(on, "bc"));
	uint32_t former[ROWS];
	read_rows(&rig, "web", true, former);
	for (uint32_t i = 0; i < ROWS; i++)
		assert_int_not_equal(former[i], a);
	drop(&rig);
}

static void an_apply_that_fails_changes_nothing(void **state)
{
	(void)state;
	char error[BERTH_ERROR_BYTES];
	struct berth_model stage;
	struct hop_rig rig = rig_with(gue(on, "ab"));
	apply(&rig, gue(on, "abc"));
	uint32_t before[ROWS], after[ROWS];
	read_rows(&rig, "web", true, before);
	assert_int_equal(berth_model_stage(&stage, &rig.model, &rig.engine->image.geometry, gue(on, "abcd"), error),
			 0);
	all_up(&stage);
	struct berth_generation *generation = berth_compile(&stage, &rig.engine->image.geometry, error);
	assert_non_null(generation);
	berth_generation_free(generation);
	berth_model_drop(&stage);
	publish(&rig);
	read_rows(&rig, "web", true, after);
	assert_memory_equal(after, before, sizeof(before));
	drop(&rig);
}

/* berthd compiles a configuration before it is in force. */
static void an_apply_compiled_before_it_is_in_force_is_a_change(void **state)
{
	(void)state;
	char error[BERTH_ERROR_BYTES];
	uint32_t before[ROWS];
	struct berth_model stage;
	struct hop_rig rig = rig_with(gue(on, "ab"));
	const struct berth_geometry *geometry = &rig.engine->image.geometry;
	read_rows(&rig, "web", false, before);
	assert_int_equal(berth_model_stage(&stage, &rig.model, geometry, gue(on, "abc"), error), 0);
	all_up(&stage);
	struct berth_generation *generation = berth_compile(&stage, geometry, error);
	assert_non_null(generation);
	berth_generation_free(generation);
	berth_model_commit(&rig.model, &stage);
	publish(&rig);
	assert_former_is(&rig, before);
	drop(&rig);
}

/* A new model of the same image, as after a restart of berthd. */
static void restart(struct hop_rig *rig, struct berth_config *config)
{
	char error[BERTH_ERROR_BYTES];
	struct berth_model again, stage;
	assert_int_equal(berth_model_init(&again, &rig->engine->image.geometry), 0);
	assert_int_equal(berth_model_adopt(&again, rig->engine->record, &rig->engine->image), 0);
	assert_int_equal(berth_model_stage(&stage, &again, &rig->engine->image.geometry, config, error), 0);
	assert_int_equal(berth_former_rows_adopt(&stage, &rig->engine->image), 0);
	berth_model_commit(&again, &stage);
	berth_model_clear(&rig->model);
	rig->model = again;
	berth_publisher_free(rig->publisher);
	rig->publisher = berth_publisher_new(rig->engine);
	publish(rig);
}

static void a_restart_keeps_them_and_their_time_begins_anew(void **state)
{
	(void)state;
	uint32_t before[ROWS], after[ROWS];
	struct hop_rig rig = rig_with(gue(on, "ab"));
	apply(&rig, gue(on, "abc"));
	assert_false(berth_former_rows_step(&rig.model, NOW));
	read_rows(&rig, "web", true, before);
	restart(&rig, gue(on, "abc"));
	read_rows(&rig, "web", true, after);
	assert_memory_equal(after, before, sizeof(before));
	assert_false(berth_former_rows_step(&rig.model, NOW + HOUR));
	assert_false(berth_former_rows_step(&rig.model, NOW + 2 * HOUR - 1));
	assert_true(berth_former_rows_step(&rig.model, NOW + 2 * HOUR));
	drop(&rig);
}

static void a_change_across_a_restart_is_one(void **state)
{
	(void)state;
	uint32_t before[ROWS];
	struct hop_rig rig = rig_with(gue("", "ab"));
	read_rows(&rig, "web", false, before);
	restart(&rig, gue(on, "abc"));
	assert_former_is(&rig, before);
	drop(&rig);
}

static void a_damaged_former_row_is_noticed(void **state)
{
	(void)state;
	struct hop_rig rig = rig_with(gue(on, "ab"));
	apply(&rig, gue(on, "abc"));
	const struct berth_image *image = &rig.engine->image;
	const struct berth_service *service = &berth_image_current(image).services[web(&rig)->number];
	struct berth_row *row = &image->rows[service->row_line + berth_row_lines(ROWS)].row[3];
	row->primary ^= 1;
	assert_non_null(berth_image_fault(image));
	row->primary ^= 1;
	assert_null(berth_image_fault(image));
	drop(&rig);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_changed_row_has_the_backend_before),
		cmocka_unit_test(the_backend_before_a_short_one_stays),
		cmocka_unit_test(the_first_health_checks_are_no_change),
		cmocka_unit_test(without_second_hop_there_is_none),
		cmocka_unit_test(a_drain_and_a_failure_are_changes_too),
		cmocka_unit_test(a_former_backend_ends_after_the_configured_time),
		cmocka_unit_test(a_removed_backend_is_none_although_its_number_is_used_again),
		cmocka_unit_test(an_apply_that_fails_changes_nothing),
		cmocka_unit_test(an_apply_compiled_before_it_is_in_force_is_a_change),
		cmocka_unit_test(a_restart_keeps_them_and_their_time_begins_anew),
		cmocka_unit_test(a_change_across_a_restart_is_one),
		cmocka_unit_test(a_damaged_former_row_is_noticed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
