// SPDX-License-Identifier: BSD-3-Clause
/* The configuration in force as text, its history, and a change that waits for its confirmation. */
#include "tests/unit/controlplane/cmd/cmd.h"

#include <sys/stat.h>

#include "controlplane/history/history.h"
#include "tests/support/loop.h"

#define WITH(weight)                                                                                               \
	HEAD "# why it is so\nservices:\n  - " WEB "backends: [{name: b1, address: 192.0.2.11, weight: " #weight   \
	     "}]}\n"

/* Runs a command with a text as its file, and more arguments; NULL where it must fail with `code`. */
static json_t *run_with(struct berthd *f, const char *command, const char *text, const char *more,
			enum berth_code code)
{
	json_t *arguments = json_loads(more, 0, NULL);
	assert_non_null(arguments);
	json_object_set_new(arguments, "file", json_string("new.yaml"));
	json_object_set_new(arguments, "text", json_string(text));
	char *given = json_dumps(arguments, 0);
	json_t *result = run(f, command, given, code);
	free(given);
	json_decref(arguments);
	return result;
}

static void apply(struct berthd *f, const char *text, const char *more)
{
	json_decref(run_with(f, "config apply", text, more, BERTH_CODE_OK));
}

static uint32_t weight(struct berthd *f)
{
	return backend(f, "web", "b1")->config.weight;
}

static void expect_file(struct berthd *f, const char *expected)
{
	size_t length;
	char *text = berth_file_read(f->path, &length);
	assert_non_null(text);
	assert_string_equal(text, expected);
	free(text);
}

static void write_file(struct berthd *f, const char *text)
{
	assert_int_equal(berth_file_replace(f->path, text, strlen(text)), 0);
}

static void restart(struct berthd *f)
{
	berth_daemon_close(f->daemon);
	berthd_open(f);
}

/* The text of `config show`, as berthctl prints it. */
static void show(struct berthd *f, char *text, size_t size)
{
	json_t *result = run(f, "config show", "{}", BERTH_CODE_OK);
	snprintf(text, size, "%s%s", json_string_value(json_object_get(result, "digest_line")),
		 json_string_value(json_object_get(result, "text")));
	json_decref(result);
}

static void the_text_in_force_is_shown_with_its_comments(void **state)
{
	struct berthd *f = *state;
	apply(f, WITH(3), "{\"no-save\": true}");
	json_t *result = run(f, "config show", "{}", BERTH_CODE_OK);
	assert_string_equal(json_string_value(json_object_get(result, "text")), WITH(3));
	json_decref(result);
	result = run(f, "config show", "{\"undo\": \"1\"}", BERTH_CODE_OK);
	assert_string_equal(json_string_value(json_object_get(result, "text")), configuration);
	json_decref(result);
	refuse(f, "config show", "{\"undo\": \"9\"}", BERTH_CODE_NOT_FOUND, "config history");
	refuse(f, "config show", "{\"undo\": \"x\"}", BERTH_CODE_INVALID, "UNDO");
}

static void an_edited_copy_does_not_overwrite_a_change_made_since(void **state)
{
	struct berthd *f = *state;
	char copy[4096];
	apply(f, WITH(3), "{}");
	show(f, copy, sizeof(copy));
	memcpy(strstr(copy, "weight: 3"), "weight: 5", 9);
	apply(f, WITH(4), "{}");
	assert_null(run_with(f, "config apply", copy, "{}", BERTH_CODE_CONFLICT));
	assert_non_null(strstr(f->error, "config history"));
	assert_int_equal(weight(f), 4);
	apply(f, copy, "{\"force\": true}");
	assert_int_equal(weight(f), 5);
	/* The line is not part of the configuration. */
	expect_file(f, WITH(5));
	show(f, copy, sizeof(copy));
	memcpy(strstr(copy, "weight: 5"), "weight: 6", 9);
	apply(f, copy, "{}");
	assert_int_equal(weight(f), 6);
}

static void a_file_that_others_have_changed_is_not_overwritten(void **state)
{
	struct berthd *f = *state;
	write_file(f, WITH(8));
	assert_null(run_with(f, "config apply", WITH(7), "{}", BERTH_CODE_CONFLICT));
	assert_non_null(strstr(f->error, "--force"));
	assert_int_equal(f->daemon->model.n_services, 3);
	expect_file(f, WITH(8));
	apply(f, WITH(7), "{\"no-save\": true}");
	refuse(f, "config save", "{}", BERTH_CODE_CONFLICT, "--force");
	json_decref(run(f, "config save", "{\"force\": true}", BERTH_CODE_OK));
	expect_file(f, WITH(7));
	/* The file itself, edited in place, is no conflict. */
	write_file(f, WITH(9));
	apply(f, WITH(9), "{}");
	apply(f, WITH(10), "{}");
	expect_file(f, WITH(10));
}

/* UNDO, WHAT and CHANGE of an entry. */
static void expect_entry(struct berthd *f, size_t i, const char *what, const char *change)
{
	json_t *result = run(f, "config history", "{}", BERTH_CODE_OK);
	const json_t *entry = json_array_get(json_object_get(result, "configurations"), i);
	assert_int_equal(json_integer_value(json_object_get(entry, "undo")), i);
	assert_string_equal(berth_cmd_text(entry, "what"), what);
	assert_string_equal(berth_cmd_text(entry, "change"), change);
	json_decref(result);
}

static void each_change_is_in_the_history_and_can_be_undone(void **state)
{
	struct berthd *f = *state;
	apply(f, WITH(3), "{}");
	apply(f, WITH(4), "{}");
	/* What changes nothing is no entry. */
	apply(f, WITH(4), "{}");
	expect_entry(f, 0, "config apply \"new.yaml\"", "web/b1: weight 3 -> 4");
	expect_entry(f, 2, "start of berthd", "as the configuration file has it");
	json_decref(run(f, "config undo", "{}", BERTH_CODE_OK));
	assert_int_equal(weight(f), 3);
	expect_file(f, WITH(3));
	expect_entry(f, 0, "config undo", "web/b1: weight 4 -> 3");
	json_decref(run(f, "config undo", "{\"steps\": \"1\", \"no-save\": true}", BERTH_CODE_OK));
	assert_int_equal(weight(f), 4);
	expect_file(f, WITH(3));
	refuse(f, "config undo", "{\"steps\": \"5\"}", BERTH_CODE_NOT_FOUND, "4 earlier");
	refuse(f, "config undo", "{\"steps\": \"0\"}", BERTH_CODE_INVALID, "in force");
	/* It survives a restart, which reads the file. */
	restart(f);
	assert_int_equal(weight(f), 3);
	expect_entry(f, 1, "config undo \"1\" --no-save", "web/b1: weight 3 -> 4");
	json_decref(run(f, "config undo", "{}", BERTH_CODE_OK));
	assert_int_equal(weight(f), 4);
}

static void the_history_is_bounded(void **state)
{
	struct berthd *f = *state;
	char text[2048];
	for (int i = 1; i < 2 * BERTH_HISTORY_ENTRIES; i++) {
		snprintf(text, sizeof(text),
			 HEAD "services:\n  - " WEB "backends: [{name: b1, address: 192.0.2.11, weight: %d}]}\n",
			 i);
		apply(f, text, "{\"no-save\": true}");
	}
	json_t *result = run(f, "config history", "{}", BERTH_CODE_OK);
	assert_int_equal(json_array_size(json_object_get(result, "configurations")), BERTH_HISTORY_ENTRIES);
	json_decref(result);
	restart(f);
	json_decref(run(f, "config undo", "{\"steps\": \"19\", \"no-save\": true}", BERTH_CODE_OK));
	assert_int_equal(weight(f), 2 * BERTH_HISTORY_ENTRIES - 19);
}

static void a_damaged_history_is_set_aside(void **state)
{
	struct berthd *f = *state;
	char path[96];
	apply(f, WITH(3), "{\"no-save\": true}");
	snprintf(path, sizeof(path), "%s/test/config-1.yaml", f->dir);
	assert_int_equal(berth_file_write(path, "engine: dpdk\n", 13, 0600), 0);
	refuse(f, "config undo", "{}", BERTH_CODE_NOT_FOUND, "digest");
	snprintf(path, sizeof(path), "%s/test/config-history.json", f->dir);
	size_t length;
	char *index = berth_file_read(path, &length);
	memcpy(strstr(index, "config apply"), "Config", 6);
	assert_int_equal(berth_file_write(path, index, length, 0600), 0);
	free(index);
	restart(f);
	expect_entry(f, 0, "start of berthd", "as the configuration file has it");
	assert_non_null(strstr(f->daemon->state.saved_damage, "config-history.json"));
}

static void a_change_that_is_not_confirmed_is_undone(void **state)
{
	struct berthd *f = *state;
	apply(f, WITH(3), "{}");
	json_t *result = run_with(f, "config apply", WITH(4), "{\"confirm\": \"1s\"}", BERTH_CODE_OK);
	assert_int_equal(json_integer_value(json_object_get(result, "confirm_s")), 1);
	assert_true(json_is_null(json_object_get(result, "saved")));
	json_decref(result);
	assert_int_equal(weight(f), 4);
	expect_file(f, WITH(3));
	refuse(f, "config save", "{}", BERTH_CODE_CONFLICT, "config confirm");
	assert_null(run_with(f, "config apply", WITH(5), "{}", BERTH_CODE_CONFLICT));
	loop_for(f->daemon->base, 1200);
	assert_int_equal(weight(f), 3);
	expect_entry(f, 0, "not confirmed in time", "the former configuration is in force again");
	refuse(f, "config confirm", "{}", BERTH_CODE_NOT_FOUND, "no configuration waits");
	apply(f, WITH(5), "{}");
}

static void a_change_that_is_confirmed_stays_and_is_saved(void **state)
{
	struct berthd *f = *state;
	apply(f, WITH(4), "{\"confirm\": \"1s\"}");
	json_t *result = run(f, "config confirm", "{}", BERTH_CODE_OK);
	assert_string_equal(berth_cmd_text(result, "saved"), f->path);
	json_decref(result);
	expect_file(f, WITH(4));
	loop_for(f->daemon->base, 1200);
	assert_int_equal(weight(f), 4);
	apply(f, WITH(5), "{\"confirm\": \"60s\"}");
	json_decref(run(f, "config undo", "{}", BERTH_CODE_OK));
	assert_int_equal(weight(f), 4);
	expect_file(f, WITH(4));
	refuse(f, "config confirm", "{}", BERTH_CODE_NOT_FOUND, "no configuration waits");
}

static void a_restart_neither_loses_nor_keeps_a_change_to_confirm(void **state)
{
	struct berthd *f = *state;
	apply(f, WITH(3), "{}");
	apply(f, WITH(4), "{\"confirm\": \"2s\"}");
	restart(f);
	assert_int_equal(weight(f), 4);
	loop_for(f->daemon->base, 2200);
	assert_int_equal(weight(f), 3);
	apply(f, WITH(5), "{\"confirm\": \"60s\"}");
	restart(f);
	json_decref(run(f, "config confirm", "{}", BERTH_CODE_OK));
	expect_file(f, WITH(5));
	/* The time ends while berthd does not run. */
	apply(f, WITH(6), "{\"confirm\": \"1s\"}");
	berth_daemon_close(f->daemon);
	sleep(1);
	berthd_open(f);
	assert_int_equal(weight(f), 5);
	refuse(f, "config confirm", "{}", BERTH_CODE_NOT_FOUND, "no configuration waits");
}

static void a_diff_compares_by_meaning(void **state)
{
	struct berthd *f = *state;
	apply(f, WITH(3), "{}");
	expect(run_with(f, "config diff", WITH(4), "{}", BERTH_CODE_OK),
	       "{'before': 'in force', 'after': 'new.yaml', 'same_text': false, 'changes': [{'service': 'web', "
	       "'backend': 'b1', 'change': 'changed', 'key': 'weight', 'before': '3', 'after': '4', 'effect': 'its "
	       "flows and sessions stay; its share of new clients changes'}]}");
	expect(run_with(f, "config diff", "# other\n" WITH(3), "{}", BERTH_CODE_OK),
	       "{'before': 'in force', 'after': 'new.yaml', 'same_text': false, 'changes': []}");
	json_t *two = json_pack("{s:s, s:s}", "file2", "b.yaml", "text2", WITH(3));
	char *more = json_dumps(two, 0);
	json_t *result = run_with(f, "config diff", WITH(9), more, BERTH_CODE_OK);
	assert_string_equal(berth_cmd_text(result, "after"), "b.yaml");
	assert_string_equal(berth_cmd_text(json_array_get(json_object_get(result, "changes"), 0), "before"), "9");
	json_decref(result);
	free(more);
	json_decref(two);
	/* Without a file: what a restart would change. */
	write_file(f, WITH(5));
	result = run(f, "config diff", "{}", BERTH_CODE_OK);
	assert_string_equal(berth_cmd_text(json_array_get(json_object_get(result, "changes"), 0), "after"), "5");
	json_decref(result);
	assert_null(run_with(f, "config diff", "x: 1\n", "{}", BERTH_CODE_CONFIG));
}

static void an_edit_is_applied_saved_and_undone_like_a_file(void **state)
{
	struct berthd *f = *state;
	apply(f, WITH(3), "{}");
	json_t *result = run(f, "backend set", "{\"backend\": \"web/b1\", \"keys\": [\"weight\", \"4\"]}",
			     BERTH_CODE_OK);
	expect(json_incref(json_object_get(result, "changes")),
	       "[{'service': 'web', 'backend': 'b1', 'change': 'changed', 'key': 'weight', 'before': '3', 'after': "
	       "'4', 'effect': 'its flows and sessions stay; its share of new clients changes'}]");
	json_decref(result);
	assert_int_equal(weight(f), 4);
	expect_file(f, WITH(4));
	expect_entry(f, 0, "backend set \"web/b1\" \"weight\" \"4\"", "web/b1: weight 3 -> 4");
	json_decref(run(f, "backend add",
			"{\"backend\": \"web/b2\", \"address\": \"192.0.2.12\", \"confirm\": \"60s\"}",
			BERTH_CODE_OK));
	assert_non_null(backend(f, "web", "b2"));
	expect_file(f, WITH(4));
	json_decref(run(f, "config undo", "{}", BERTH_CODE_OK));
	assert_null(backend(f, "web", "b2"));
	json_decref(run(f, "config undo", "{}", BERTH_CODE_OK));
	assert_non_null(backend(f, "web", "b2"));
}

static void an_edit_that_is_not_valid_changes_nothing(void **state)
{
	struct berthd *f = *state;
	static const struct {
		const char *command, *arguments, *says;
		enum berth_code code;
	} cases[] = {
		{"backend set", "{'backend': 'web/b1', 'keys': ['weight', 'x']}",
		 "the edited configuration:", BERTH_CODE_CONFIG},
		{"backend set", "{'backend': 'web/b1', 'keys': ['weigth', '1']}", "did you mean",
		 BERTH_CODE_CONFIG},
		{"backend set", "{'backend': 'web/b1', 'keys': ['weight']}", "has no value", BERTH_CODE_INVALID},
		{"backend set", "{'backend': 'web/b9', 'keys': ['weight', '1']}", "b9", BERTH_CODE_NOT_FOUND},
		{"backend add", "{'backend': 'web/b1', 'address': '192.0.2.77'}", "duplicate", BERTH_CODE_CONFIG},
		{"backend add", "{'backend': 'web/b3', 'address': 'nowhere'}", "address", BERTH_CODE_CONFIG},
		{"service add", "{'service': 'x', 'keys': ['port', '1']}", "address", BERTH_CODE_CONFIG},
		{"service remove", "{'service': 'x'}", "\"x\"", BERTH_CODE_NOT_FOUND},
		{"service set", "{'service': 'web', 'keys': [1, 2]}", "list of strings", BERTH_CODE_INVALID},
	};
	apply(f, WITH(3), "{}");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char arguments[256];
		snprintf(arguments, sizeof(arguments), "%s", cases[i].arguments);
		for (char *at = arguments; *at; at++)
			*at = *at == '\'' ? '"' : *at;
		refuse(f, cases[i].command, arguments, cases[i].code, cases[i].says);
	}
	json_t *plan = run(f, "backend remove", "{\"backend\": \"web/*\", \"plan\": true}", BERTH_CODE_OK);
	assert_string_equal(berth_cmd_text(json_array_get(json_object_get(plan, "changes"), 0), "change"),
			    "removed");
	json_decref(plan);
	assert_int_equal(weight(f), 3);
	expect_file(f, WITH(3));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_text_in_force_is_shown_with_its_comments),
		TEST(an_edited_copy_does_not_overwrite_a_change_made_since),
		TEST(a_file_that_others_have_changed_is_not_overwritten),
		TEST(each_change_is_in_the_history_and_can_be_undone),
		TEST(the_history_is_bounded),
		TEST(a_damaged_history_is_set_aside),
		TEST(a_change_that_is_not_confirmed_is_undone),
		TEST(a_change_that_is_confirmed_stays_and_is_saved),
		TEST(a_restart_neither_loses_nor_keeps_a_change_to_confirm),
		TEST(a_diff_compares_by_meaning),
		TEST(an_edit_is_applied_saved_and_undone_like_a_file),
		TEST(an_edit_that_is_not_valid_changes_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
