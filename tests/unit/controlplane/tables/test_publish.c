// SPDX-License-Identifier: BSD-3-Clause
/* Compile and publish: workers always read one complete generation, which equals the model. */
#include <unistd.h>

#include "tests/support/address.h"
#include "tests/support/control.h"

#include "controlplane/tables/counters.h"
#include "dataplane/core/classify.h"
#include "dataplane/core/select.h"

struct publish_rig {
	struct berth_model model;
	struct berth_engine *engine;
	struct berth_publisher *publisher;
};

/* What the engine answers to is_quiescent. */
static bool engine_is_quiescent = true;
static struct berth_engine_ops test_ops;

static bool test_quiescent(struct berth_engine *engine)
{
	(void)engine;
	return engine_is_quiescent;
}

static struct publish_rig rig_with(struct berth_config *config)
{
	struct publish_rig rig;
	char error[BERTH_ERROR_BYTES];
	rig.engine = null_engine(config);
	test_ops = *rig.engine->ops;
	test_ops.is_quiescent = test_quiescent;
	rig.engine->ops = &test_ops;
	engine_is_quiescent = true;
	rig.publisher = berth_publisher_new(rig.engine);
	assert_int_equal(berth_model_init(&rig.model, &rig.engine->image.geometry), 0);
	assert_int_equal(berth_model_apply(&rig.model, config, error), 0);
	all_up(&rig.model);
	return rig;
}

static int publish(struct publish_rig *rig)
{
	return publish_model(rig->publisher, rig->engine, &rig->model);
}

static void apply(struct publish_rig *rig, struct berth_config *config)
{
	char error[BERTH_ERROR_BYTES];
	assert_int_equal(berth_model_apply(&rig->model, config, error), 0);
	all_up(&rig->model);
}

static void drop(struct publish_rig *rig)
{
	berth_publisher_free(rig->publisher);
	rig->engine->ops->close(rig->engine, true);
	berth_model_clear(&rig->model);
}

static const struct berth_vip *classify(const struct publish_rig *rig, const char *address, uint16_t port,
					uint8_t protocol)
{
	struct berth_view view = berth_image_view(&rig->engine->image, 0, 0);
	unsigned int a, b, c, d;
	union berth_addr addr;
	assert_int_equal(sscanf(address, "%u.%u.%u.%u", &a, &b, &c, &d), 4);
	berth_addr_set4(&addr, berth_to_be32(a << 24 | b << 16 | c << 8 | d));
	return berth_vip_exact(&view, &addr, berth_to_be16(port), protocol);
}

/* The number of 10,000 tags that select each backend of service web. */
static uint32_t share(const struct publish_rig *rig, const char *name)
{
	struct berth_view view = berth_image_view(&rig->engine->image, 0, 0);
	struct berth_model_service *service = berth_model_service((struct berth_model *)&rig->model, "web");
	uint32_t number = name ? berth_model_backend(service, name)->number : 0;
	uint32_t n = 0;
	for (uint32_t i = 0; i < 10000; i++)
		n += berth_select(&view, service->number,
				  (uint32_t)((uint64_t)i * (1u << BERTH_TAG_BITS) / 10000)) == number;
	return n;
}

static struct berth_tally *tally_of(const struct publish_rig *rig, const char *name)
{
	struct berth_model_service *service = berth_model_service((struct berth_model *)&rig->model, "web");
	return &rig->engine->image
			.tallies[rig->engine->image.geometry.services + berth_model_backend(service, name)->number];
}

/* haproxy#1497: counters that exploded in a reload. */
static void an_apply_clears_only_the_counters_of_new_numbers(void **state)
{
	(void)state;
	struct publish_rig rig = rig_with(configure_web(BACKENDS("a 1 100", "b 2 100")));
	berth_counters_clear_new(&rig.engine->image, &rig.model);
	assert_int_equal(publish(&rig), 0);
	*tally_of(&rig, "a") = *tally_of(&rig, "b") = (struct berth_tally){.packets = 10, .flows = 3};
	const struct berth_geometry *g = &rig.engine->image.geometry;
	for (uint32_t n = 1; n < g->backends; n++)
		if (!rig.model.backend_numbers.id[n])
			/* Of the number's former backend. */
			rig.engine->image.tallies[g->services + n].flows = 1000;
	apply(&rig, configure_web(BACKENDS("c 3 100", "b 2 50")));
	berth_counters_clear_new(&rig.engine->image, &rig.model);
	assert_int_equal(publish(&rig), 0);
	assert_int_equal(tally_of(&rig, "b")->packets, 10);
	assert_int_equal(tally_of(&rig, "b")->flows, 3);
	assert_int_equal(tally_of(&rig, "c")->flows, 0);
	berth_counters_clear_new(&rig.engine->image, &rig.model);
	assert_int_equal(tally_of(&rig, "b")->flows, 3);
	drop(&rig);
}

static void a_published_service_is_found(void **state)
{
	(void)state;
	struct publish_rig rig = rig_with(configure_web(BACKENDS("a 1 100", "b 2 100")));
	assert_null(classify(&rig, "203.0.113.10", 80, 6));
	assert_int_equal(publish(&rig), 0);
	const struct berth_vip *vip = classify(&rig, "203.0.113.10", 80, 6);
	assert_non_null(vip);
	assert_int_equal(vip->service, rig.model.services[0].number);
	assert_null(classify(&rig, "203.0.113.10", 81, 6));
	assert_null(classify(&rig, "203.0.113.10", 80, 17));
	assert_null(classify(&rig, "203.0.113.11", 80, 6));
	assert_in_range(share(&rig, "a"), 4900, 5100);
	assert_in_range(share(&rig, "b"), 4900, 5100);
	drop(&rig);
}

static void a_service_without_backends_selects_none(void **state)
{
	(void)state;
	struct publish_rig rig = rig_with(configure_web(BACKENDS(NULL)));
	assert_int_equal(publish(&rig), 0);
	assert_non_null(classify(&rig, "203.0.113.10", 80, 6));
	assert_int_equal(share(&rig, NULL), 10000);
	drop(&rig);
}

static void a_removed_service_is_not_found(void **state)
{
	(void)state;
	struct publish_rig rig = rig_with(configure_web(BACKENDS("a 1 100")));
	assert_int_equal(publish(&rig), 0);
	apply(&rig, configure(""));
	assert_int_equal(publish(&rig), 0);
	assert_null(classify(&rig, "203.0.113.10", 80, 6));
	drop(&rig);
}

static void a_failed_backend_is_not_selected_from_the_next_packet_on(void **state)
{
	(void)state;
	struct publish_rig rig = rig_with(configure_web(BACKENDS("a 1 100", "b 2 100", "c 3 100")));
	assert_int_equal(publish(&rig), 0);
	uint32_t a = berth_model_backend(&rig.model.services[0], "a")->number;
	uint32_t b_before = share(&rig, "b"), c_before = share(&rig, "c");
	berth_publish_eligibility(rig.publisher, a, 0);
	/* Before a new generation is published. */
	assert_int_equal(share(&rig, "a"), 0);
	assert_int_equal(share(&rig, NULL), 0);
	assert_true(share(&rig, "b") > b_before && share(&rig, "c") > c_before);
	/* Two failed backends; in some rows one is the other's alternate. */
	berth_publish_eligibility(rig.publisher, berth_model_backend(&rig.model.services[0], "b")->number, 0);
	assert_true(share(&rig, "c") > 9900);
	/* In the next generation c is the only alternate. */
	berth_model_backend(&rig.model.services[0], "a")->health = BERTH_HEALTH_DOWN;
	berth_model_backend(&rig.model.services[0], "b")->health = BERTH_HEALTH_DOWN;
	assert_int_equal(publish(&rig), 0);
	assert_int_equal(share(&rig, "c"), 10000);
	drop(&rig);
}

/* GLB 0ca5783b, katran 80f8d87d: torn or empty tables published. */
static void the_current_half_is_never_written(void **state)
{
	(void)state;
	struct publish_rig rig = rig_with(configure_web(BACKENDS("a 1 100", "b 2 100")));
	const struct berth_image *image = &rig.engine->image;
	assert_int_equal(publish(&rig), 0);
	for (int i = 0; i < 5; i++) {
		uint32_t half = (uint32_t)image->ctl->generation & 1;
		size_t services = image->geometry.services * sizeof(struct berth_service);
		size_t backends = image->geometry.backends * sizeof(struct berth_backend);
		size_t vips = image->geometry.vips * sizeof(struct berth_vip);
		struct berth_globals globals = image->globals[half];
		char *before = malloc(services + backends + vips);
		memcpy(before, &image->services[half * image->geometry.services], services);
		memcpy(before + services, &image->backends[half * image->geometry.backends], backends);
		memcpy(before + services + backends, &image->vips[half * image->geometry.vips], vips);
		struct berth_row_line *rows = malloc(image->geometry.row_lines * sizeof(*rows));
		memcpy(rows, image->rows, image->geometry.row_lines * sizeof(*rows));
		const struct berth_service *old = &image->services[half * image->geometry.services + 1];

		rig.model.routes[0].mtu = (uint16_t)(1000 + i);
		apply(&rig, configure_web(i % 2 ? BACKENDS("a 1 100", "b 2 100") : BACKENDS("b 2 3", "c 3 100")));
		assert_int_equal(publish(&rig), 0);
		assert_int_equal((uint32_t)image->ctl->generation & 1, !half);
		assert_int_equal(image->globals[!half].route[0].mtu, 1000 + i);
		assert_memory_equal(before, &image->services[half * image->geometry.services], services);
		assert_memory_equal(before + services, &image->backends[half * image->geometry.backends], backends);
		assert_memory_equal(before + services + backends, &image->vips[half * image->geometry.vips], vips);
		assert_memory_equal(&globals, &image->globals[half], sizeof(globals));
		assert_memory_equal(&rows[old->row_line], &image->rows[old->row_line],
				    (old->rows + 15) / 16 * sizeof(*rows));
		free(before);
		free(rows);
	}
	drop(&rig);
}

/* The half in use has what was compiled, and nothing else. */
static void expect_classifier(const struct publish_rig *rig)
{
	char error[BERTH_ERROR_BYTES];
	struct berth_model model = rig->model;
	const struct berth_image *image = &rig->engine->image;
	struct berth_generation *generation = berth_compile(&model, &image->geometry, error);
	assert_non_null(generation);
	struct berth_vip *vips = classifier_of(generation);
	assert_memory_equal(berth_image_current(image).vips, vips, image->geometry.vips * sizeof(*vips));
	free(vips);
	berth_generation_free(generation);
}

static void a_half_has_the_slots_of_its_generation_alone(void **state)
{
	static const char *const addresses[] = {"192.0.2.254", "192.0.2.253", "2001:db8::1", "192.0.2.252"};
	(void)state;
	struct publish_rig rig = rig_with(configure_web(BACKENDS("a 1 100", "b 2 100")));
	for (int i = 0; i < 8; i++) {
		rig.model.n_own = 0;
		for (int j = 0; j < i % 3; j++)
			rig.model.own[rig.model.n_own++] = fixture_addr(addresses[(i + j) % 4]);
		if (i == 5) { /* As after a start of berthd: the publisher does not know the halves. */
			berth_publisher_free(rig.publisher);
			rig.publisher = berth_publisher_new(rig.engine);
		}
		assert_int_equal(publish(&rig), 0);
		expect_classifier(&rig);
	}
	drop(&rig);
}

static void nothing_is_published_before_the_grace_period_ends(void **state)
{
	(void)state;
	struct publish_rig rig = rig_with(configure_web(BACKENDS("a 1 100", "b 2 100")));
	assert_int_equal(publish(&rig), 0);
	uint64_t generation = rig.engine->image.ctl->generation;
	engine_is_quiescent = false;
	assert_int_equal(publish(&rig), -EAGAIN);
	assert_int_equal(rig.engine->image.ctl->generation, generation);
	engine_is_quiescent = true;
	assert_int_equal(publish(&rig), 0);
	assert_int_equal(rig.engine->image.ctl->generation, generation + 1);
	drop(&rig);
}

static void equal_rows_are_not_written_again(void **state)
{
	(void)state;
	struct publish_rig rig = rig_with(configure_web(BACKENDS("a 1 100", "b 2 100")));
	const struct berth_image *image = &rig.engine->image;
	/* One per half. */
	assert_int_equal(publish(&rig), 0);
	assert_int_equal(publish(&rig), 0);
	for (int half = 0; half < 2; half++) {
		struct berth_view view = berth_image_view(image, 0, 0);
		struct berth_row *row = image->rows[berth_service_of(&view, 1)->row_line].row;
		const struct berth_row mark = {.primary = 77};
		row[0] = mark;
		assert_int_equal(publish(&rig), 0);
		assert_int_equal(publish(&rig), 0);
		assert_memory_equal(row, &mark, sizeof(mark));
		assert_int_equal(publish(&rig), 0);
	}
	drop(&rig);
}

/* A row of the table of web in the half that is not current. */
static struct berth_row *unused_row(const struct publish_rig *rig)
{
	const struct berth_image *image = &rig->engine->image;
	const uint32_t half = image->geometry.row_lines / 2;
	const uint32_t line = berth_image_current(image).services[1].row_line;
	return image->rows[line < half ? line + half : line - half].row;
}

static void tables_that_were_copied_ahead_are_not_written_again(void **state)
{
	(void)state;
	struct publish_rig rig = rig_with(configure_web(BACKENDS("a 1 100", "b 2 100")));
	const struct berth_row mark = {.primary = 77};
	assert_int_equal(publish(&rig), 0);
	while (!berth_publisher_copy_ahead(rig.publisher, 1))
		;
	struct berth_row *row = unused_row(&rig);
	assert_memory_equal(row, rig.model.services[0].rows, rig.model.services[0].n_rows * sizeof(*row));
	row[0] = mark;
	assert_int_equal(publish(&rig), 0);
	assert_memory_equal(row, &mark, sizeof(mark));
	drop(&rig);
}

/* Four tables that need all 64 lines of a half: 40, 8, 8 and 8, the second one with fewer rows than it may get. */
static struct berth_config *configure_four(uint32_t first_rows)
{
	static const char *const schedulers[] = {"maglev", "round-robin", "least-conn", "maglev"};
	char services[4096];
	int n = 0;
	for (int i = 0; i < 4; i++)
		n += snprintf(services + n, sizeof(services) - (size_t)n,
			      "  - {name: s%d, address: 203.0.113.%d, protocol: tcp, port: 80, mode: l2, "
			      "table-size: %u, scheduler: %s, backends: [{name: a, address: 192.0.2.1, weight: 7}, "
			      "{name: b, address: 192.0.2.2, weight: 100}, {name: c, address: 192.0.2.3, "
			      "weight: 101}]}\n",
			      i, i, i ? 127 : first_rows, schedulers[i]);
	return configure(services);
}

/* Every service has the table that the model has. */
static void expect_tables(const struct publish_rig *rig)
{
	const struct berth_image_half current = berth_image_current(&rig->engine->image);
	for (size_t i = 0; i < rig->model.n_services; i++) {
		const struct berth_model_service *service = &rig->model.services[i];
		const struct berth_service *published = &current.services[service->number];
		assert_int_equal(published->rows, service->n_rows);
		assert_memory_equal(rig->engine->image.rows[published->row_line].row, service->rows,
				    service->n_rows * sizeof(*service->rows));
	}
}

/* Health stays. */
static void apply_four(struct publish_rig *rig, uint32_t first_rows)
{
	char error[BERTH_ERROR_BYTES];
	assert_int_equal(berth_model_apply(&rig->model, configure_four(first_rows), error), 0);
}

/* Tables of different sizes, whose rows change with health: no order of changes finds them without room. */
static void what_fits_when_applied_is_published_after_every_change_of_health(void **state)
{
	(void)state;
	struct publish_rig rig = rig_with(configure_four(631));
	rig.engine->image.geometry.row_lines = 2 * 64;
	uint32_t random = 1;
	assert_int_equal(publish(&rig), 0);
	for (int i = 0; i < 500; i++) {
		random = random * 1664525 + 1013904223;
		struct berth_model_service *service = &rig.model.services[random >> 30];
		struct berth_model_backend *backend = &service->backends[(random >> 24) % 3];
		backend->health = backend->health == BERTH_HEALTH_UP ? BERTH_HEALTH_DOWN : BERTH_HEALTH_UP;
		assert_int_equal(publish(&rig), 0);
		expect_tables(&rig);
		/* All, some or none of them, while the sizes of the next ones are others. */
		for (uint32_t steps = random >> 16 & 7; steps > 4; steps--)
			berth_publisher_copy_ahead(rig.publisher, 1 + (random >> 8 & 15));
		if (random & 1 << 20)
			apply_four(&rig, random & 1 << 21 ? 631 : 509);
	}
	drop(&rig);
}

/* So many places of the classifier keep what was in them before the first publication. */
static uint32_t places_kept(bool is_adopted)
{
	struct publish_rig rig = rig_with(configure_four(631));
	const struct berth_image *image = &rig.engine->image;
	const struct berth_image_half half = berth_image_half(image, image->ctl->generation + 1);
	struct berth_vip mark;
	uint32_t kept = 0;
	berth_publisher_free(rig.publisher);
	rig.engine->is_image_adopted = is_adopted;
	rig.publisher = berth_publisher_new(rig.engine);
	memset(&mark, 0xff, sizeof(mark));
	for (uint32_t i = 0; i < image->geometry.vips; i++)
		half.vips[i] = mark;
	assert_int_equal(publish(&rig), 0);
	for (uint32_t i = 0; i < image->geometry.vips; i++)
		kept += memcmp(&half.vips[i], &mark, sizeof(mark)) == 0;
	drop(&rig);
	return kept;
}

static void only_a_new_image_is_known_to_have_an_empty_classifier(void **state)
{
	(void)state;
	assert_in_range(places_kept(false), 1, UINT32_MAX);
	assert_int_equal(places_kept(true), 0);
}

static void tables_that_were_written_ahead_are_not_written_again(void **state)
{
	(void)state;
	struct publish_rig rig = rig_with(configure_four(631));
	const struct berth_image *image = &rig.engine->image;
	const struct berth_row mark = {.primary = 77};
	char error[BERTH_ERROR_BYTES];
	unsigned int steps = 1;
	rig.engine->image.geometry.row_lines = 2 * 64;
	struct berth_generation *generation = berth_compile(&rig.model, &image->geometry, error);
	assert_non_null(generation);
	while (!berth_publisher_write_ahead(rig.publisher, generation, 1))
		steps++;
	/* Four tables, and with the last of them and after it the backends. */
	assert_int_equal(steps, 3 + image->geometry.backends);
	const uint64_t before = image->ctl->generation;
	struct berth_row *row = image->rows[(before + 1) & 1 ? 64 : 0].row, first = *row;
	*row = mark;
	assert_int_equal(berth_publish(rig.publisher, generation, error), 0);
	berth_generation_free(generation);
	assert_int_equal(image->ctl->generation, before + 1);
	assert_memory_equal(row, &mark, sizeof(mark));
	*row = first;
	expect_tables(&rig);
	drop(&rig);
}

static void tables_of_other_sizes_are_published_in_one_step(void **state)
{
	(void)state;
	static const uint32_t sizes[] = {631, 127, 509, 619, 5, 631};
	struct publish_rig rig = rig_with(configure_four(631));
	rig.engine->image.geometry.row_lines = 2 * 64;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		apply(&rig, configure_four(sizes[i]));
		assert_int_equal(publish(&rig), 0);
		expect_tables(&rig);
	}
	/* Without room the former generation stays current. */
	uint64_t generation = rig.engine->image.ctl->generation;
	apply(&rig, configure_four(641));
	assert_int_equal(publish(&rig), -ENOSPC);
	assert_int_equal(rig.engine->image.ctl->generation, generation);
	drop(&rig);
}

/* Publishes, and returns whether the log has the text. */
static bool logs(struct publish_rig *rig, const char *text)
{
	char log[512] = "";
	FILE *file = tmpfile();
	const int kept = dup(STDERR_FILENO);
	assert_non_null(file);
	dup2(fileno(file), STDERR_FILENO);
	const int status = publish(rig);
	dup2(kept, STDERR_FILENO);
	close(kept);
	rewind(file);
	log[fread(log, 1, sizeof(log) - 1, file)] = '\0';
	fclose(file);
	assert_int_equal(status, 0);
	return strstr(log, text) != NULL;
}

/* Round-robin selects in turns, so that its number of rows, which follows health, moves nobody. */
static void another_size_that_selects_other_backends_is_logged(void **state)
{
	(void)state;
	struct publish_rig rig = rig_with(configure_four(631));
	assert_false(logs(&rig, "another size"));
	assert_false(logs(&rig, "another size"));
	rig.model.services[1].backends[0].health = BERTH_HEALTH_DOWN;
	assert_false(logs(&rig, "another size"));
	apply(&rig, configure_four(509));
	assert_true(logs(&rig, "selection tables have another size: 1;"));
	assert_false(logs(&rig, "another size"));
	drop(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_published_service_is_found),
		cmocka_unit_test(an_apply_clears_only_the_counters_of_new_numbers),
		cmocka_unit_test(a_service_without_backends_selects_none),
		cmocka_unit_test(a_removed_service_is_not_found),
		cmocka_unit_test(a_failed_backend_is_not_selected_from_the_next_packet_on),
		cmocka_unit_test(the_current_half_is_never_written),
		cmocka_unit_test(a_half_has_the_slots_of_its_generation_alone),
		cmocka_unit_test(nothing_is_published_before_the_grace_period_ends),
		cmocka_unit_test(equal_rows_are_not_written_again),
		cmocka_unit_test(tables_that_were_copied_ahead_are_not_written_again),
		cmocka_unit_test(what_fits_when_applied_is_published_after_every_change_of_health),
		cmocka_unit_test(only_a_new_image_is_known_to_have_an_empty_classifier),
		cmocka_unit_test(tables_that_were_written_ahead_are_not_written_again),
		cmocka_unit_test(tables_of_other_sizes_are_published_in_one_step),
		cmocka_unit_test(another_size_that_selects_other_backends_is_logged),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
