// SPDX-License-Identifier: BSD-3-Clause
/* `config`, `plan`, and the effects of a configuration. */
#include "tests/unit/controlplane/cmd/cmd.h"

#include <netinet/in.h>
#include <sys/socket.h>

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
	       "{'services': 3, 'backends': 3, 'dns_names': 0, 'warnings': ['service idle accepts no clients: it "
	       "has no backends']}");
	assert_int_equal(f->daemon->model.n_services, 3);
	assert_non_null(backend(f, "web", "b1"));
}

static void config_check_reports_place_and_cause(void **state)
{
	static const struct {
		const char *text;
		const char *error;
	} wrong[] = {
		{"engine: 'null'\nunknown: 1\n", "my.yaml:2:1: "},
		{"", "my.yaml:"},
		{"engine: xdp\ninterfaces: [{name: lo}]\n", "engine"},
		{"secret-file: /etc/berth/secret\n" HEAD, "secret-file"},
		/* More services than the running tables have room for. */
		{HEAD "services:\n"
		      "  - " WEB "}\n  - {name: b, address: 203.0.113.2, protocol: tcp, port: 80, mode: l2}\n"
		      "  - {name: c, address: 203.0.113.3, protocol: tcp, port: 80, mode: l2}\n"
		      "  - {name: d, address: 203.0.113.4, protocol: tcp, port: 80, mode: l2}\n"
		      "  - {name: e, address: 203.0.113.5, protocol: tcp, port: 80, mode: l2}\n"
		      "  - {name: f, address: 203.0.113.6, protocol: tcp, port: 80, mode: l2}\n",
		 "services"},
	};
	struct berthd *f = *state;
	char buffer[4096];
	static const char *const commands[] = {"config check", "config apply"};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		for (size_t j = 0; j < 2; j++) {
			refuse(f, commands[j], file(buffer, "my.yaml", wrong[i].text, ""), BERTH_CODE_CONFIG,
			       wrong[i].error);
		}
	}
	assert_int_equal(f->daemon->model.n_services, 3);
	assert_non_null(backend(f, "web", "b1"));
}

static void a_refusal_says_what_a_restart_costs(void **state)
{
	char buffer[4096];
	refuse(*state, "config apply", file(buffer, "my.yaml", "secret-file: /etc/berth/secret\n" HEAD, ""),
	       BERTH_CODE_CONFIG, "all flows and sessions are lost then");
}

static void plan_says_that_tables_are_made_anew(void **state)
{
	static const struct {
		const char *text;
		const char *change;
	} cases[] = {
		{"engine: 'null'\ninterfaces: [{name: lo}]\nlimits: {flows: 2048}\n", "tables"},
		{HEAD "services:\n  - {name: web, address: 203.0.113.10, protocol: tcp, port: 80, mode: ipip, "
		      "table-size: 655373, backends: [{name: b1, address: 192.0.2.11}]}\n",
		 "tables"},
		{HEAD, "none"},
	};
	char buffer[4096];
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_t *plan = run(*state, "plan", file(buffer, "my.yaml", cases[i].text, ""), BERTH_CODE_OK);
		assert_string_equal(json_string_value(json_object_get(plan, "engine_change")), cases[i].change);
		assert_int_equal(json_integer_value(json_object_get(plan, "engine_pause_ms")), 0);
		json_decref(plan);
	}
}

/* 1 of weight 1000 for each of weight 1: the light ones expect 0.06 of 251 rows. */
static void weights_that_are_too_different_for_the_table_are_a_warning(void **state)
{
	static const struct {
		const char *keys;
		const char *warning; /* "": none */
	} cases[] = {
		{"table-size: 251", "service web: the weights of 2 backends are so small that they may get no new "
				    "clients: less than one "
				    "of 251 rows each; write table-size: 4003, or larger weights"},
		{"table-size: 4003", ""},
		{"table-size: 251, scheduler: round-robin",
		 "service web: the weights of 2 backends are so small that they may get no new clients: less than "
		 "one of 251 rows each; write table-size: 4003, or larger weights"},
		{"table-size: 4003, scheduler: round-robin", ""},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[1024], buffer[4096];
		static const char *const commands[] = {"config check", "plan", "config apply"};
		snprintf(text, sizeof(text),
			 HEAD
			 "services:\n  - {name: web, address: 203.0.113.10, port: 80, mode: ipip, %s, backends: ["
			 "{name: a, address: 192.0.2.11, weight: 1000}, {name: b, address: 192.0.2.12, weight: "
			 "1000}, {name: c, address: 192.0.2.13, weight: 1000}, {name: d, address: 192.0.2.14, "
			 "weight: 1000}, {name: e, address: 192.0.2.15, weight: 1}, {name: f, address: "
			 "192.0.2.16, weight: 1}]}\n",
			 cases[i].keys);
		for (size_t j = 0; j < 3; j++) {
			json_t *result = run(*state, commands[j],
					     file(buffer, "new.yaml", text, j == 2 ? ", \"no-save\": true" : ""),
					     BERTH_CODE_OK);
			const json_t *warnings = json_object_get(result, "warnings");
			const char *warning = json_string_value(json_array_get(warnings, 0));
			assert_string_equal(warning ? warning : "", cases[i].warning);
			json_decref(result);
		}
	}
}

static void a_plan_changes_nothing(void **state)
{
	struct berthd *f = *state;
	char buffer[4096];
	bring_up(f, "web", "b1");
	bring_up(f, "web", "b2");
	json_decref(run(f, "backend enable", "{\"backend\": \"web/b1\"}", BERTH_CODE_OK));
	fill_tables(f);
	uint64_t generation = f->daemon->engine->image.ctl->generation;
	json_t *result = run(f, "plan", file(buffer, "new.yaml", one_service, ""), BERTH_CODE_OK);
	assert_int_equal(json_integer_value(json_object_get(result, "moved_flows")), 3);
	assert_int_equal(json_integer_value(json_object_get(result, "moved_sessions")), 1);
	assert_int_equal(json_integer_value(json_object_get(result, "cleared_sessions")), 0);
	expect(json_incref(json_array_get(json_object_get(result, "backends"), 0)),
	       "{'service': 'web', 'name': 'b1', 'change': 'removed', 'unknown_until_probed': false, "
	       "'tracked_flows': 2, 'leaving_flows': 2,"
	       " 'arriving_flows': 0, 'sessions': 1, 'leaving_sessions': 1, 'arriving_sessions': 0,"
	       " 'cleared_sessions': 0, 'flows_after': 0, 'max_flows': null, 'load_after': null,"
	       " 'weight': 0, 'effective_weight': 0.0, "
	       "'response_us': null, 'response_from': null, 'weighted_load_after': null}");
	assert_int_equal(json_array_size(json_object_get(result, "backends")), 4);
	json_decref(result);
	assert_int_equal(f->daemon->model.n_services, 3);
	assert_int_equal(f->daemon->engine->image.ctl->generation, generation);
	refuse(f, "plan", file(buffer, "my.yaml", "x: 1\n", ""), BERTH_CODE_CONFIG, "my.yaml:1:1: ");
}

/* The changes of a plan, as "web/b1 weight 7 -> 9; web name web -> shop; ...". */
static char *changes_of(struct berthd *f, const char *text)
{
	static char all[2048];
	char buffer[4096];
	size_t i;
	json_t *change, *result = run(f, "plan", file(buffer, "new.yaml", text, ""), BERTH_CODE_OK);
	all[0] = '\0';
	json_array_foreach(json_object_get(result, "changes"), i, change)
	{
		const char *service = berth_cmd_text(change, "service"),
			   *backend = berth_cmd_text(change, "backend");
		const char *key = berth_cmd_text(change, "key"), *what = berth_cmd_text(change, "change");
		const char *before = berth_cmd_text(change, "before"), *after = berth_cmd_text(change, "after");
		snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s%s %s %s %s%s; ",
			 service ? service : "", backend ? "/" : "", backend ? backend : "", key ? key : "",
			 before ? before : what, before ? "-> " : "", before ? after : "");
	}
	json_decref(result);
	return all;
}

static void a_plan_names_every_change(void **state)
{
	struct berthd *f = *state;
	static const struct {
		const char *was;
		const char *now;
		const char *change;
	} cases[] = {
		{"", "", ""},
		{"name: web,", "name: shop,", "web name web -> shop; "},
		{"mode: ipip", "mode: gue", "web mode ipip -> gue; web gue-port 0 -> 6080; "},
		{"weight: 7", "weight: 9", "web/b1 weight 7 -> 9; "},
		{"address: 192.0.2.11", "address: 192.0.2.99", "web/b1 address 192.0.2.11 -> 192.0.2.99; "},
		{"{name: b1, address: 192.0.2.11", "{name: b7, address: 192.0.2.11", "web/b1 name b1 -> b7; "},
		{"by: client, timeout: 2h", "by: client, timeout: 90m, group: g",
		 "web affinity.timeout 2h -> 90m; web affinity.group none -> g; "},
		{"{name: b2, address: 192.0.2.12}]}",
		 "{name: b2, address: 192.0.2.12}], timeouts: {closing: 31s}, "
		 "health: {type: http, interval: 7s}, scheduler: round-robin, slow-start: 500ms}",
		 "web scheduler maglev -> round-robin; web slow-start 0s -> 500ms; web timeouts.closing 4m -> "
		 "31s; web health.type tcp -> http; web health.interval 2s -> 7s; "},
		{"address: 203.0.113.10", "address: 203.0.113.77", "web  removed ; web  added ; "},
		{"\nservices:",
		 "\nmetrics: {listen: '127.0.0.1:39077'}\ntunnel: {source4: 198.18.0.0/24}\nservices:",
		 " tunnel.source4 none -> 198.18.0.0/24;  metrics changed ; "},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[4096];
		const char *at = strstr(configuration, cases[i].was);
		snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - configuration), configuration, cases[i].now,
			 at + strlen(cases[i].was));
		assert_string_equal(changes_of(f, text), cases[i].change);
	}
}

static void a_plan_says_what_is_unknown_until_probed(void **state)
{
	struct berthd *f = *state;
	char buffer[4096];
	size_t i;
	json_t *row, *result;
	bring_up(f, "web", "b1");
	bring_up(f, "web", "b2");
	static const char other[] = HEAD "services:\n  - " WEB "backends: [{name: b1, address: 192.0.2.99}, "
					 "{name: b2, address: 192.0.2.12}, {name: b3, address: 192.0.2.13}]}\n";
	result = run(f, "plan", file(buffer, "new.yaml", other, ""), BERTH_CODE_OK);
	json_array_foreach(json_object_get(result, "backends"), i, row)
	{
		const char *name = json_string_value(json_object_get(row, "name"));
		bool is_kept = strcmp(json_string_value(json_object_get(row, "change")), "removed") != 0;
		assert_int_equal(json_is_true(json_object_get(row, "unknown_until_probed")),
				 is_kept && strcmp(name, "b2") != 0);
	}
	assert_int_equal(i, 4);
	json_decref(result);
}

/* Expects this content in the configuration file of berthd. */
static void expect_saved(struct berthd *f, const char *expected)
{
	size_t length;
	char *text = berth_file_read(f->path, &length);
	assert_non_null(text);
	assert_string_equal(text, expected);
	free(text);
}

static void config_apply_saves_except_with_no_save(void **state)
{
	struct berthd *f = *state;
	char buffer[4096];
	uint64_t generation = f->daemon->engine->image.ctl->generation;
	expect(run(f, "config apply", file(buffer, "new.yaml", one_service, ", \"no-save\": true"), BERTH_CODE_OK),
	       "{'services': 1, 'backends': 1, 'dns_names': 0, 'warnings': [], 'saved': null, 'confirm_s': null, "
	       "'in_force': true, 'publish_error': null}");
	assert_int_equal(f->daemon->model.n_services, 1);
	assert_non_null(backend(f, "web", "b3"));
	assert_null(backend(f, "web", "b1"));
	assert_true(f->daemon->engine->image.ctl->generation > generation);
	expect_saved(f, configuration);

	json_t *result = run(f, "config apply", file(buffer, "new.yaml", one_service, ""), BERTH_CODE_OK);
	assert_string_equal(json_string_value(json_object_get(result, "saved")), f->path);
	expect_saved(f, one_service);
	json_decref(result);
}

static void expect_web(struct berthd *f, json_int_t packets, json_int_t bytes, json_int_t flows)
{
	json_t *result = run(f, "show services", "{}", BERTH_CODE_OK);
	const json_t *web = json_array_get(json_object_get(result, "services"), 0);
	assert_int_equal(json_integer_value(json_object_get(web, "packets")), packets);
	assert_int_equal(json_integer_value(json_object_get(web, "bytes")), bytes);
	assert_int_equal(json_integer_value(json_object_get(web, "new_flows")), flows);
	json_decref(result);
}

static void apply(struct berthd *f, const char *backends)
{
	char text[2048], buffer[4096];
	snprintf(text, sizeof(text), HEAD "services:\n  - " WEB "backends: [%s]}\n", backends);
	json_decref(run(f, "config apply", file(buffer, "new.yaml", text, ", \"no-save\": true"), BERTH_CODE_OK));
}

static void counters_of_a_service_include_removed_backends(void **state)
{
	struct berthd *f = *state;
	*backend_tally(f, "web", "b1") = (struct berth_tally){.packets = 10, .bytes = 1000, .flows = 3};
	*backend_tally(f, "web", "b2") = (struct berth_tally){.packets = 5, .bytes = 5000000000, .flows = 1};
	apply(f, "{name: b1, address: 192.0.2.11}, {name: b3, address: 192.0.2.13}");
	expect_web(f, 15, 5000001000, 4);
	backend_tally(f, "web", "b1")->packets += 7;
	expect_web(f, 22, 5000001000, 4);
	/* A backend that is added again starts at 0. */
	apply(f, "{name: b2, address: 192.0.2.12}");
	assert_int_equal(backend_tally(f, "web", "b2")->packets, 0);
	expect_web(f, 22, 5000001000, 4);
	apply(f, "");
	expect_web(f, 22, 5000001000, 4);
	/* So does a service; another one may have had its number since. */
	char buffer[4096];
	json_decref(run(f, "config apply", file(buffer, "none.yaml", HEAD, ", \"no-save\": true"), BERTH_CODE_OK));
	apply(f, "{name: b1, address: 192.0.2.11}");
	expect_web(f, 0, 0, 0);
}

/* Expects the members of `wanted` in `object`. */
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

/* A TCP port of loopback that the socket `fd` holds. */
static unsigned int take_port(int *fd)
{
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t length = sizeof(any);
	*fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(*fd, (struct sockaddr *)&any, length), 0);
	assert_int_equal(listen(*fd, 1), 0);
	assert_int_equal(getsockname(*fd, (struct sockaddr *)&any, &length), 0);
	return ntohs(any.sin_port);
}

static bool is_served(unsigned int port)
{
	const struct sockaddr_in at = {
		.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool served = connect(fd, (const struct sockaddr *)&at, sizeof(at)) == 0;
	close(fd);
	return served;
}

static enum berth_code apply_metrics(struct berthd *f, unsigned int port, const char *services)
{
	char buffer[4096], text[1024], error[BERTH_ERROR_BYTES];
	json_t *result = NULL;
	snprintf(text, sizeof(text), HEAD "metrics: {listen: 127.0.0.1:%u}\n%s", port, services);
	json_t *arguments = json_loads(file(buffer, "new.yaml", text, ", \"no-save\": true"), 0, NULL);
	enum berth_code code = berth_cmd_run(&f->daemon->commands, "config apply", arguments, &result, error);
	snprintf(f->error, sizeof(f->error), "%s", code ? error : "");
	json_decref(result);
	json_decref(arguments);
	return code;
}

static void metrics_are_served_at_the_configured_address(void **state)
{
	struct berthd *f = *state;
	char buffer[4096], expected[80];
	int fd, taken_fd;
	unsigned int port = take_port(&fd), taken = take_port(&taken_fd);
	close(fd);
	assert_false(is_served(port));
	assert_int_equal(apply_metrics(f, port, ""), BERTH_CODE_OK);
	assert_int_equal(f->daemon->model.n_services, 0);
	assert_true(is_served(port));
	/* All of it or nothing. */
	assert_int_equal(apply_metrics(f, taken, "services: [" WEB "}]\n"), BERTH_CODE_CONFIG);
	snprintf(expected, sizeof(expected), "metrics: cannot listen on 127.0.0.1:%u: Address already in use",
		 taken);
	assert_memory_equal(f->error, expected, strlen(expected));
	assert_int_equal(f->daemon->model.n_services, 0);
	assert_true(is_served(port));
	json_decref(run(f, "config apply", file(buffer, "new.yaml", one_service, ", \"no-save\": true"),
			BERTH_CODE_OK));
	assert_false(is_served(port));
	close(taken_fd);
}

static void show_services_has_prefixes_ranges_and_modes(void **state)
{
	/* As many as fit beside the services that are removed now. */
	static const char text[] = HEAD
		"services:\n"
		"  - {name: any, address: 203.0.113.0/28, protocol: tcp, port: any, mode: gue, table-size: 251,"
		" health: {type: none}, backends: [{name: b1, address: 192.0.2.11}]}\n"
		"  - {name: nat, address: 203.0.113.20, protocol: tcp, port: 80, mode: nat, table-size: 251,"
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
	const struct CMUnitTest tests[] = {
		TEST(weights_that_are_too_different_for_the_table_are_a_warning),
		TEST(a_plan_changes_nothing),
		TEST(a_plan_names_every_change),
		TEST(a_plan_says_what_is_unknown_until_probed),
		TEST(config_check_changes_nothing),
		TEST(config_check_reports_place_and_cause),
		TEST(a_refusal_says_what_a_restart_costs),
		TEST(plan_says_that_tables_are_made_anew),
		TEST(config_apply_saves_except_with_no_save),
		TEST(metrics_are_served_at_the_configured_address),
		TEST(counters_of_a_service_include_removed_backends),
		TEST(show_services_has_prefixes_ranges_and_modes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
