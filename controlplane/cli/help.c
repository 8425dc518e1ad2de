// SPDX-License-Identifier: BSD-3-Clause
#include <string.h>

#include "controlplane/api/own_commands.h"
#include "controlplane/cli/cli.h"

enum {
	LINE_BYTES = 240,
	WORDS_WIDTH = 15, /* of the longest command */
};

/* "config apply FILE [--no-save]" */
static void synopsis(char line[LINE_BYTES], const struct berth_command *command)
{
	int n = snprintf(line, LINE_BYTES, "%s", command->words);
	for (const struct berth_argument *argument = command->arguments; argument->name; argument++)
		n += snprintf(line + n, LINE_BYTES - (size_t)n, argument->optional ? " [%s]" : " %s",
			      argument->usage);
}

void berth_cli_usage(FILE *out)
{
	fprintf(out, "usage: berthctl [OPTION]... COMMAND [ARGUMENT]...\n"
		     "       berthctl [OPTION]...    reads commands from the terminal\n\ncommands:\n");
	for (size_t i = 0; i < BERTH_COMMAND_COUNT; i++)
		fprintf(out, "  %-*s  %s\n", WORDS_WIDTH, berth_commands[i].words, berth_commands[i].help);
	for (size_t i = 0; i < BERTH_OWN_COMMAND_COUNT; i++)
		fprintf(out, "  %-*s  %s\n", WORDS_WIDTH, berth_own_commands[i].words, berth_own_commands[i].help);
	fprintf(out, "\noptions:\n"
		     "  -i, --instance INSTANCE  the berthd to connect to (default: " BERTH_INSTANCE ")\n"
		     "  -r, --run-dir DIRECTORY  directory of its socket (default: " BERTH_RUN_DIR ")\n"
		     "  -s, --socket PATH        path of its socket, instead of -i and -r\n"
		     "  -t, --timeout SECONDS    longest time without an answer (default: 30)\n"
		     "  -f, --file SCRIPT        run commands of a file, up to the first that fails\n"
		     "  -j, --json               print the result as JSON\n"
		     "  -w, --wide               show all columns of a table, however long its lines\n"
		     "  -h, --help               this text, or after a command its arguments\n"
		     "      --version            the version of berthctl\n\n"
		     "exit status:\n");
#define X(symbol, status, help) fprintf(out, "  %d  %s\n", status, help);
	BERTH_CLI_STATUSES(X)
#undef X
}

bool berth_cli_help_list(FILE *out, int argc, char *const *argv)
{
	bool is_empty = true;
	for (size_t i = 0; i < BERTH_COMMAND_COUNT; i++) {
		if (!berth_cli_may_mean(&berth_commands[i], argc, argv))
			continue;
		fprintf(out, "  %-*s  %s\n", WORDS_WIDTH, berth_commands[i].words, berth_commands[i].help);
		is_empty = false;
	}
	return !is_empty;
}

void berth_cli_help(FILE *out, const struct berth_command *command)
{
	char line[LINE_BYTES];
	int width = 0;
	synopsis(line, command);
	fprintf(out, "usage: berthctl [OPTION]... %s\n\n%s\n", line, command->help);
	if (command->arguments[0].name)
		fputc('\n', out);
	for (const struct berth_argument *argument = command->arguments; argument->name; argument++)
		width = (int)strlen(argument->usage) > width ? (int)strlen(argument->usage) : width;
	for (const struct berth_argument *argument = command->arguments; argument->name; argument++)
		fprintf(out, "  %-*s  %s\n", width, argument->usage, argument->help);
}

/* Whether the words begin with those of the command. */
static bool names_own(const struct berth_own_command *command, int argc, char *const *argv)
{
	const char *at = command->words;
	for (int i = 0; i < argc; i++) {
		const size_t length = strlen(argv[i]);
		if (strncmp(at, argv[i], length) != 0 || (at[length] && at[length] != ' '))
			return false;
		at += length;
		if (!*at++)
			return true;
	}
	return false;
}

bool berth_cli_help_own(FILE *out, int argc, char *const *argv)
{
	for (size_t i = 0; i < BERTH_OWN_COMMAND_COUNT; i++) {
		const struct berth_own_command *own = &berth_own_commands[i];
		if (!names_own(own, argc, argv))
			continue;
		fprintf(out, "usage: berthctl [OPTION]... %s%s%s\n\n%s\n", own->words, own->arguments[0] ? " " : "",
			own->arguments, own->help);
		return true;
	}
	return false;
}
