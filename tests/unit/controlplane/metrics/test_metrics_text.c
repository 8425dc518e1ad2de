// SPDX-License-Identifier: BSD-3-Clause
/* The metrics as text: its format byte by byte, in one turn and in several, and the document that lists them. */
#include <ctype.h>
#include <errno.h>

#include "controlplane/metrics/list.h"
#include "tests/unit/controlplane/metrics/metrics_fixture.h"

#include "tests/support/document.h"

static void expect_bytes(struct berth_text *text, const char *expected)
{
	assert_false(text->failed);
	assert_int_equal(text->length, strlen(expected));
	assert_memory_equal(text->bytes, expected, text->length);
	berth_text_clear(text);
}

static void labels_and_help_are_escaped(void **state)
{
	struct berth_text text = {0};
	(void)state;
	berth_text_label(&text, 0, "a", "plain");
	berth_text_label(&text, 0, "b", "\\\"\n\\n");
	berth_text_label(&text, 0, "c", "");
	berth_text_label(&text, 0, "d", "\xc3\xa4{}=,'");
	expect_bytes(&text, "{a=\"plain\",b=\"\\\\\\\"\\n\\\\n\",c=\"\",d=\"\xc3\xa4{}=,'\"}");
	berth_text_head(&text, "m_total", BERTH_METRIC_COUNTER, "a \"b\"\\\nc");
	expect_bytes(&text, "# HELP m_total a \"b\"\\\\\\nc\n# TYPE m_total counter\n");
}

static void samples_are_integers_tenths_or_millionths(void **state)
{
	static const struct {
		enum berth_metric_type type;
		uint64_t value;
		const char *line;
	} cases[] = {
		{BERTH_METRIC_COUNTER, 0, "m 0\n"},
		{BERTH_METRIC_GAUGE, 10, "m 10\n"},
		{BERTH_METRIC_COUNTER, UINT64_MAX, "m 18446744073709551615\n"},
		{BERTH_METRIC_HUNDREDTHS, 0, "m 0\n"},
		{BERTH_METRIC_HUNDREDTHS, 3, "m 0.03\n"},
		{BERTH_METRIC_HUNDREDTHS, 700, "m 7\n"},
		{BERTH_METRIC_HUNDREDTHS, 12340, "m 123.4\n"},
		{BERTH_METRIC_HUNDREDTHS, UINT64_MAX, "m 184467440737095516.15\n"},
		{BERTH_METRIC_MICROS, 0, "m 0\n"},
		{BERTH_METRIC_MICROS, 1, "m 0.000001\n"},
		{BERTH_METRIC_MICROS, 1203000, "m 1.203\n"},
		{BERTH_METRIC_COUNTER_MICROS, 7000000, "m 7\n"},
		{BERTH_METRIC_COUNTER_MICROS, UINT64_MAX, "m 18446744073709.551615\n"},
	};
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct berth_text text = {0};
		berth_text_sample(&text, "m", cases[i].type, (struct berth_labels){0}, cases[i].value);
		expect_bytes(&text, cases[i].line);
	}
}

static size_t name_length(const char *at)
{
	size_t n = 0;
	while (isalnum((unsigned char)at[n]) || at[n] == '_' || at[n] == ':')
		n++;
	return isdigit((unsigned char)at[0]) ? 0 : n;
}

/* Skips {a="x",b="y"}. */
static const char *skip_labels(const char *at)
{
	if (*at != '{')
		return at;
	do {
		at++;
		size_t n = name_length(at);
		assert_true(n > 0);
		at += n;
		assert_memory_equal(at, "=\"", 2);
		for (at += 2; *at != '"'; at++) {
			assert_true(*at && *at != '\n');
			if (*at == '\\')
				assert_non_null(strchr("\\\"n", *++at));
		}
		at++;
	} while (*at == ',');
	assert_int_equal(*at, '}');
	return at + 1;
}

/* Parses one metric: head and samples. Adds its name to `seen`, and its series. Returns the rest. */
static const char *take_metric(const char *at, json_t *seen)
{
	char name[128], type[128], value[32];
	int used = 0;
	assert_int_equal(sscanf(at, "# HELP %127[a-z_] %*[^\n]%n", name, &used), 1);
	at += used;
	assert_int_equal(sscanf(at, "\n# TYPE %127[a-z_] %31[a-z]%n", type, value, &used), 2);
	assert_string_equal(type, name);
	bool counter = strcmp(value, "counter") == 0;
	assert_true(counter || strcmp(value, "gauge") == 0);
	assert_int_equal(counter, strlen(name) > 6 && strcmp(name + strlen(name) - 6, "_total") == 0);
	assert_true(strncmp(name, "berth_", 6) == 0 || strncmp(name, "process_", 8) == 0);
	assert_null(json_object_get(seen, name));
	json_object_set_new(seen, name, json_true());
	at += used;
	assert_int_equal(*at++, '\n');
	while (*at && *at != '#') {
		const char *begin = at;
		assert_int_equal(name_length(at), strlen(name));
		assert_memory_equal(at, name, strlen(name));
		at = skip_labels(at + strlen(name));
		char *series = strndup(begin, (size_t)(at - begin));
		/* A series without labels has the metric's name. */
		assert_true(*(begin + strlen(name)) != '{' || !json_object_get(seen, series));
		json_object_set_new(seen, series, json_true());
		free(series);
		assert_int_equal(*at++, ' ');
		assert_true(isdigit((unsigned char)*at));
		at += strspn(at, "0123456789.");
		assert_int_equal(*at++, '\n');
	}
	return at;
}

static void the_text_has_the_format_of_prometheus(void **state)
{
	json_t *seen = json_object();
	char *text = scrape(*state);
	const char *at = text;
	size_t metrics = 0;
	for (; *at; metrics++)
		at = take_metric(at, seen);
#define X(...) +1
	assert_int_equal(metrics, 0 BERTH_METRICS_GLOBAL(X) BERTH_METRICS_PROCESS(X) BERTH_METRICS_LABELLED(X)
					  BERTH_METRICS_SERVICE(X) BERTH_METRICS_BACKEND(X));
#undef X
	json_decref(seen);
	free(text);
}

/* A row is "| `NAME` | TYPE | MEANING |", with a column of labels before the meaning for some. */
static void expect_document_row(const char *text, const char *name, const char *type, const char *help)
{
	char row[160], meaning[256];
	snprintf(row, sizeof(row), "\n| `%s` | %s |", name, type);
	snprintf(meaning, sizeof(meaning), "| %s |\n", help);
	const char *start = strstr(text, row);
	if (!start)
		fail_msg("metrics.md has no row \"%s\"", row + 1);
	const char *found = strstr(start, meaning);
	if (!found || found > strchr(start + 1, '\n'))
		fail_msg("metrics.md: %s must have the meaning \"%s\"", name, help);
}

/* Without the values. */
static void strip_values(struct berth_text *text)
{
	size_t to = 0, space = 0;
	for (size_t i = 0; i < text->length; i++) {
		if (text->bytes[i] == ' ')
			space = to;
		else if (text->bytes[i] == '\n')
			to = space;
		text->bytes[to++] = text->bytes[i];
	}
	text->length = to;
}

/* Metrics that are written by about `rows` samples a turn. After `turns` of them another configuration is applied.
 */
static struct berth_text in_turns(struct metrics_fixture *f, size_t rows, unsigned int turns)
{
	struct berth_text text = {0};
	struct berth_metrics_writing *writing = berth_metrics_begin(&f->daemon->state);
	unsigned int n = 0;
	int err;
	while ((err = berth_metrics_go_on(writing, rows, &text)) == -EAGAIN)
		f->daemon->state.installs += ++n == turns;
	assert_int_equal(err, 0);
	assert_in_range(n, rows == 1 ? 50 : 3, UINT32_MAX);
	berth_metrics_end(writing);
	strip_values(&text);
	return text;
}

static void metrics_in_turns_are_those_of_one_turn(void **state)
{
	struct metrics_fixture *f = *state;
	struct berth_text whole = {0};
	assert_int_equal(berth_metrics_write(&f->daemon->state, &whole), 0);
	strip_values(&whole);
	for (size_t rows = 1; rows < 9; rows++)
		for (unsigned int turns = 0; turns < 4; turns++) {
			struct berth_text text = in_turns(f, rows, turns);
			assert_int_equal(text.length, whole.length);
			assert_memory_equal(text.bytes, whole.bytes, whole.length);
			berth_text_clear(&text);
		}
	berth_text_clear(&whole);
}

static void the_document_lists_every_metric_with_its_help(void **state)
{
	size_t rows = 0, metrics = 0;
	char *document_text = document("metrics.md");
	(void)state;
#define TYPE_COUNTER "counter"
#define TYPE_GAUGE "gauge"
#define TYPE_HUNDREDTHS "gauge"
#define TYPE_MICROS "gauge"
#define TYPE_COUNTER_MICROS "counter"
#define X(symbol, name, type, help) expect_document_row(document_text, name, TYPE_##type, help), metrics++;
	BERTH_METRICS_GLOBAL(X)
	BERTH_METRICS_PROCESS(X)
	BERTH_METRICS_LABELLED(X)
	BERTH_METRICS_SERVICE(X)
	BERTH_METRICS_BACKEND(X)
#undef X
	for (const char *at = document_text; (at = strstr(at, "\n| `")); at++)
		rows += strncmp(at + 4, "berth_", 6) == 0 || strncmp(at + 4, "process_", 8) == 0;
	assert_int_equal(rows, metrics);
	free(document_text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(labels_and_help_are_escaped),
		cmocka_unit_test(samples_are_integers_tenths_or_millionths),
		cmocka_unit_test(the_document_lists_every_metric_with_its_help),
		TEST(the_text_has_the_format_of_prometheus),
		TEST(metrics_in_turns_are_those_of_one_turn),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
