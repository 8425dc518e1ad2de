// SPDX-License-Identifier: BSD-3-Clause
/* Filters of `show services` and `show backends`. */
#include "tests/unit/controlplane/cmd/cmd.h"

/* Expects the names of these rows, each with a space behind it. */
static void expect_names(struct berthd *f, const char *command, const char *key, const char *arguments,
			 const char *names)
{
	char got[256] = "";
	size_t i;
	json_t *row, *result = run(f, command, arguments, BERTH_CODE_OK);
	json_array_foreach(json_object_get(result, key), i, row)
	{
		const char *service = berth_cmd_text(row, "service");
		snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%s%s ", service ? service : "",
			 service ? "/" : "", berth_cmd_text(row, "name"));
	}
	assert_string_equal(got, names);
	assert_true(json_is_null(json_object_get(result, "next")));
	json_decref(result);
}

static void backends_are_filtered_by_name_state_and_host(void **state)
{
	static const struct {
		const char *arguments;
		const char *names;
	} cases[] = {
		{"{}", "web/b1 web/b2 dns/b1 "},
		{"{\"service\": \"w*\"}", "web/b1 web/b2 "},
		{"{\"service\": \"*/b1\"}", "web/b1 dns/b1 "},
		{"{\"service\": \"web/?2\"}", "web/b2 "},
		{"{\"service\": \"web/x\"}", ""},
		{"{\"down\": true}", "web/b2 dns/b1 "},
		{"{\"down\": true, \"service\": \"web\"}", "web/b2 "},
		{"{\"down\": false}", "web/b1 web/b2 dns/b1 "},
		{"{\"host\": \"192.0.2.11\"}", "web/b1 "},
		{"{\"host\": \"2001:db8:0::11\"}", "dns/b1 "},
		{"{\"host\": \"192.0.2.99\"}", ""},
	};
	struct berthd *f = *state;
	bring_up(f, "web", "b1");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		expect_names(f, "show backends", "backends", cases[i].arguments, cases[i].names);
}

static void services_are_filtered_by_name_trouble_and_host(void **state)
{
	static const struct {
		const char *arguments;
		const char *names;
	} cases[] = {
		{"{}", "web dns idle "},
		{"{\"service\": \"*d*\"}", "dns idle "},
		{"{\"down\": true}", "web idle "},
		{"{\"host\": \"192.0.2.11\"}", "web "},
	};
	struct berthd *f = *state;
	bring_up(f, "web", "b1");
	bring_up(f, "dns", "b1");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		expect_names(f, "show services", "services", cases[i].arguments, cases[i].names);
}

static void a_filter_that_means_nothing_is_refused(void **state)
{
	static const char *const commands[] = {"show services", "show backends"};
	struct berthd *f = *state;
	char name[300], arguments[320];
	memset(name, 'a', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	for (size_t i = 0; i < 2; i++) {
		refuse(f, commands[i], "{\"host\": \"b1\"}", BERTH_CODE_INVALID, "invalid host \"b1\"; write");
		refuse(f, commands[i], "{\"service\": \"x*\"}", BERTH_CODE_NOT_FOUND, "service \"x*\" not found");
		refuse(f, commands[i], "{\"down\": \"yes\"}", BERTH_CODE_INVALID, "true or false");
		refuse(f, commands[i], "{\"sort\": \"name\"}", BERTH_CODE_INVALID, "no argument \"sort\"");
		snprintf(arguments, sizeof(arguments), "{\"service\": \"%s\"}", name);
		refuse(f, commands[i], arguments, BERTH_CODE_INVALID, "too long");
		snprintf(arguments, sizeof(arguments), "{\"service\": \"web/%s\"}", name);
		refuse(f, commands[i], arguments, BERTH_CODE_INVALID, "too long");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(backends_are_filtered_by_name_state_and_host),
		TEST(services_are_filtered_by_name_trouble_and_host),
		TEST(a_filter_that_means_nothing_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
