// SPDX-License-Identifier: BSD-3-Clause
/* `config` and `plan`, and what of a configuration is shown. */
#include "tests/unit/cmd.h"

/* {"file": NAME, "text": TEXT, ...} */
static const char *file(char buffer[4096], const char *name, const char *text, const char *more)
{
	json_t *arguments = json_pack("{s:s, s:s}", "file", name, "text", text);
	char *dump = json_dumps(arguments, 0);
	dump[strlen(dump) - 1] = '\0';
	snprintf(buffer, 4096, "%s%s}", dump, more);
	free(dump);
	json_decref(arguments);
	return buffer;
}

static const char one_service[] = HEAD "services:\n  - " WEB "backends: [{name: b3, address: 192.0.2.13}]}\n";

static void config_check_changes_nothing(void **state)
{
	struct berthd *f = *state;
	char buffer[4096];
	expect(run(f, "config check", file(buffer, "new.yaml", one_service, ""), BERTH_CODE_OK),
	       "{'services': 1, 'backends': 1, 'dns_names': 0, 'warnings': []}");
	expect(run(f, "config check", file(buffer, "same.yaml", configuration, ""), BERTH_CODE_OK),
	       "{'services': 3, 'backends': 3, 'dns_names': 0, 'warnings': ['service idle takes nobody: it has no "
	       "backends']}");
	assert_int_equal(f->daemon.model.n_services, 3);
	assert_non_null(backend(f, "web", "b1"));
}

static void config_check_says_where_and_what(void **state)
{
	static const struct {
		const char *text;
		const char *says;
	} wrong[] = {
		{"engine: 'null'\nunknown: 1\n", "my.yaml:2:1: "},
		{"", "my.yaml:"},
		{"engine: xdp\ninterfaces: [{name: lo}]\n", "engine"},
		{"engine: 'null'\ninterfaces: [{name: lo}]\nlimits: {flows: 2048}\n", "limits"},
		/* More services than the running tables have room for; limits say so already. */
		{HEAD "services:\n"
		      "  - " WEB "}\n  - {name: b, address: 203.0.113.2, protocol: tcp, port: 80, mode: l2}\n"
		      "  - {name: c, address: 203.0.113.3, protocol: tcp, port: 80, mode: l2}\n"
		      "  - {name: d, address: 203.0.113.4, protocol: tcp, port: 80, mode: l2}\n"
		      "  - {name: e, address: 203.0.113.5, protocol: tcp, port: 80, mode: l2}\n"
		      "  - {name: f, address: 203.0.113.6, protocol: tcp, port: 80, mode: l2}\n",
		 "services"},
		/* Selection tables that are larger than the engine's memory for all of them. */
		{HEAD "services:\n  - {name: web, address: 203.0.113.10, protocol: tcp, port: 80, mode: ipip, "
		      "rows: 655373, backends: [{name: b1, address: 192.0.2.11}]}\n",
		 "rows"},
	};
	struct berthd *f = *state;
	char buffer[4096];
	static const char *const commands[] = {"config check", "config apply"};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		for (size_t j = 0; j < 2; j++) {
			refuse(f, commands[j], file(buffer, "my.yaml", wrong[i].text, ""), BERTH_CODE_CONFIG,
			       wrong[i].says);
		}
	}
	assert_int_equal(f->daemon.model.n_services, 3);
	assert_non_null(backend(f, "web", "b1"));
}

static void a_plan_changes_nothing(void **state)
{
	struct berthd *f = *state;
	char buffer[4096];
	backend(f, "web", "b1")->health = backend(f, "web", "b2")->health = BERTH_HEALTH_UP;
	json_decref(run(f, "backend enable", "{\"backend\": \"web/b1\"}", BERTH_CODE_OK));
	fill_tables(f);
	uint64_t generation = f->daemon.engine->image.ctl->generation;
	json_t *result = run(f, "plan", file(buffer, "new.yaml", one_service, ""), BERTH_CODE_OK);
	assert_int_equal(json_integer_value(json_object_get(result, "flows_move")), 3);
	assert_int_equal(json_integer_value(json_object_get(result, "sessions_move")), 1);
	assert_int_equal(json_integer_value(json_object_get(result, "sessions_forgotten")), 0);
	expect(json_incref(json_array_get(json_object_get(result, "backends"), 0)),
	       "{'service': 'web', 'name': 'b1', 'change': 'goes', 'flows': {'live': 2, 'leave': 2, 'come': 0},"
	       " 'sessions': {'live': 1, 'leave': 1, 'come': 0}, 'sessions_forgotten': 0}");
	assert_int_equal(json_array_size(json_object_get(result, "backends")), 4);
	json_decref(result);
	assert_int_equal(f->daemon.model.n_services, 3);
	assert_int_equal(f->daemon.engine->image.ctl->generation, generation);
	refuse(f, "plan", file(buffer, "my.yaml", "x: 1\n", ""), BERTH_CODE_CONFIG, "my.yaml:1:1: ");
}

/* The file that berthd would start with. */
static void expect_saved(struct berthd *f, const char *expected)
{
	size_t length;
	char *text = berth_file_read(f->path, &length);
	assert_non_null(text);
	assert_string_equal(text, expected);
	free(text);
}

static void config_apply_saves_unless_told_not_to(void **state)
{
	struct berthd *f = *state;
	char buffer[4096];
	uint64_t generation = f->daemon.engine->image.ctl->generation;
	expect(run(f, "config apply", file(buffer, "new.yaml", one_service, ", \"no-save\": true"), BERTH_CODE_OK),
	       "{'services': 1, 'backends': 1, 'dns_names': 0, 'warnings': [], 'saved': null}");
	assert_int_equal(f->daemon.model.n_services, 1);
	assert_non_null(backend(f, "web", "b3"));
	assert_null(backend(f, "web", "b1"));
	assert_true(f->daemon.engine->image.ctl->generation > generation);
	expect_saved(f, configuration);

	json_t *result = run(f, "config apply", file(buffer, "new.yaml", one_service, ""), BERTH_CODE_OK);
	assert_string_equal(json_string_value(json_object_get(result, "saved")), f->path);
	expect_saved(f, one_service);
	json_decref(result);
}

/* The members of `object` named in `wanted` are as there. */
static void expect_members(const json_t *object, const char *wanted)
{
	json_t *some = json_object();
	json_t *names = json_loads(wanted, 0, NULL);
	const char *name;
	json_t *value;
	assert_non_null(names);
	json_object_foreach(names, name, value) json_object_set(some, name, json_object_get(object, name));
	if (!json_equal(some, names))
		fail_msg("expected %s, got %s", wanted, json_dumps(some, 0));
	json_decref(names);
	json_decref(some);
}

static void prefixes_ranges_and_modes_are_shown(void **state)
{
	/* As many as the tables take beside those that leave them now. */
	static const char text[] = HEAD
		"services:\n"
		"  - {name: any, address: 203.0.113.0/28, protocol: tcp, port: any, mode: gue, rows: 251,"
		" health: {type: none}, backends: [{name: b1, address: 192.0.2.11}]}\n"
		"  - {name: nat, address: 203.0.113.20, protocol: tcp, port: 80, mode: nat, rows: 251,"
		" backends: [{name: b1, address: 192.0.2.11, port: 8080}, {name: b2, address: 192.0.2.12}]}\n";
	static const char *const services[] = {
		"{\"address\": \"203.0.113.0/28\", \"port\": 0, \"last_port\": 65535, \"mode\": \"gue\", "
		"\"gue_port\": 6080}",
		"{\"address\": \"203.0.113.20\", \"port\": 80, \"last_port\": 80, \"mode\": \"nat\", "
		"\"gue_port\": null}",
	};
	static const char *const backends[] = {"{\"port\": null}", "{\"port\": 8080}", "{\"port\": null}"};
	struct berthd *f = *state;
	char buffer[4096];
	json_decref(run(f, "config apply", file(buffer, "new.yaml", text, ""), BERTH_CODE_OK));
	json_t *result = run(f, "show services", "{}", BERTH_CODE_OK);
	for (size_t i = 0; i < 2; i++)
		expect_members(json_array_get(json_object_get(result, "services"), i), services[i]);
	json_decref(result);
	result = run(f, "show backends", "{}", BERTH_CODE_OK);
	for (size_t i = 0; i < 3; i++)
		expect_members(json_array_get(json_object_get(result, "backends"), i), backends[i]);
	json_decref(result);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, berthd_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_plan_changes_nothing),
		TEST(config_check_changes_nothing),
		TEST(config_check_says_where_and_what),
		TEST(config_apply_saves_unless_told_not_to),
		TEST(prefixes_ranges_and_modes_are_shown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
