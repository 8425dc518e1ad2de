// SPDX-License-Identifier: BSD-3-Clause
/* Selection tables are built, and many backends published, in turns of the event loop: a change delays no command.
 */
#include "controlplane/daemon/apply.h"
#include "controlplane/daemon/publication.h"
#include "controlplane/util/address.h"
#include "tests/support/berthd.h"
#include "tests/support/loop.h"

enum {
	SERVICES = 4,
	MOST_TURNS = 1000,
	MANY = 5000, /* backends */
	WITHIN_MS = 60000,
};

static char *configuration(void)
{
	static char text[4096];
	size_t n = (size_t)snprintf(text, sizeof(text),
				    "engine: 'null'\n"
				    "interfaces: [{name: lo}]\n"
				    "limits: {flows: 1024, sessions: 1024, services: %d, backends: %d}\n"
				    "services:\n",
				    SERVICES, 2 * SERVICES);
	for (int i = 0; i < SERVICES; i++)
		n += (size_t)snprintf(
			text + n, sizeof(text) - n,
			"  - {name: v%d, address: 203.0.113.%d, protocol: tcp, port: 80, mode: ipip, "
			"table-size: 65537, health: {type: none}, "
			"backends: [{name: b1, address: 192.0.2.1}, {name: b2, address: 192.0.2.2}]}\n",
			i, 20 + i);
	return text;
}

static int set_up(void **state)
{
	return berthd_set_up(state, configuration());
}

/* How many services have another table than `former` says, which then says what they have. */
static unsigned int count_built(const struct berth_model *model, uint64_t former[SERVICES])
{
	unsigned int n = 0;
	for (size_t i = 0; i < SERVICES; i++) {
		n += model->services[i].rows_version != former[i];
		former[i] = model->services[i].rows_version;
	}
	return n;
}

static void a_turn_builds_one_large_table(void **state)
{
	struct berthd *f = *state;
	uint64_t former[SERVICES] = {0};
	struct berth_model *model = &f->daemon->model;
	unsigned int built = 0;
	count_built(model, former);
	/* One server of all services has a next hop now. */
	for (size_t i = 0; i < SERVICES; i++)
		model->services[i].backends[0].next_hop.is_resolved = true;
	berth_publication_request(f->daemon);
	for (unsigned int turns = 0; f->daemon->state.publication.is_pending; turns++) {
		assert_in_range(turns, 0, MOST_TURNS);
		berth_publication_advance(f->daemon);
		const unsigned int now = count_built(model, former);
		assert_in_range(now, 0, 1);
		built += now;
	}
	assert_int_equal(built, SERVICES);
}

/* One service, whose first backend has the address 192.0.2.`last`. The caller frees it. */
static char *many_backends(unsigned int last)
{
	char *text = malloc(200 + MANY * 60);
	assert_non_null(text);
	size_t n = (size_t)sprintf(text,
				   "engine: 'null'\ninterfaces: [{name: lo}]\n"
				   "limits: {flows: 1024, sessions: 1024, services: 1, backends: %d}\n"
				   "services:\n- {name: v, address: 203.0.113.1, port: 80, mode: ipip, "
				   "table-size: 5003, health: {type: none}, backends: [",
				   MANY);
	for (unsigned int i = 0; i < MANY; i++)
		n += (size_t)sprintf(text + n, "%s{name: b%u, address: 192.%u.%u.%u}", i ? ", " : "", i, i ? 1 : 0,
				     i ? i / 200 : 2, i ? i % 200 : last);
	sprintf(text + n, "]}\n");
	return text;
}

static int set_up_many(void **state)
{
	char *text = many_backends(1);
	berthd_set_up(state, text);
	free(text);
	struct berthd *f = *state;
	return !wait_until(!f->daemon->state.publication.is_pending, WITHIN_MS,
			   event_base_loop(f->daemon->base, EVLOOP_ONCE));
}

static void apply_many(struct berthd *f, unsigned int last)
{
	char *text = many_backends(last);
	const uint64_t generation = f->daemon->engine->image.ctl->generation;
	assert_int_equal(berth_daemon_apply(f->daemon, "new.yaml", text, strlen(text), false, f->error), 0);
	free(text);
	/* In a turn of its own. */
	assert_true(f->daemon->state.publication.is_pending);
	assert_int_equal(f->daemon->engine->image.ctl->generation, generation);
}

static struct berth_model_backend *first_backend(struct berthd *f)
{
	return &f->daemon->model.services[0].backends[0];
}

static const struct berth_backend *await_published(struct berthd *f)
{
	assert_true(wait_until(!f->daemon->state.publication.is_pending, WITHIN_MS,
			       event_base_loop(f->daemon->base, EVLOOP_ONCE)));
	return &berth_image_current(&f->daemon->engine->image).backends[first_backend(f)->number];
}

static void expect_address(const struct berth_backend *published, const char *expected)
{
	char text[BERTH_ADDRESS_TEXT];
	assert_string_equal(berth_address_format(&published->address, text), expected);
}

static void many_backends_are_published_in_a_turn_after_the_apply(void **state)
{
	struct berthd *f = *state;
	apply_many(f, 2);
	expect_address(await_published(f), "192.0.2.2");
}

static void a_failure_before_that_turn_is_published_with_it(void **state)
{
	struct berthd *f = *state;
	apply_many(f, 2);
	berth_model_set_health(first_backend(f), BERTH_HEALTH_DOWN, berth_clock_ms());
	berth_publication_eligibility(f->daemon, first_backend(f));
	berth_publication_request(f->daemon);
	const struct berth_backend *published = await_published(f);
	expect_address(published, "192.0.2.2");
	assert_int_equal(published->health, BERTH_HEALTH_DOWN);
	assert_int_equal(first_backend(f)->health, BERTH_HEALTH_DOWN);
}

static void another_apply_before_that_turn_is_what_is_published(void **state)
{
	struct berthd *f = *state;
	apply_many(f, 2);
	apply_many(f, 3);
	expect_address(await_published(f), "192.0.2.3");
}

static void a_refused_apply_before_that_turn_changes_nothing(void **state)
{
	struct berthd *f = *state;
	apply_many(f, 2);
	assert_int_not_equal(berth_daemon_apply(f->daemon, "bad.yaml", "x: 1\n", 5, false, f->error), 0);
	expect_address(await_published(f), "192.0.2.2");
}

static void berthd_may_end_before_that_turn(void **state)
{
	struct berthd *f = *state;
	apply_many(f, 2);
	berth_daemon_close(f->daemon);
	berthd_open(f);
	expect_address(await_published(f), "192.0.2.1"); /* the file was not written */
}

#define MANY_TEST(name) cmocka_unit_test_setup_teardown(name, set_up_many, berthd_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_turn_builds_one_large_table, set_up, berthd_tear_down),
		MANY_TEST(many_backends_are_published_in_a_turn_after_the_apply),
		MANY_TEST(a_failure_before_that_turn_is_published_with_it),
		MANY_TEST(another_apply_before_that_turn_is_what_is_published),
		MANY_TEST(a_refused_apply_before_that_turn_changes_nothing),
		MANY_TEST(berthd_may_end_before_that_turn),
	};
	return cmocka_run_group_tests_name("turns", tests, NULL, NULL);
}
