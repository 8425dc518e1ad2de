// SPDX-License-Identifier: BSD-3-Clause
/* `show flows`: what words of the flow table say, with filters and pages. */
#include "tests/unit/controlplane/cmd/cmd.h"

/* Besides those of fill_tables: a flow of dns, idle for 100 s, one that is closing, and what is no flow. */
static void fill_flows(struct berthd *f)
{
	const struct berth_image *image = &f->daemon->engine->image;
	const uint32_t now = berth_clock_s();
	const uint32_t b1 = backend(f, "web", "b1")->number, dns = backend(f, "dns", "b1")->number;
	fill_tables(f);
	image->flows[6].word[0] = berth_word_make(4, dns, now - 100, BERTH_STATE_CONFIRMED);
	image->flows[6].word[1] = berth_word_make(5, b1, now, BERTH_STATE_CLOSING);
	image->flows[6].word[2] = berth_word_claim(6, b1, now, 0);
	image->flows[6].word[3] = berth_word_make(7, b1, now - 100000, BERTH_STATE_UNCONFIRMED);
	image->flows[6].word[4] = berth_word_make(8, 59, now, BERTH_STATE_CONFIRMED);
}

/* The number of rows with these arguments, of which each has `value` as `key`. */
static size_t count(struct berthd *f, const char *arguments, const char *key, const char *value)
{
	size_t i;
	json_t *row, *result = run(f, "show flows", arguments, BERTH_CODE_OK);
	json_t *rows = json_object_get(result, "flows");
	json_array_foreach(rows, i, row) assert_string_equal(json_string_value(json_object_get(row, key)), value);
	const size_t n = json_array_size(rows);
	json_decref(result);
	return n;
}

static void show_flows_has_a_row_for_each_live_flow(void **state)
{
	struct berthd *f = *state;
	fill_flows(f);
	json_t *result = run(f, "show flows", "{}", BERTH_CODE_OK);
	const json_t *rows = json_object_get(result, "flows"), *row = json_array_get(rows, 3);
	assert_int_equal(json_array_size(rows), 5);
	assert_true(json_is_null(json_object_get(result, "next")));
	assert_string_equal(json_string_value(json_object_get(row, "service")), "dns");
	assert_string_equal(json_string_value(json_object_get(row, "backend")), "b1");
	assert_string_equal(json_string_value(json_object_get(row, "protocol")), "udp");
	assert_string_equal(json_string_value(json_object_get(row, "state")), "confirmed");
	assert_in_range(json_integer_value(json_object_get(row, "idle_s")), 100, 103);
	assert_true(json_is_false(json_object_get(row, "former_table")));
	json_decref(result);
}

static void show_flows_has_filters(void **state)
{
	struct berthd *f = *state;
	fill_flows(f);
	assert_int_equal(count(f, "{\"service\": \"web\"}", "service", "web"), 4);
	assert_int_equal(count(f, "{\"backend\": \"web/b2\"}", "backend", "b2"), 1);
	assert_int_equal(count(f, "{\"service\": \"dns\", \"backend\": \"web/b2\"}", "", ""), 0);
	assert_int_equal(count(f, "{\"protocol\": \"udp\"}", "protocol", "udp"), 1);
	assert_int_equal(count(f, "{\"protocol\": \"tcp\"}", "protocol", "tcp"), 4);
	assert_int_equal(count(f, "{\"state\": \"closing\"}", "state", "closing"), 1);
	assert_int_equal(count(f, "{\"idle\": \"60s\"}", "service", "dns"), 1);
	assert_int_equal(count(f, "{\"idle\": \"200s\"}", "", ""), 0);
}

static void show_flows_comes_in_pages(void **state)
{
	struct berthd *f = *state;
	char arguments[64] = "{\"limit\": \"2\"}";
	size_t n = 0, pages = 0;
	fill_flows(f);
	for (const char *next = ""; next; pages++) {
		json_t *result = run(f, "show flows", arguments, BERTH_CODE_OK);
		n += json_array_size(json_object_get(result, "flows"));
		next = json_string_value(json_object_get(result, "next"));
		if (next)
			snprintf(arguments, sizeof(arguments), "{\"limit\": \"2\", \"after\": \"%s\"}", next);
		json_decref(result);
	}
	assert_int_equal(n, 5);
	assert_int_equal(pages, 3);
}

static void flows_in_a_former_table_are_shown(void **state)
{
	struct berthd *f = *state;
	static struct berth_bucket former[4];
	struct berth_image *image = &f->daemon->engine->image;
	fill_flows(f);
	former[3].word[7] = berth_word_make(9, backend(f, "web", "b1")->number, berth_clock_s(),
					    BERTH_STATE_PROVEN);
	image->former_flows = former;
	image->former_flow_bits = image->ctl->former_flow_bits = 3;
	json_t *result = run(f, "show flows", "{}", BERTH_CODE_OK), *rows = json_object_get(result, "flows");
	const json_t *last = json_array_get(rows, 5);
	assert_int_equal(json_array_size(rows), 6);
	assert_true(json_is_true(json_object_get(last, "former_table")));
	assert_string_equal(json_string_value(json_object_get(last, "state")), "proven");
	json_decref(result);
	image->former_flows = NULL;
	image->former_flow_bits = image->ctl->former_flow_bits = 0;
}

static void a_wrong_filter_of_flows_is_refused(void **state)
{
	refuse(*state, "show flows", "{\"service\": \"wap\"}", BERTH_CODE_NOT_FOUND, "service \"wap\" not found");
	refuse(*state, "show flows", "{\"backend\": \"web\"}", BERTH_CODE_INVALID, "write SERVICE/BACKEND");
	refuse(*state, "show flows", "{\"backend\": \"web/b9\"}", BERTH_CODE_NOT_FOUND, "backend web/b9 not found");
	refuse(*state, "show flows", "{\"protocol\": \"icmp\"}", BERTH_CODE_INVALID, "write tcp or udp");
	refuse(*state, "show flows", "{\"state\": \"session\"}", BERTH_CODE_INVALID, "invalid state \"session\"");
	refuse(*state, "show flows", "{\"idle\": \"-1s\"}", BERTH_CODE_INVALID, "idle");
	refuse(*state, "show flows", "{\"after\": \"x\"}", BERTH_CODE_INVALID, "write a whole number");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(show_flows_has_a_row_for_each_live_flow),
		TEST(show_flows_has_filters),
		TEST(show_flows_comes_in_pages),
		TEST(flows_in_a_former_table_are_shown),
		TEST(a_wrong_filter_of_flows_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
