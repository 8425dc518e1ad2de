// SPDX-License-Identifier: BSD-3-Clause
/* docs/commands.md describes every command, argument, column and exit status. */
#include "tests/support/unit.h"

#include "controlplane/cli/cli.h"
#include "tests/support/document.h"

/* The section of a command. The caller frees it. */
static char *section_of(const char *text, const struct berth_command *command)
{
	char *section = document_section(text, command->words);
	if (!section)
		fail_msg("commands.md has no section \"## %s\"", command->words);
	return section;
}

static void every_command_has_a_section_with_its_purpose_and_result(void **state)
{
	(void)state;
	char *text = document("commands.md");
	for (size_t i = 0; i < BERTH_COMMAND_COUNT; i++) {
		char example[64], link[64];
		const struct berth_command *command = &berth_commands[i];
		char *section = section_of(text, command);
		snprintf(example, sizeof(example), "# berthctl %s", command->words);
		if (!strstr(section, example) && command->arguments[0].kind != BERTH_ARGUMENT_FILE)
			fail_msg("commands.md has no example of `%s`", command->words);
		if (!strstr(section, "The result is") && !strstr(section, "```\n#") &&
		    strncmp(command->words, "backend ", 8) != 0 && i != BERTH_COMMAND_show_stats &&
		    i != BERTH_COMMAND_show_engine)
			fail_msg("commands.md does not describe the result of `%s`", command->words);
		snprintf(link, sizeof(link), "[`%s`](#", command->words);
		if (!strstr(text, link))
			fail_msg("the overview of commands.md has no link to `%s`", command->words);
		free(section);
	}
	free(text);
}

/* With | escaped, as in a table of Markdown. */
static void escape(char *cell, size_t size, const char *usage)
{
	size_t n = 0;
	for (; *usage && n + 2 < size; usage++) {
		if (*usage == '|')
			cell[n++] = '\\';
		cell[n++] = *usage;
	}
	cell[n] = '\0';
}

static void every_argument_is_in_the_section_of_its_command(void **state)
{
	(void)state;
	char *text = document("commands.md");
	for (size_t i = 0; i < BERTH_COMMAND_COUNT; i++) {
		char *section = section_of(text, &berth_commands[i]);
		for (const struct berth_argument *a = berth_commands[i].arguments; a->name; a++) {
			char usage[64], row[96];
			escape(usage, sizeof(usage), a->usage);
			snprintf(row, sizeof(row), "\n| `%s` | ", usage);
			if (!strstr(section, row))
				fail_msg("commands.md does not explain `%s` of `%s`", a->usage,
					 berth_commands[i].words);
		}
		free(section);
	}
	free(text);
}

/* Expects a row for each title of a table, which are two spaces apart. */
static void expect_columns(const char *section, char *titles, const char *words)
{
	for (char *title = titles; title && *title; title += strspn(title, " ")) {
		char row[64];
		char *end = strstr(title, "  ");
		int length = (int)(end ? (size_t)(end - title) : strlen(title));
		snprintf(row, sizeof(row), "\n| %.*s | ", length, title);
		if (!strstr(section, row))
			fail_msg("commands.md does not explain column %.*s of `%s`", length, title, words);
		title += length;
	}
}

static void every_column_is_in_the_section_of_its_command(void **state)
{
	(void)state;
	static const enum berth_command_index commands[] = {
		BERTH_COMMAND_show_services, BERTH_COMMAND_show_backends, BERTH_COMMAND_show_dns,
		BERTH_COMMAND_show_drops,    BERTH_COMMAND_plan,	  BERTH_COMMAND_show_cluster,
	};
	char *text = document("commands.md");
	json_t *empty = json_object();
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		char *printed = NULL;
		size_t size;
		FILE *out = open_memstream(&printed, &size);
		assert_non_null(out);
		berth_cli_print(out, commands[i], empty);
		fclose(out);
		char *section = section_of(text, &berth_commands[commands[i]]);
		expect_columns(section, strtok(printed, "\n"), berth_commands[commands[i]].words);
		free(section);
		free(printed);
	}
	json_decref(empty);
	free(text);
}

static void every_exit_status_and_error_code_is_explained(void **state)
{
	(void)state;
	char *text = document("commands.md");
	char row[160];
#define X(symbol, status, help)                                                                                    \
	snprintf(row, sizeof(row), "\n| %d | %s |\n", status, help);                                               \
	if (!strstr(text, row))                                                                                    \
		fail_msg("commands.md lacks exit status %d, %s", status, help);
	BERTH_CLI_STATUSES(X)
#undef X
#define X(symbol, word)                                                                                            \
	snprintf(row, sizeof(row), "\n| `%s` | ", word);                                                           \
	if (BERTH_CODE_##symbol != BERTH_CODE_OK && !strstr(text, row))                                            \
		fail_msg("commands.md lacks the error code %s", word);
	BERTH_CODES(X)
#undef X
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_command_has_a_section_with_its_purpose_and_result),
		cmocka_unit_test(every_argument_is_in_the_section_of_its_command),
		cmocka_unit_test(every_column_is_in_the_section_of_its_command),
		cmocka_unit_test(every_exit_status_and_error_code_is_explained),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
