// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/unit.h"

#include <string.h>
#include <time.h>

#include "controlplane/util/glob.h"

static void a_pattern_matches_the_whole_text(void **state)
{
	(void)state;
	static const struct {
		const char *pattern;
		const char *text;
		bool matches;
	} cases[] = {
		{"web", "web", true},  {"web", "web2", false},	 {"web", "we", false},
		{"", "", true},	       {"", "a", false},	 {"*", "", true},
		{"*", "web", true},    {"w*", "web", true},	 {"*b", "web", true},
		{"w*x", "web", false}, {"w?b", "web", true},	 {"w?", "web", false},
		{"?", "", false},      {"*a*b*", "xaxbx", true}, {"*a*b", "xbxa", false},
		{"a**b", "ab", true},  {"*.b", "a.a.b.b", true}, {"pod@*", "pod@192.0.2.1", true},
		{"[a]", "a", false},   {"[a]", "[a]", true},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (berth_glob_match(cases[i].pattern, cases[i].text) != cases[i].matches)
			fail_msg("%s, %s: not %d", cases[i].pattern, cases[i].text, cases[i].matches);
}

static void many_stars_take_no_long_time(void **state)
{
	(void)state;
	char pattern[128], text[64];
	for (size_t i = 0; i < sizeof(pattern) - 1; i++)
		pattern[i] = i % 2 ? 'a' : '*';
	pattern[sizeof(pattern) - 2] = 'b';
	pattern[sizeof(pattern) - 1] = '\0';
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	const clock_t begin = clock();
	for (int i = 0; i < 1000; i++)
		assert_false(berth_glob_match(pattern, text));
	assert_true(clock() - begin < CLOCKS_PER_SEC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pattern_matches_the_whole_text),
		cmocka_unit_test(many_stars_take_no_long_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
