// SPDX-License-Identifier: BSD-3-Clause
#include <string.h>

#include "controlplane/cli/cli.h"

enum {
	LINE_BYTES = 160,
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
	fprintf(out, "usage: berthctl [OPTION]... COMMAND [ARGUMENT]...\n\ncommands:\n");
	for (size_t i = 0; i < BERTH_COMMAND_COUNT; i++)
		fprintf(out, "  %-*s  %s\n", WORDS_WIDTH, berth_commands[i].words, berth_commands[i].help);
	fprintf(out,
		"  %-*s  this text, or the arguments of a command\n\n"
		"options:\n"
		"  -i, --instance INSTANCE  the berthd to connect to (default: " BERTH_INSTANCE ")\n"
		"  -r, --run-dir DIRECTORY  directory of its socket (default: " BERTH_RUN_DIR ")\n"
		"  -s, --socket PATH        path of its socket, instead of -i and -r\n"
		"  -t, --timeout SECONDS    longest time without an answer (default: 30)\n"
		"  -j, --json               print the result as JSON\n"
		"  -h, --help               this text, or after a command its arguments\n\n"
		"exit status:\n",
		WORDS_WIDTH, "help [COMMAND]");
#define X(symbol, status, help) fprintf(out, "  %d  %s\n", status, help);
	BERTH_CLI_STATUSES(X)
#undef X
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
