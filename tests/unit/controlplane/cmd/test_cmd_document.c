// SPDX-License-Identifier: BSD-3-Clause
/* docs/commands.md names every JSON field of the results. */
#include "tests/unit/controlplane/cmd/cmd.h"

#include "tests/support/document.h"

/* Objects whose keys are data: names of verdicts and events. */
static bool has_free_keys(const char *key)
{
	return strcmp(key, "verdicts") == 0 || strcmp(key, "events") == 0;
}

/* Expects `key` in the section for each key of the value, at any depth. */
static void expect_keys(const char *section, const char *words, json_t *value)
{
	const char *key;
	json_t *member;
	size_t i;
	json_array_foreach(value, i, member) expect_keys(section, words, member);
	json_object_foreach(value, key, member)
	{
		char quoted[64];
		snprintf(quoted, sizeof(quoted), "`%s`", key);
		if (!strstr(section, quoted))
			fail_msg("commands.md does not explain the field %s of `%s`", key, words);
		if (has_free_keys(key))
			member = json_object_iter_value(json_object_iter(member));
		expect_keys(section, words, member);
	}
}

/* Expects the keys of the row in its section, and the other keys of the result anywhere. */
static void expect_row(const char *text, const char *section, const char *words, json_t *result)
{
	const char *key;
	json_t *member, *others = json_object();
	json_object_foreach(result, key, member)
	{
		if (json_is_object(member))
			expect_keys(section, words, member);
		else
			json_object_set(others, key, member);
	}
	expect_keys(text, words, others);
	json_decref(others);
}

static void every_field_of_a_result_is_explained(void **state)
{
	static const struct {
		const char *words;
		const char *arguments;
		const char *section; /* with the fields of the result */
		bool is_row;	     /* of the object in the result, not of the result */
	} cases[] = {
		{"show services", "{}", "show services", false},
		{"show backends", "{}", "show backends", false},
		{"session pin", "{\"client\": \"198.51.100.7\", \"backend\": \"web/b1\"}", "show sessions", true},
		{"show sessions", "{}", "show sessions", false},
		{"show flows", "{}", "show flows", false},
		{"explain", "{\"packet\": \"tcp 198.51.100.7:4242 -> 203.0.113.10:80\"}", "explain", false},
		{"show dns", "{}", "show dns", false},
		{"ready", "{}", "ready", false},
		{"wait ready", "{}", "wait ready", true},
		{"show node", "{}", "show node", false},
		{"node drain", "{}", "show node", true},
		{"wait withdrawn", "{}", "wait withdrawn", false},
		{"show stats", "{}", "show stats", false},
		{"show drops", "{}", "show drops", false},
		{"show drops", "{\"service\": \"web\"}", "show drops", false},
		{"show engine", "{}", "show engine", false},
		{"show ports", "{}", "show ports", false},
		{"events", "{}", "events", false},
		{"show cluster", "{}", "show cluster", false},
		{"show metrics", "{}", "show metrics", false},
		{"backend drain", "{\"backend\": \"web/b1\"}", "show backends", true},
		{"session unpin", "{\"client\": \"198.51.100.7\", \"service\": \"web\"}", "session unpin", false},
		{"session clear", "{\"service\": \"web\"}", "session clear", false},
	};
	struct berthd *f = *state;
	char *text = document("commands.md");
	fill_tables(f);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *section = document_section(text, cases[i].section);
		assert_non_null(section);
		json_t *result = run(f, cases[i].words, cases[i].arguments, BERTH_CODE_OK);
		if (cases[i].is_row)
			expect_row(text, section, cases[i].words, result);
		else
			expect_keys(section, cases[i].words, result);
		json_decref(result);
		free(section);
	}
	free(text);
}

static void every_field_of_a_configuration_result_is_explained(void **state)
{
	static const char *const commands[] = {"config check", "plan"};
	struct berthd *f = *state;
	char *text = document("commands.md");
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		char *section = document_section(text, commands[i]);
		assert_non_null(section);
		json_t *arguments = json_pack("{s:s, s:s}", "file", "berth.yaml", "text", configuration);
		char *given = json_dumps(arguments, 0);
		json_t *result = run(f, commands[i], given, BERTH_CODE_OK);
		expect_keys(section, commands[i], result);
		json_decref(result);
		free(given);
		json_decref(arguments);
		free(section);
	}
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_field_of_a_result_is_explained),
		TEST(every_field_of_a_configuration_result_is_explained),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
