// SPDX-License-Identifier: BSD-3-Clause
/* The parts of berthctl that need no berthd: command lines, help, suggestions and tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controlplane/cli/cli.h"

#include "tests/unit/controlplane/cli/printed.h"

enum {
	MAX_WORDS = 8,
};

/* Splits a line at its spaces. */
static int split(char *line, char *words[MAX_WORDS])
{
	int n = 0;
	for (char *word = strtok(line, " "); word; word = strtok(NULL, " ")) {
		assert_true(n < MAX_WORDS);
		words[n++] = word;
	}
	return n;
}

static enum berth_cli_status parse(const char *line, struct berth_call *call, char error[BERTH_CLI_ERROR_BYTES])
{
	char buffer[256];
	char *words[MAX_WORDS];
	snprintf(buffer, sizeof(buffer), "%s", line);
	int n = split(buffer, words);
	error[0] = '\0';
	return berth_cli_parse(n, words, call, error);
}

/* Expects that the line parses to this command. `arguments`: JSON with ' for ". */
static void parses(const char *line, const char *command, const char *arguments)
{
	char error[BERTH_CLI_ERROR_BYTES];
	struct berth_call call;
	if (parse(line, &call, error) != BERTH_CLI_OK)
		fail_msg("%s: %s", line, error);
	assert_string_equal(berth_commands[call.command].words, command);
	char *got = json_dumps(call.arguments, JSON_SORT_KEYS);
	for (char *at = got; *at; at++)
		if (*at == '"')
			*at = '\'';
	assert_string_equal(got, arguments);
	free(got);
	berth_cli_call_free(&call);
}

static void is_refused(const char *line, enum berth_cli_status status, const char *text)
{
	char error[BERTH_CLI_ERROR_BYTES];
	struct berth_call call;
	assert_int_equal(parse(line, &call, error), status);
	if (!strstr(error, text))
		fail_msg("%s: no \"%s\" in \"%s\"", line, text, error);
	assert_null(strchr(error, '\n'));
}

static void words_are_parsed_to_a_request(void **state)
{
	(void)state;
	parses("show services", "show services", "{}");
	parses("show backends", "show backends", "{}");
	parses("show backends web", "show backends", "{'service': 'web'}");
	parses("show backends --service web --down", "show backends", "{'down': true, 'service': 'web'}");
	parses("backend drain web/b1", "backend drain", "{'backend': 'web/b1'}");
	parses("shutdown", "shutdown", "{}");
}

static void the_value_of_an_option_is_the_next_word_or_follows_an_equals_sign(void **state)
{
	(void)state;
	parses("show sessions --service web --limit=5", "show sessions", "{'limit': '5', 'service': 'web'}");
	parses("show sessions --backend web/b1 --client 2001:db8::/32", "show sessions",
	       "{'backend': 'web/b1', 'client': '2001:db8::/32'}");
	parses("session clear --service --client", "session clear", "{'service': '--client'}");
	is_refused("show sessions --limit", BERTH_CLI_USAGE, "--limit N needs a value");
	is_refused("show sessions --limit=", BERTH_CLI_USAGE, "--limit N is empty");
	is_refused("show sessions --limit 5 --limit=6", BERTH_CLI_USAGE, "--limit is given twice");
	is_refused("show sessions --limits 5", BERTH_CLI_USAGE, "`--limits`");
	is_refused("show sessions web", BERTH_CLI_USAGE, "`web`");
	is_refused("show backends web --service web", BERTH_CLI_USAGE, "--service is given twice");
	is_refused("show sessions --text x", BERTH_CLI_USAGE, "`--text`");
	is_refused("config apply --no-save=x /dev/null", BERTH_CLI_USAGE, "`--no-save=x`");
}

static void arguments_for_berthctl_itself_are_not_in_the_request(void **state)
{
	(void)state;
	char error[BERTH_CLI_ERROR_BYTES];
	struct berth_call call;
	parses("show backends web --sort flows -w", "show backends", "{'service': 'web'}");
	parses("show drops --all", "show drops", "{}");
	assert_int_equal(parse("show backends --wide --sort=flows", &call, error), BERTH_CLI_OK);
	assert_true(call.wide);
	assert_string_equal(json_string_value(json_object_get(call.display, "sort")), "flows");
	berth_cli_call_free(&call);
}

static void every_command_is_found_by_its_words(void **state)
{
	(void)state;
	for (size_t i = 0; i < BERTH_COMMAND_COUNT; i++) {
		char line[64];
		char error[BERTH_CLI_ERROR_BYTES];
		struct berth_call call;
		snprintf(line, sizeof(line), "%s --help", berth_commands[i].words);
		assert_int_equal(parse(line, &call, error), BERTH_CLI_OK);
		assert_int_equal(call.command, i);
		assert_true(call.help);
		berth_cli_call_free(&call);
		assert_true(strlen(berth_commands[i].words) < 32);
	}
}

static void json_is_also_an_option_after_the_command(void **state)
{
	(void)state;
	char error[BERTH_CLI_ERROR_BYTES];
	struct berth_call call;
	static const char *const lines[] = {"show backends -j web", "show backends web --json"};
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(parse(lines[i], &call, error), BERTH_CLI_OK);
		assert_true(call.json);
		assert_string_equal(json_string_value(json_object_get(call.arguments, "service")), "web");
		berth_cli_call_free(&call);
	}
}

static void invalid_arguments_are_a_usage_error(void **state)
{
	(void)state;
	is_refused("show services web", BERTH_CLI_USAGE, "`web`");
	is_refused("show backends a b", BERTH_CLI_USAGE, "`b`");
	is_refused("show backends --all", BERTH_CLI_USAGE, "`--all`");
	is_refused("backend drain", BERTH_CLI_USAGE, "SERVICE/BACKEND");
	is_refused("config apply --no-save", BERTH_CLI_USAGE, "FILE");
	is_refused("config check /dev/null --no-save", BERTH_CLI_USAGE, "--no-save");
	is_refused("shutdown now", BERTH_CLI_USAGE, "`now`");
}

static void an_empty_or_non_utf8_word_is_a_usage_error(void **state)
{
	(void)state;
	char error[BERTH_CLI_ERROR_BYTES];
	struct berth_call call;
	char *empty[] = {(char[]){"show"}, (char[]){"backends"}, (char[]){""}};
	assert_int_equal(berth_cli_parse(3, empty, &call, error), BERTH_CLI_USAGE);
	is_refused("show backends \xff\xfe", BERTH_CLI_USAGE, "UTF-8");
}

/* Creates a file in /tmp with this content. */
static void write_file(char path[32], const void *bytes, size_t length)
{
	strcpy(path, "/tmp/berth-test-XXXXXX");
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, length), length);
	close(fd);
}

static void a_file_is_sent_with_its_name_and_text(void **state)
{
	(void)state;
	char path[32];
	char line[128];
	char arguments[128];
	write_file(path, "engine: xdp\n", 12);
	snprintf(line, sizeof(line), "config apply --no-save %s", path);
	snprintf(arguments, sizeof(arguments), "{'file': '%s', 'no-save': true, 'text': 'engine: xdp\\n'}", path);
	parses(line, "config apply", arguments);
	unlink(path);
}

static void an_unreadable_or_binary_file_is_a_configuration_error(void **state)
{
	(void)state;
	static const struct {
		const char *bytes;
		size_t length;
	} files[] = {{"a\0b", 3}, {"\xff\xfe", 2}};
	char path[32];
	char line[128];
	for (size_t i = 0; i < 2; i++) {
		write_file(path, files[i].bytes, files[i].length);
		snprintf(line, sizeof(line), "config check %s", path);
		is_refused(line, BERTH_CLI_CONFIG, path);
		unlink(path);
	}
	is_refused("config check /nonexistent.yaml", BERTH_CLI_CONFIG, "/nonexistent.yaml: No such file");
	is_refused("config check /tmp", BERTH_CLI_CONFIG, "/tmp: Is a directory");
	is_refused("config check /dev/zero", BERTH_CLI_CONFIG, "/dev/zero: File too large");
}

static void an_unknown_command_gets_the_nearest_as_a_suggestion(void **state)
{
	(void)state;
	is_refused("show servces", BERTH_CLI_USAGE, "did you mean `show services`?");
	is_refused("shw stats", BERTH_CLI_USAGE, "did you mean `show stats`?");
	is_refused("backend drian web/b1", BERTH_CLI_USAGE, "did you mean `backend drain`?");
	/* `show drops` is as near, but later in the list. */
	is_refused("show stops", BERTH_CLI_USAGE, "did you mean `show stats`?");
	is_refused("shutdwon", BERTH_CLI_USAGE, "did you mean `shutdown`?");
	is_refused("drain web/b1", BERTH_CLI_USAGE, "did you mean one of: node drain, backend drain, host drain");
	is_refused("reload", BERTH_CLI_USAGE, "did you mean `config apply`?");
	is_refused("stop", BERTH_CLI_USAGE, "did you mean `shutdown`?");
	is_refused("shutdwon now", BERTH_CLI_USAGE, "did you mean `shutdown`?");
	is_refused("show", BERTH_CLI_USAGE,
		   "`show` needs one of: services, backends, sessions, flows, dns, names, stats, drops");
	is_refused("config frobnicate", BERTH_CLI_USAGE, "`config` needs one of: check, apply");
	is_refused("frobnicate", BERTH_CLI_USAGE, "berthctl help");
	is_refused("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx y",
		   BERTH_CLI_USAGE, "berthctl help");
}

static void words_may_be_shortened_while_only_one_command_has_them(void **state)
{
	(void)state;
	parses("sh ba web", "show backends", "{'service': 'web'}");
	parses("b dr web/b1", "backend drain", "{'backend': 'web/b1'}");
	parses("wait dr web/b1", "wait drained", "{'backend': 'web/b1'}");
	is_refused("sh s", BERTH_CLI_USAGE, "`sh s` is the beginning of: show services, show sessions, show stats");
	is_refused("backend", BERTH_CLI_USAGE, "`backend` needs one of: drain, evict");
	is_refused("backe", BERTH_CLI_USAGE, "`backe` is the beginning of: backend drain, backend evict");
	/* Those of administrators are written in full. */
	is_refused("shutd", BERTH_CLI_USAGE, "did you mean `shutdown`?");
	is_refused("conf app x.yaml", BERTH_CLI_USAGE, "unknown command");
}

static void help_comes_from_the_list_of_commands(void **state)
{
	(void)state;
	char *usage = PRINTED(out, berth_cli_usage(out));
	for (size_t i = 0; i < BERTH_COMMAND_COUNT; i++) {
		char *help = PRINTED(out, berth_cli_help(out, &berth_commands[i]));
		assert_non_null(strstr(usage, berth_commands[i].help));
		assert_non_null(strstr(help, berth_commands[i].words));
		assert_non_null(strstr(help, berth_commands[i].help));
		free(help);
	}
	assert_non_null(strstr(usage, "\n  3  invalid configuration"));
	free(usage);
	char *help = PRINTED(out, berth_cli_help(out, &berth_commands[BERTH_COMMAND_config_apply]));
	assert_non_null(strstr(help, "config apply FILE [--no-save] [--confirm TIME] [--force]\n"));
	free(help);
	help = PRINTED(out, berth_cli_help(out, &berth_commands[BERTH_COMMAND_show_backends]));
	assert_non_null(strstr(help, "show backends [GLOB[/GLOB]] [--service GLOB] [--down] [--host ADDRESS] "
				     "[--sort COLUMN] [--after CURSOR]\n"));
	free(help);
}

/* Except for the synopsis of a command, which has all of its options in one line. */
static void help_fits_80_columns(void **state)
{
	(void)state;
	for (size_t i = 0; i <= BERTH_COMMAND_COUNT; i++) {
		char *text = i < BERTH_COMMAND_COUNT ? PRINTED(out, berth_cli_help(out, &berth_commands[i]))
						     : PRINTED(out, berth_cli_usage(out));
		for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
			if (strlen(line) > 80 && strncmp(line, "usage: ", 7) != 0)
				fail_msg("%zu columns: %s", strlen(line), line);
		free(text);
	}
}

static json_t *json(const char *text)
{
	json_t *value = json_loads(text, 0, NULL);
	assert_non_null(value);
	return value;
}

static void columns_are_as_wide_as_their_widest_cell(void **state)
{
	(void)state;
	static const struct berth_column columns[] = {
		{"NAME", "name", berth_cell_plain, false},
		{"N", "n", berth_cell_plain, true},
		{"LIST", "list", berth_cell_list, false},
	};
	json_t *rows = json("[{\"name\": \"a\", \"n\": 18446744073, \"list\": [\"x\", \"y\"]},"
			    " {\"name\": \"m\u00fcnchen\", \"n\": 5, \"list\": []}, {}]");
	char *text = PRINTED(out, berth_cli_table_print(out, columns, 3, rows));
	assert_string_equal(text, "NAME               N  LIST\n"
				  "a        18446744073  x,y\n"
				  "m\u00fcnchen            5  -\n"
				  "-                  -  -\n");
	free(text);
	json_decref(rows);
}

static void a_table_in_parts_has_its_titles_once(void **state)
{
	(void)state;
	static const struct berth_column columns[] = {{"A", "a", berth_cell_plain, false},
						      {"B", "b", berth_cell_plain, true}};
	json_t *first = json("[{\"a\": \"xxx\", \"b\": 1}]"), *second = json("[{\"a\": \"y\", \"b\": 22}]");
	struct berth_cli_table table;
	berth_cli_table_init(&table, columns, 2);
	char *text = PRINTED(out, {
		berth_cli_table_add(out, &table, first);
		berth_cli_table_add(out, &table, second);
		berth_cli_table_add(out, &table, first);
	});
	assert_string_equal(text, "A    B\n"
				  "xxx  1\n"
				  "y    22\n"
				  "xxx   1\n");
	free(text);
	json_decref(first);
	json_decref(second);
}

static void a_table_without_rows_has_its_titles(void **state)
{
	(void)state;
	static const struct berth_column columns[] = {{"A", "a", berth_cell_plain, false},
						      {"B", "b", berth_cell_plain, true}};
	json_t *rows = json_array();
	char *text = PRINTED(out, berth_cli_table_print(out, columns, 2, rows));
	assert_string_equal(text, "A  B\n");
	free(text);
	json_decref(rows);
}

static void amounts_are_short_at_every_size(void **state)
{
	(void)state;
	static const struct {
		berth_cell_fn *cell;
		json_int_t value;
		const char *printed;
	} cases[] = {
		{berth_cell_bytes, 0, "0 B"},
		{berth_cell_bytes, 1023, "1023 B"},
		{berth_cell_bytes, 1024, "1.0 KiB"},
		{berth_cell_bytes, 1536, "1.5 KiB"},
		{berth_cell_bytes, 1048575, "1.0 MiB"},
		{berth_cell_bytes, INT64_C(5) << 40, "5.0 TiB"},
		{berth_cell_bytes, INT64_MAX, "8.0 EiB"},
		{berth_cell_duration, 0, "0s"},
		{berth_cell_duration, 59, "59s"},
		{berth_cell_duration, 60, "1m"},
		{berth_cell_duration, 61, "1m 1s"},
		{berth_cell_duration, 3600, "1h"},
		{berth_cell_duration, 3659, "1h"},
		{berth_cell_duration, 7260, "2h 1m"},
		{berth_cell_duration, 90000, "1d 1h"},
		{berth_cell_duration, 86400 * 400, "400d"},
		{berth_cell_plain, INT64_MAX, "9223372036854775807"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char cell[BERTH_CELL_BYTES];
		json_t *row = json_pack("{s:I}", "v", cases[i].value);
		cases[i].cell(row, "v", cell);
		assert_string_equal(cell, cases[i].printed);
		json_decref(row);
	}
}

static void a_long_list_is_cut_at_the_size_of_a_cell(void **state)
{
	(void)state;
	char cell[BERTH_CELL_BYTES];
	json_t *list = json_array();
	for (int i = 0; i < 100; i++)
		json_array_append_new(list, json_string("sessions"));
	json_t *row = json_pack("{s:o}", "v", list);
	berth_cell_list(row, "v", cell);
	assert_int_equal(strlen(cell), BERTH_CELL_BYTES - 1);
	json_decref(row);
}

static void a_result_without_a_view_is_printed_completely(void **state)
{
	(void)state;
	json_t *value = json("{\"engine\": \"xdp\", \"workers\": 2, \"adopted\": false, \"error\": null,"
			     " \"ports\": [{\"name\": \"eth0\", \"queues\": [1, 2]}, {\"name\": \"eth1\"}],"
			     " \"none\": [], \"deep\": {\"a\": {\"b\": 1.5}}}");
	char *text = PRINTED(out, berth_cli_print_generic(out, value));
	assert_string_equal(text, "engine: xdp\n"
				  "workers: 2\n"
				  "adopted: no\n"
				  "error: none\n"
				  "ports:\n"
				  "  - name: eth0\n"
				  "    queues:\n"
				  "      - 1\n"
				  "      - 2\n"
				  "  - name: eth1\n"
				  "none: none\n"
				  "deep:\n"
				  "  a:\n"
				  "    b: 1.5\n");
	free(text);
	json_decref(value);
}

/* Expects this text in the view of a row. */
static void row_prints(enum berth_command_index command, const char *list, const char *row, const char *text)
{
	json_t *result = json_pack("{s:[o]}", list, json(row));
	char *view = PRINTED(out, berth_cli_print(out, command, result));
	if (!strstr(view, text))
		fail_msg("no \"%s\" in\n%s", text, view);
	free(view);
	json_decref(result);
}

static void services_have_prefix_and_ports(void **state)
{
	(void)state;
	static const struct {
		const char *row;
		const char *printed;
	} cases[] = {
		{"{\"address\": \"203.0.113.10\", \"port\": 80, \"last_port\": 80, \"protocol\": \"tcp\"}",
		 " tcp 203.0.113.10:80  "},
		{"{\"address\": \"203.0.113.10\", \"port\": 80, \"protocol\": \"tcp\"}", " tcp 203.0.113.10:80  "},
		{"{\"address\": \"203.0.113.0/28\", \"port\": 0, \"last_port\": 65535, \"protocol\": \"udp\"}",
		 " udp 203.0.113.0/28:any  "},
		{"{\"address\": \"2001:db8::/64\", \"port\": 8000, \"last_port\": 8099, \"protocol\": \"tcp\"}",
		 " tcp [2001:db8::/64]:8000-8099  "},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		row_prints(BERTH_COMMAND_show_services, "services", cases[i].row, cases[i].printed);
}

static void backends_have_the_port_that_they_listen_on(void **state)
{
	(void)state;
	static const struct {
		const char *row;
		const char *printed;
	} cases[] = {
		{"{\"address\": \"192.0.2.11\", \"port\": 8080}", " 192.0.2.11:8080  "},
		{"{\"address\": \"2001:db8::11\", \"port\": 8080}", " [2001:db8::11]:8080  "},
		{"{\"address\": \"2001:db8::11\", \"port\": null}", " 2001:db8::11  "},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		row_prints(BERTH_COMMAND_show_backends, "backends", cases[i].row, cases[i].printed);
}

static void a_session_has_its_reason(void **state)
{
	(void)state;
	static const struct {
		const char *row;
		const char *printed;
	} cases[] = {
		{"{\"client\": \"198.51.100.7\", \"service\": \"web\", \"group\": null, \"backend\": \"b1\","
		 " \"reason\": \"failed_over\", \"previous_backend\": \"b_2\"}",
		 "198.51.100.7 is on b1 of web: failed over from b_2; its existing flows do not move\n"},
		{"{\"client\": \"2001:db8::/64\", \"service\": \"web\", \"group\": \"shop\", \"backend\": \"b1\","
		 " \"reason\": \"pinned\", \"pinned_backend\": null}",
		 "2001:db8::/64 is on b1 of group shop: pinned; "},
		{"{\"client\": null, \"service\": \"web\", \"backend\": \"b1\", \"reason\": \"pinned\","
		 " \"pinned_backend\": \"b2\"}",
		 "- is on b1 of web: pinned to b2; "},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_t *result = json_pack("{s:o}", "session", json(cases[i].row));
		char *view = PRINTED(out, berth_cli_print(out, BERTH_COMMAND_session_pin, result));
		assert_ptr_equal(strstr(view, cases[i].printed), view);
		free(view);
		json_decref(result);
	}
}

static void a_change_that_is_not_in_force_is_a_failure(void **state)
{
	(void)state;
	static const struct {
		const char *result;
		bool is_failure;
		const char *printed;
	} cases[] = {
		{"{\"in_force\": true, \"publish_error\": null}", false, ""},
		{"{\"in_force\": false, \"publish_error\": null}", true, "pending, not in force yet; see"},
		{"{\"in_force\": false, \"publish_error\": \"no room\"}", true, "not in force yet: no room; see"},
	};
	static const enum berth_command_index commands[] = {BERTH_COMMAND_backend_drain,
							    BERTH_COMMAND_config_apply};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (size_t j = 0; j < 2; j++) {
			json_t *result = json(cases[i].result);
			char *view = PRINTED(out, berth_cli_print(out, commands[j], result));
			assert_non_null(strstr(view, cases[i].printed));
			assert_int_equal(strstr(view, "pending") != NULL, cases[i].is_failure);
			assert_int_equal(berth_cli_is_failure(commands[j], result), cases[i].is_failure);
			free(view);
			json_decref(result);
		}
}

/* A berthd of another version must not crash berthctl. */
static void views_accept_malformed_results(void **state)
{
	(void)state;
	static const char *const results[] = {
		"{}",
		"[]",
		"null",
		("{\"services\": [1, {}, null], \"backends\": {\"a\": 1}, \"drops\": 3, \"packets\": [],"
		 " \"verdicts\": {\"x\": 1, \"y\": null}, \"warnings\": [1], \"backend\": 7}"),
	};
	for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++) {
		json_t *result = json_loads(results[i], JSON_DECODE_ANY, NULL);
		assert_non_null(result);
		for (int c = 0; c < BERTH_COMMAND_COUNT; c++)
			free(PRINTED(out, berth_cli_print(out, (enum berth_command_index)c, result)));
		json_decref(result);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_are_parsed_to_a_request),
		cmocka_unit_test(the_value_of_an_option_is_the_next_word_or_follows_an_equals_sign),
		cmocka_unit_test(arguments_for_berthctl_itself_are_not_in_the_request),
		cmocka_unit_test(every_command_is_found_by_its_words),
		cmocka_unit_test(json_is_also_an_option_after_the_command),
		cmocka_unit_test(invalid_arguments_are_a_usage_error),
		cmocka_unit_test(an_empty_or_non_utf8_word_is_a_usage_error),
		cmocka_unit_test(a_file_is_sent_with_its_name_and_text),
		cmocka_unit_test(an_unreadable_or_binary_file_is_a_configuration_error),
		cmocka_unit_test(an_unknown_command_gets_the_nearest_as_a_suggestion),
		cmocka_unit_test(words_may_be_shortened_while_only_one_command_has_them),
		cmocka_unit_test(help_comes_from_the_list_of_commands),
		cmocka_unit_test(help_fits_80_columns),
		cmocka_unit_test(columns_are_as_wide_as_their_widest_cell),
		cmocka_unit_test(a_table_in_parts_has_its_titles_once),
		cmocka_unit_test(a_table_without_rows_has_its_titles),
		cmocka_unit_test(amounts_are_short_at_every_size),
		cmocka_unit_test(a_long_list_is_cut_at_the_size_of_a_cell),
		cmocka_unit_test(a_result_without_a_view_is_printed_completely),
		cmocka_unit_test(services_have_prefix_and_ports),
		cmocka_unit_test(backends_have_the_port_that_they_listen_on),
		cmocka_unit_test(a_session_has_its_reason),
		cmocka_unit_test(a_change_that_is_not_in_force_is_a_failure),
		cmocka_unit_test(views_accept_malformed_results),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
