// SPDX-License-Identifier: BSD-3-Clause
/* The line of an agent, also one that means harm. */
#include <stdio.h>
#include <string.h>

#include "tests/support/unit.h"

#include "controlplane/util/agent_words.h"

#define X10 "xxxxxxxxxx"
#define X120 X10 X10 X10 X10 X10 X10 X10 X10 X10 X10 X10 X10

static void words_are_those_of_haproxy(void **state)
{
	(void)state;
	static const struct {
		const char *line;
		const char *words;
	} cases[] = {
		{"75%", "75%"},
		{"0%", "0%"},
		{"200%", "200%"},
		{"007%", "7%"},
		{"up", "up"},
		{"UP Ready", "ready, up"},
		{"up,ready,75%", "75%, ready, up"},
		{" \t,, up\t 75% ,", "75%, up"},
		{"drain", "drain"},
		{"maint", "maint"},
		{"down", "down"},
		{"fail", "down"},
		{"failed", "down"},
		{"stopped", "down"},
		{"down#disk full, 95% used", "down"},
		{"down # 10000% -5%", "down"},
		{"down disk is 95% full", "down"},
		{"down 3 of 4 disks are gone", "down"},
		{"drain for the night -5%", "drain"},
		{"50% maxconn:30", "50%"},
		{"maxconn:30", "nothing"},
		{"up up 75% 75%", "75%, up"},
		{"down stopped", "down"},
		{"drain down", "drain, down"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct berth_agent_words words;
		char reason[BERTH_AGENT_REASON_BYTES], text[BERTH_AGENT_REASON_BYTES];
		const bool is_read = berth_agent_read(&words, cases[i].line, strlen(cases[i].line), reason);
		berth_agent_format(&words, text);
		if (!is_read || strcmp(text, cases[i].words) != 0)
			fail_msg("%s: %s, %s", cases[i].line, text, reason);
		assert_true(berth_agent_is_valid(&words));
	}
}

static void a_line_that_means_nothing_or_two_things_is_refused_with_a_reason(void **state)
{
	(void)state;
	static const struct {
		const char *line;
		size_t length;
		const char *reason;
	} cases[] = {
#define LINE(text) (text), sizeof(text) - 1
		{LINE(""), "refused: the line has no word"},
		{LINE(" ,\t"), "refused: the line has no word"},
		{LINE("# up"), "refused: the line has no word"},
		{LINE("-5%"), "refused: \"-5%\" is no whole number of percent"},
		{LINE("up -5%"), "refused: \"-5%\" is no whole number of percent"},
		{LINE("7.5%"), "refused: \"7.5%\" is no whole number of percent"},
		{LINE("%"), "refused: \"%\" is no whole number of percent"},
		{LINE("75%%"), "refused: \"75%%\" is no whole number of percent"},
		{LINE("201%"), "refused: \"201%\" is more than 200%"},
		{LINE("10000%"), "refused: \"10000%\" is more than 200%"},
		{LINE("4294967371%"), "refused: \"4294967371%\" is more than 200%"},
		{LINE("10,000%"), "refused: \"10\" is a number without %"},
		{LINE("up 10,000%"), "refused: \"10\" is a number without %"},
		{LINE("75"), "refused: \"75\" is a number without %"},
		{LINE("up down"), "refused: \"down\" contradicts a word before it"},
		{LINE("drain ready"), "refused: \"ready\" contradicts a word before it"},
		{LINE("maint drain"), "refused: \"drain\" contradicts a word before it"},
		{LINE("50% up 60%"), "refused: \"60%\" contradicts another percentage before it"},
		{LINE("hello"), "refused: \"hello\" is none of N%, up, down, failed, stopped, ready, drain, maint"},
		{LINE("HTTP/1.1 200 OK"),
		 "refused: \"HTTP/1.1\" is none of N%, up, down, failed, stopped, ready, drain, maint"},
		{LINE("up\0down"), "refused: the line has control characters"},
		{LINE("up # \x1b[31m"), "refused: the line has control characters"},
		{LINE("\x7f"), "refused: the line has control characters"},
		{LINE("\xff\xfe"), "refused: \"??\" is none of N%, up, down, failed, stopped, ready, drain, maint"},
		{LINE("up # " X120 "xyz"), "refused: the line is longer than 127 bytes"},
#undef LINE
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct berth_agent_words words;
		char reason[BERTH_AGENT_REASON_BYTES];
		const bool is_read = berth_agent_read(&words, cases[i].line, cases[i].length, reason);
		if (is_read || strcmp(reason, cases[i].reason) != 0)
			fail_msg("%s: %d, %s", cases[i].line, is_read, reason);
		assert_false(berth_agent_says_anything(&words));
	}
}

static void a_line_is_shown_as_printable_characters(void **state)
{
	(void)state;
	struct berth_agent_words words;
	char reason[BERTH_AGENT_REASON_BYTES];
	assert_true(berth_agent_read(&words, "up\t# caf\xc3\xa9", strlen("up\t# caf\xc3\xa9"), reason));
	assert_string_equal(reason, "up # caf??");
	assert_true(berth_agent_read(&words, "up # " X120 "xy", strlen("up # " X120 "xy"), reason));
	assert_int_equal(strlen(reason), BERTH_AGENT_LINE_BYTES - 1);
}

static void a_line_leaves_what_it_does_not_speak_of(void **state)
{
	(void)state;
	static const char *const lines[][2] = {{"75%", "75%"},
					       {"drain", "75%, drain"},
					       {"down", "75%, drain, down"},
					       {"up ready", "75%, ready, up"},
					       {"100%", "100%, ready, up"}};
	struct berth_agent_words said = {0}, words;
	char text[BERTH_AGENT_REASON_BYTES];
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		assert_true(berth_agent_read(&words, lines[i][0], strlen(lines[i][0]), text));
		berth_agent_add(&said, &words);
		berth_agent_format(&said, text);
		assert_string_equal(text, lines[i][1]);
	}
}

/* A helper may have been taken over. */
static void words_that_no_line_gives_are_not_valid(void **state)
{
	(void)state;
	assert_false(berth_agent_is_valid(&(struct berth_agent_words){.has_percent = 2}));
	assert_false(berth_agent_is_valid(&(struct berth_agent_words){.has_percent = 1, .percent = 201}));
	assert_false(berth_agent_is_valid(&(struct berth_agent_words){.percent = 1}));
	assert_false(berth_agent_is_valid(&(struct berth_agent_words){.admin = BERTH_AGENT_MAINT + 1}));
	assert_false(berth_agent_is_valid(&(struct berth_agent_words){.health = BERTH_AGENT_DOWN + 1}));
	assert_true(berth_agent_is_valid(&(struct berth_agent_words){0}));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_are_those_of_haproxy),
		cmocka_unit_test(a_line_that_means_nothing_or_two_things_is_refused_with_a_reason),
		cmocka_unit_test(a_line_is_shown_as_printable_characters),
		cmocka_unit_test(a_line_leaves_what_it_does_not_speak_of),
		cmocka_unit_test(words_that_no_line_gives_are_not_valid),
	};
	return cmocka_run_group_tests_name("agent_words", tests, NULL, NULL);
}
