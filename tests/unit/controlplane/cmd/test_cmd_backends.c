// SPDX-License-Identifier: BSD-3-Clause
/* `backend` and `wait`: drain, evict, disable, enable, forced health. */
#include "tests/support/loop.h"
#include "tests/unit/controlplane/cmd/cmd.h"

#include <event2/event.h>

static uint8_t eligibility(struct berthd *f, const char *service, const char *name)
{
	uint32_t number = backend(f, service, name)->number;
	return f->daemon->engine->image.eligibility[number / BERTH_ELIGIBILITY_PER_LINE]
		.backend[number % BERTH_ELIGIBILITY_PER_LINE];
}

static void backend_commands_are_in_force_at_once(void **state)
{
	struct berthd *f = *state;
	static const struct {
		const char *command;
		const char *admin;
		uint8_t eligibility;
	} steps[] = {
		{"backend drain", "draining", BERTH_ELIGIBLE_FLOWS | BERTH_ELIGIBLE_SESSIONS},
		{"backend disable", "disabled", 0},
		{"backend enable", "enabled", BERTH_ELIGIBLE_ALL},
	};
	bring_up(f, "web", "b2");
	uint8_t other = eligibility(f, "web", "b1");
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		json_t *result = run(f, steps[i].command, "{\"backend\": \"web/b2\"}", BERTH_CODE_OK);
		const json_t *about = json_object_get(result, "backend");
		assert_string_equal(json_string_value(json_object_get(about, "name")), "b2");
		assert_string_equal(json_string_value(json_object_get(about, "admin")), steps[i].admin);
		assert_int_equal(eligibility(f, "web", "b2"), steps[i].eligibility);
		assert_int_equal(eligibility(f, "web", "b1"), other);
		json_decref(result);
	}
}

/* 192.0.2.11 is web/b1 and more/s1; web/b2 and more/s2 are other servers. */
static const char two_services[] = HEAD
	"services:\n"
	"  - " WEB "backends: [{name: b1, address: 192.0.2.11}, {name: b2, address: 192.0.2.12}]}\n"
	"  - {name: more, address: 203.0.113.12, port: 81, mode: ipip, table-size: 251, "
	"backends: [{name: s1, address: 192.0.2.11}, {name: s2, address: 192.0.2.13}]}\n";

static int set_up_two(void **state)
{
	return berthd_set_up(state, two_services);
}

static void a_host_is_drained_disabled_and_enabled_in_all_its_services(void **state)
{
	struct berthd *f = *state;
	static const struct {
		const char *command;
		const char *arguments;
		enum berth_admin admin;
		uint8_t eligibility;
	} steps[] = {
		{"host drain", "{\"address\": \"192.0.2.11\", \"deadline\": \"1h\"}", BERTH_ADMIN_DRAINING,
		 BERTH_ELIGIBLE_FLOWS | BERTH_ELIGIBLE_SESSIONS},
		{"host drain", "{\"address\": \"192.0.2.11\", \"flows-only\": true}", BERTH_ADMIN_FLOWS_ONLY,
		 BERTH_ELIGIBLE_FLOWS},
		{"host disable", "{\"address\": \"192.0.2.11\"}", BERTH_ADMIN_DISABLED, 0},
		{"host enable", "{\"address\": \"192.0.2.11\"}", BERTH_ADMIN_ENABLED, BERTH_ELIGIBLE_ALL},
	};
	bring_up(f, "web", "b1");
	bring_up(f, "more", "s1");
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		json_t *result = run(f, steps[i].command, steps[i].arguments, BERTH_CODE_OK);
		assert_int_equal(json_array_size(json_object_get(result, "backends")), 2);
		json_decref(result);
		assert_int_equal(backend(f, "web", "b1")->admin, steps[i].admin);
		assert_int_equal(backend(f, "more", "s1")->admin, steps[i].admin);
		assert_int_equal(backend(f, "web", "b1")->evict_at != 0, i == 0);
		assert_int_equal(eligibility(f, "web", "b1"), steps[i].eligibility);
		assert_int_equal(eligibility(f, "more", "s1"), steps[i].eligibility);
		assert_int_equal(backend(f, "web", "b2")->admin, BERTH_ADMIN_ENABLED);
		assert_int_equal(backend(f, "more", "s2")->admin, BERTH_ADMIN_ENABLED);
	}
	refuse(f, "host drain", "{\"address\": \"192.0.2.99\"}", BERTH_CODE_NOT_FOUND,
	       "no backend has this address");
	refuse(f, "host drain", "{\"address\": \"b1\"}", BERTH_CODE_INVALID, "invalid address");
	refuse(f, "host drain", "{\"address\": \"192.0.2.11\", \"deadline\": \"1\"}", BERTH_CODE_INVALID,
	       "deadline");
}

#define WEB_OF_MANY                                                                                                \
	"{name: web, address: 203.0.113.10, port: 80, mode: ipip, table-size: 2347, health: {type: none}, "

enum {
	MANY = 2345,
};

static int set_up_many(void **state)
{
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);
	fprintf(out,
		"engine: 'null'\ninterfaces: [{name: lo}]\n"
		"limits: {flows: 1024, sessions: 1024, services: 5, backends: %d}\nservices:\n  - " WEB_OF_MANY
		"backends: [\n",
		MANY);
	for (int i = 0; i < MANY; i++)
		fprintf(out, "%s{name: b%d, address: 10.0.%d.%d}\n", i ? ", " : "", i, i / 250, i % 250 + 1);
	fprintf(out, "]}\n");
	fclose(out);
	int err = berthd_set_up(state, text);
	free(text);
	return err;
}

/* Rows have the names PREFIX0, PREFIX1, ... over all pages. */
static void expect_pages(struct berthd *f, const char *command, const char *key, const char *prefix)
{
	char arguments[64] = "{}";
	int n = 0;
	const int last = MANY / BERTH_WIRE_ROWS;
	for (int page = 0; page <= last; page++) {
		size_t i;
		json_t *row, *result = run(f, command, arguments, BERTH_CODE_OK);
		json_array_foreach(json_object_get(result, key), i, row)
		{
			char name[16];
			snprintf(name, sizeof(name), "%s%d", prefix, n++);
			assert_string_equal(berth_cmd_text(row, "name"), name);
		}
		assert_int_equal(i, page < last ? BERTH_WIRE_ROWS : MANY % BERTH_WIRE_ROWS);
		const char *next = berth_cmd_text(result, "next");
		assert_true(!next == (page == last));
		snprintf(arguments, sizeof(arguments), "{\"after\": \"%s\"}", next ? next : "");
		json_decref(result);
	}
	refuse(f, command, "{\"after\": \"-1\"}", BERTH_CODE_INVALID, "whole number");
}

static void backends_come_in_pages(void **state)
{
	expect_pages(*state, "show backends", "backends", "b");
}

static int set_up_many_services(void **state)
{
	char *text = NULL;
	size_t length = 0;
	FILE *out = open_memstream(&text, &length);
	fprintf(out,
		"engine: 'null'\ninterfaces: [{name: lo}]\n"
		"limits: {flows: 1024, sessions: 1024, services: %d, backends: 5}\nservices:\n",
		MANY);
	for (int i = 0; i < MANY; i++)
		fprintf(out, "  - {name: s%d, address: 203.0.113.1, port: %d, mode: l2, table-size: 251}\n", i,
			i + 1);
	fclose(out);
	int err = berthd_set_up(state, text);
	free(text);
	return err;
}

static void services_come_in_pages(void **state)
{
	expect_pages(*state, "show services", "services", "s");
	refuse(*state, "show dns", "{\"after\": \"1x\"}", BERTH_CODE_INVALID, "whole number");
}

static void health_can_be_forced_and_reset_to_the_checks(void **state)
{
	struct berthd *f = *state;
	static const struct {
		const char *arguments;
		const char *health;
		bool forced;
		uint8_t eligibility;
	} steps[] = {
		{"{\"backend\": \"web/b2\", \"health\": \"down\"}", "down", true, 0},
		{"{\"backend\": \"web/b2\", \"health\": \"auto\"}", "up", false, BERTH_ELIGIBLE_ALL},
		{"{\"backend\": \"web/b1\", \"health\": \"up\"}", "up", true, BERTH_ELIGIBLE_ALL},
		{"{\"backend\": \"web/b1\", \"health\": \"auto\"}", "unknown", false, 0},
	};
	backend(f, "web", "b1")->next_hop.is_resolved = true;
	bring_up(f, "web", "b2");
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		json_t *result = run(f, "backend health", steps[i].arguments, BERTH_CODE_OK);
		const json_t *about = json_object_get(result, "backend");
		const char *name = json_string_value(json_object_get(about, "name"));
		assert_string_equal(json_string_value(json_object_get(about, "health")), steps[i].health);
		assert_int_equal(json_is_true(json_object_get(about, "health_forced")), steps[i].forced);
		assert_string_equal(json_string_value(json_object_get(about, "health_by_checks")),
				    i < 2 ? "up" : "unknown");
		assert_int_equal(eligibility(f, "web", name), steps[i].eligibility);
		json_decref(result);
	}
	refuse(f, "backend health", "{\"backend\": \"web/b2\", \"health\": \"ill\"}", BERTH_CODE_INVALID,
	       "invalid health");
	refuse(f, "backend health", "{\"backend\": \"web/b9\", \"health\": \"up\"}", BERTH_CODE_NOT_FOUND,
	       "backend web/b9 not found");
	refuse(f, "backend health", "{\"backend\": \"web/b2\"}", BERTH_CODE_INVALID, "needs \"health\"");
}

/* Expects these words in the column STATE of `show backends`. */
static void expect_state(struct berthd *f, const char *name, const char *words)
{
	const struct berth_model_service *web = berth_model_service(&f->daemon->model, "web");
	json_t *about = berth_cmd_backend(&f->daemon->state, web, backend(f, "web", name));
	expect(json_incref(json_object_get(about, "state")), words);
	json_decref(about);
}

static void drain_flows_only_and_evict_differ_in_eligibility(void **state)
{
	struct berthd *f = *state;
	static const struct {
		const char *command;
		const char *more;
		const char *states;
		uint8_t eligibility;
	} steps[] = {
		{"backend drain", "", "['draining']", BERTH_ELIGIBLE_FLOWS | BERTH_ELIGIBLE_SESSIONS},
		{"backend drain", ", \"flows-only\": true", "['flows-only']", BERTH_ELIGIBLE_FLOWS},
		{"backend evict", "", "['evicted']", 0},
		{"backend enable", "", "[]", BERTH_ELIGIBLE_ALL},
	};
	bring_up(f, "web", "b2");
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		char arguments[128];
		snprintf(arguments, sizeof(arguments), "{\"backend\": \"web/b2\"%s}", steps[i].more);
		json_decref(run(f, steps[i].command, arguments, BERTH_CODE_OK));
		assert_int_equal(eligibility(f, "web", "b2"), steps[i].eligibility);
		expect_state(f, "b2", steps[i].states);
	}
}

static void a_service_with_all_backends_up_but_disabled_has_an_alarm(void **state)
{
	struct berthd *f = *state;
	bring_up(f, "web", "b1");
	bring_up(f, "web", "b2");
	for (int n_disabled = 0; n_disabled <= 2; n_disabled++) {
		if (n_disabled)
			backend(f, "web", n_disabled == 1 ? "b1" : "b2")->admin = n_disabled == 1
											  ? BERTH_ADMIN_DISABLED
											  : BERTH_ADMIN_DRAINING;
		json_t *result = run(f, "show services", "{}", BERTH_CODE_OK);
		const json_t *web = json_array_get(json_object_get(result, "services"), 0);
		assert_int_equal(json_integer_value(json_object_get(web, "backends_up")), 2);
		assert_int_equal(json_integer_value(json_object_get(web, "backends_eligible")), 2 - n_disabled);
		if (n_disabled == 2)
			assert_string_equal(json_string_value(json_object_get(web, "alarm")),
					    "no eligible backend: 2 disabled, draining or of weight 0");
		else
			assert_true(json_is_null(json_object_get(web, "alarm")));
		json_decref(result);
	}
}

static void show_backends_lists_the_conditions_of_a_backend(void **state)
{
	struct berthd *f = *state;
	struct berth_model_backend *b1 = backend(f, "web", "b1");
	b1->load = BERTH_OVER_SHARE;
	expect_state(f, "b1", "['over-share']");
	b1->load |= BERTH_AT_LIMIT;
	b1->slow_start_since_ms = 1;
	b1->config.weight = 0;
	b1->is_kept = true;
	berth_model_service(&f->daemon->model, "web")->panic = true;
	expect_state(f, "b1", "['draining', 'over-share', 'at-limit', 'slow-start', 'panic']");
	json_t *result = run(f, "show services", "{}", BERTH_CODE_OK);
	const json_t *web = json_array_get(json_object_get(result, "services"), 0);
	assert_string_equal(json_string_value(json_object_get(web, "alarm")), "panic: 0 of 2 backends are down");
	json_decref(result);
	b1->is_kept = false;
	b1->is_kept_for_clients = true;
	expect_state(f, "b1", "['draining', 'over-share', 'at-limit', 'slow-start', 'after-panic']");
}

static void turn(struct berthd *f, unsigned int ms)
{
	loop_for(f->daemon->base, ms);
}

static void a_drain_ends_in_an_eviction_at_its_deadline(void **state)
{
	struct berthd *f = *state;
	static const char *const wrong[] = {"60", "0s", "25h", "1 s", "soon"};
	backend(f, "web", "b2")->forced = BERTH_FORCED_UP; /* its health checks fail */
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		char arguments[128];
		snprintf(arguments, sizeof(arguments), "{\"backend\": \"web/b2\", \"deadline\": \"%s\"}", wrong[i]);
		refuse(f, "backend drain", arguments, BERTH_CODE_INVALID, "from 1s to 24h");
	}
	expect_state(f, "b2", "[]");
	json_decref(run(f, "backend drain", "{\"backend\": \"web/b2\", \"deadline\": \"1s\"}", BERTH_CODE_OK));
	assert_int_equal(eligibility(f, "web", "b2"), BERTH_ELIGIBLE_FLOWS | BERTH_ELIGIBLE_SESSIONS);
	turn(f, 900);
	assert_int_equal(eligibility(f, "web", "b2"), BERTH_ELIGIBLE_FLOWS | BERTH_ELIGIBLE_SESSIONS);
	turn(f, 1200);
	assert_int_equal(eligibility(f, "web", "b2"), 0);
	expect_state(f, "b2", "['evicted']");
	/* A backend that is enabled before the deadline is not evicted. */
	json_decref(run(f, "backend drain", "{\"backend\": \"web/b2\", \"deadline\": \"1s\"}", BERTH_CODE_OK));
	json_decref(run(f, "backend enable", "{\"backend\": \"web/b2\"}", BERTH_CODE_OK));
	turn(f, 2100);
	expect_state(f, "b2", "[]");
}

static bool is_drained(struct berthd *f, const char *name)
{
	char arguments[64];
	snprintf(arguments, sizeof(arguments), "{\"backend\": \"web/%s\", \"timeout\": \"2s\"}", name);
	json_t *result = run(f, "wait drained", arguments, BERTH_CODE_OK);
	bool drained = json_is_true(json_object_get(result, "drained"));
	assert_int_equal(json_integer_value(json_object_get(result, "timeout_ms")), 2000);
	json_decref(result);
	return drained;
}

static void full_scans(struct berthd *f, int n)
{
	for (uint64_t end = f->daemon->model.scans + (uint64_t)n; f->daemon->model.scans < end;)
		turn(f, 20);
}

static void a_backend_is_drained_when_it_has_no_eligible_flows_and_sessions_left(void **state)
{
	struct berthd *f = *state;
	const struct berth_image *image = &f->daemon->engine->image;
	struct berth_model_backend *b2 = backend(f, "web", "b2");
	b2->forced = BERTH_FORCED_UP; /* its health checks fail */
	b2->next_hop.is_resolved = true;
	refuse(f, "wait drained", "{\"backend\": \"web/b2\"}", BERTH_CODE_INVALID, "backend drain web/b2");
	refuse(f, "wait drained", "{\"backend\": \"web/b9\"}", BERTH_CODE_NOT_FOUND, "backend web/b9 not found");
	json_decref(run(f, "backend drain", "{\"backend\": \"web/b2\"}", BERTH_CODE_OK));
	refuse(f, "wait drained", "{\"backend\": \"web/b2\", \"timeout\": \"x\"}", BERTH_CODE_INVALID,
	       "invalid timeout");
	/* No scan since. */
	assert_false(is_drained(f, "b2"));
	full_scans(f, 2);
	assert_true(is_drained(f, "b2"));
	image->flows[9].word[0] = berth_word_make(1, b2->number, berth_clock_s(), BERTH_STATE_CLOSING);
	full_scans(f, 2);
	assert_false(is_drained(f, "b2"));
	image->flows[9].word[0] = 0;
	image->sessions[9].word[0] = berth_word_make(1, b2->number, berth_clock_s(), BERTH_STATE_SESSION);
	full_scans(f, 2);
	assert_false(is_drained(f, "b2"));
	/* It is no longer eligible for sessions. */
	json_decref(run(f, "backend drain", "{\"backend\": \"web/b2\", \"flows-only\": true}", BERTH_CODE_OK));
	full_scans(f, 2);
	assert_true(is_drained(f, "b2"));
}

static void an_eviction_empties_the_tables(void **state)
{
	struct berthd *f = *state;
	backend(f, "web", "b1")->forced = BERTH_FORCED_UP;
	fill_tables(f);
	json_decref(run(f, "backend evict", "{\"backend\": \"web/b1\"}", BERTH_CODE_OK));
	full_scans(f, 2);
	assert_int_equal(f->daemon->engine->image.flows[1].word[0], 0);
	assert_int_equal(f->daemon->engine->image.sessions[0].word[0], 0);
	assert_int_not_equal(f->daemon->engine->image.flows[5].word[7], 0);
	assert_true(is_drained(f, "b1"));
}

static void unknown_backends_are_not_found(void **state)
{
	struct berthd *f = *state;
	char text[400];
	refuse(f, "backend drain", "{\"backend\": \"web/b9\"}", BERTH_CODE_NOT_FOUND, "b9");
	refuse(f, "backend drain", "{\"backend\": \"missing/b1\"}", BERTH_CODE_NOT_FOUND,
	       "backend missing/b1 not found");
	refuse(f, "backend drain", "{\"backend\": \"web/b1/\"}", BERTH_CODE_NOT_FOUND, "backend web/b1/ not found");
	refuse(f, "backend drain", "{\"backend\": \"web\"}", BERTH_CODE_INVALID, "write SERVICE/BACKEND");
	refuse(f, "backend drain", "{\"backend\": \"web/\"}", BERTH_CODE_INVALID, "write SERVICE/BACKEND");
	refuse(f, "backend drain", "{\"backend\": \"/b1\"}", BERTH_CODE_INVALID, "write SERVICE/BACKEND");
	refuse(f, "backend drain", "{\"backend\": \"\"}", BERTH_CODE_INVALID, "write SERVICE/BACKEND");
	snprintf(text, sizeof(text), "{\"backend\": \"%0300d/b1\"}", 0);
	refuse(f, "backend drain", text, BERTH_CODE_NOT_FOUND, "name is too long");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(backend_commands_are_in_force_at_once),
		TEST(drain_flows_only_and_evict_differ_in_eligibility),
		TEST(a_service_with_all_backends_up_but_disabled_has_an_alarm),
		TEST(show_backends_lists_the_conditions_of_a_backend),
		TEST(a_drain_ends_in_an_eviction_at_its_deadline),
		TEST(a_backend_is_drained_when_it_has_no_eligible_flows_and_sessions_left),
		TEST(an_eviction_empties_the_tables),
		TEST(unknown_backends_are_not_found),
		cmocka_unit_test_setup_teardown(backends_come_in_pages, set_up_many, tear_down),
		cmocka_unit_test_setup_teardown(services_come_in_pages, set_up_many_services, tear_down),
		cmocka_unit_test_setup_teardown(a_host_is_drained_disabled_and_enabled_in_all_its_services,
						set_up_two, tear_down),
		TEST(health_can_be_forced_and_reset_to_the_checks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
