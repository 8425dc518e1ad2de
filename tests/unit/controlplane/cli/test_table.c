// SPDX-License-Identifier: BSD-3-Clause
/* How tables fit a line, and the order of their rows. */
#include "tests/unit/controlplane/cli/printed.h"

static const struct berth_column columns[] = {
	{"NAME", "name", berth_cell_plain, false},
	{"COUNT", "count", berth_cell_plain, BERTH_COLUMN_RIGHT | BERTH_COLUMN_DROP(1)},
	{"SIZE", "size", berth_cell_bytes, BERTH_COLUMN_RIGHT | BERTH_COLUMN_DROP(2)},
	{"WHY", "why", berth_cell_plain, BERTH_COLUMN_LEAST(8)},
};

static const char rows[] = "[{'name': 'web', 'count': 5, 'size': 2048, 'why': 'äöü nobody knows'},"
			   " {'name': 'a-long-name', 'count': 70, 'size': 1, 'why': '-'}]";

static json_t *json_of(const char *text)
{
	char copy[512];
	snprintf(copy, sizeof(copy), "%s", text);
	for (char *at = copy; *at; at++)
		if (*at == '\'')
			*at = '"';
	json_t *value = json_loads(copy, 0, NULL);
	assert_non_null(value);
	return value;
}

static void expect_table(int width, const char *expected)
{
	json_t *list = json_of(rows);
	berth_cli_table_set_width(width);
	char *text = PRINTED(out, berth_cli_table_print(out, columns, 4, list));
	berth_cli_table_set_width(0);
	assert_string_equal(text, expected);
	free(text);
	json_decref(list);
}

static void a_table_without_a_limit_has_all_columns(void **state)
{
	(void)state;
	const char *all = "NAME         COUNT     SIZE  WHY\n"
			  "web              5  2.0 KiB  äöü nobody knows\n"
			  "a-long-name     70      1 B  -\n";
	expect_table(0, all);
	expect_table(45, all);
}

static void cells_are_cut_with_a_mark_before_columns_are_left_out(void **state)
{
	(void)state;
	expect_table(44, "NAME         COUNT     SIZE  WHY\n"
			 "web              5  2.0 KiB  äöü nobody k...\n"
			 "a-long-name     70      1 B  -\n");
	expect_table(37, "NAME         COUNT     SIZE  WHY\n"
			 "web              5  2.0 KiB  äöü n...\n"
			 "a-long-name     70      1 B  -\n");
}

static void columns_are_left_out_in_their_order(void **state)
{
	(void)state;
	expect_table(36, "NAME         COUNT  WHY\n"
			 "web              5  äöü nobody knows\n"
			 "a-long-name     70  -\n");
	expect_table(27, "NAME         WHY\n"
			 "web          äöü nobody ...\n"
			 "a-long-name  -\n");
	expect_table(20, "NAME\nweb\na-long-name\n");
}

static void names_are_cut_after_other_columns_are_left_out(void **state)
{
	(void)state;
	static const struct berth_column named[] = {
		{"NAME", "name", berth_cell_plain, BERTH_COLUMN_KEEP | BERTH_COLUMN_LEAST(5)},
		{"COUNT", "count", berth_cell_plain, BERTH_COLUMN_RIGHT | BERTH_COLUMN_DROP(1)},
		{"WHY", "why", berth_cell_plain, BERTH_COLUMN_KEEP | BERTH_COLUMN_LEAST(6)},
	};
	static const struct {
		int width;
		const char *table;
	} cases[] = {
		{33, "NAME         WHY\nweb          äöü nobody knows\na-long-name  -\n"},
		{28, "NAME         WHY\nweb          äöü nobody k...\na-long-name  -\n"},
		{13, "NAME   WHY\nweb    äöü...\na-...  -\n"},
	};
	json_t *list = json_of(rows);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		berth_cli_table_set_width(cases[i].width);
		char *text = PRINTED(out, berth_cli_table_print(out, named, 3, list));
		berth_cli_table_set_width(0);
		assert_string_equal(text, cases[i].table);
		free(text);
	}
	json_decref(list);
}

static void a_line_is_never_longer_than_its_limit(void **state)
{
	(void)state;
	expect_table(8, "NAME\nweb\na-lon...\n");
	expect_table(4, "NAME\nweb\na...\n");
}

static void a_later_page_keeps_to_the_columns_of_the_first(void **state)
{
	(void)state;
	json_t *first = json_of("[{'name': 'web', 'count': 5, 'size': 1, 'why': 'x'}]"), *later = json_of(rows);
	struct berth_cli_table table;
	berth_cli_table_set_width(30);
	berth_cli_table_init(&table, columns, 4);
	char *text = PRINTED(out,
			     (berth_cli_table_add(out, &table, first), berth_cli_table_add(out, &table, later)));
	berth_cli_table_set_width(0);
	assert_string_equal(text, "NAME  COUNT  SIZE  WHY\n"
				  "web       5   1 B  x\n"
				  "web       5  2...  ...\n"
				  "a...     70   1 B  -\n");
	free(text);
	json_decref(first);
	json_decref(later);
}

/* Expects these names, in this order. */
static void expect_sorted(const char *by, const char *names)
{
	char error[BERTH_CLI_ERROR_BYTES] = "", got[128] = "";
	struct berth_call call = {.command = BERTH_COMMAND_show_backends,
				  .display = json_pack("{s:s}", "sort", by)};
	json_t *row, *result = json_of("{'backends': [{'name': 'b10', 'new_flows': 3, 'packets': 7},"
				       " {'name': 'b2', 'new_flows': 3, 'packets': 8},"
				       " {'name': 'a1', 'new_flows': 12}]}");
	size_t i;
	if (berth_cli_arrange(&call, result, error))
		fail_msg("%s", error);
	json_array_foreach(json_object_get(result, "backends"), i, row)
		snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s ", berth_cli_text(row, "name"));
	assert_string_equal(got, names);
	json_decref(result);
	json_decref(call.display);
}

static void rows_are_sorted_by_numbers_and_texts(void **state)
{
	(void)state;
	expect_sorted("name", "a1 b2 b10 ");
	expect_sorted("backend", "a1 b2 b10 ");
	expect_sorted("-BACKEND", "b10 b2 a1 ");
	expect_sorted("new_flows", "a1 b10 b2 ");
	expect_sorted("new-flows", "a1 b10 b2 ");
	expect_sorted("packets", "b2 b10 a1 ");
	expect_sorted("-packets", "a1 b10 b2 ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_table_without_a_limit_has_all_columns),
		cmocka_unit_test(cells_are_cut_with_a_mark_before_columns_are_left_out),
		cmocka_unit_test(columns_are_left_out_in_their_order),
		cmocka_unit_test(names_are_cut_after_other_columns_are_left_out),
		cmocka_unit_test(a_line_is_never_longer_than_its_limit),
		cmocka_unit_test(a_later_page_keeps_to_the_columns_of_the_first),
		cmocka_unit_test(rows_are_sorted_by_numbers_and_texts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
