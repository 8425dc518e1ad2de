// SPDX-License-Identifier: BSD-3-Clause
#include <string.h>

#include "controlplane/cli/cli.h"

enum {
	LINE_BYTES = 160,
	SYNOPSIS = 32,	  /* characters before the help of a command; one that is longer has a line of its own */
	TYPED_BYTES = 32, /* of what was typed, looked at for a suggestion */
};

/* "config apply FILE [--no-save]" */
static int synopsis(char *text, size_t size, const struct berth_command *command)
{
	int n = snprintf(text, size, "%s", command->words);
	for (const struct berth_argument *argument = command->arguments; argument->name; argument++)
		n += snprintf(text + n, size - (size_t)n, argument->optional ? " [%s]" : " %s", argument->shown);
	return n;
}

void berth_cli_usage(FILE *out)
{
	fprintf(out, "usage: berthctl [-s SOCKET | [-i INSTANCE] [-r RUN_DIR]] [-t SECONDS] [-j] COMMAND...\n\n");
	for (size_t i = 0; i < BERTH_COMMAND_COUNT; i++) {
		char line[LINE_BYTES];
		int length = synopsis(line, sizeof(line), &berth_commands[i]);
		fprintf(out, "  %-*s%s%*s  %s\n", SYNOPSIS, line, length > SYNOPSIS ? "\n  " : "",
			length > SYNOPSIS ? SYNOPSIS : 0, "", berth_commands[i].help);
	}
	fprintf(out, "  %-*s  %s\n", SYNOPSIS, "help [COMMAND]", "this text, or how a command is used");
	fprintf(out, "\n"
		     "  -i, --instance INSTANCE  which berthd, where a machine has several (" BERTH_INSTANCE ")\n"
		     "  -r, --run-dir RUN_DIR    where its socket is (" BERTH_RUN_DIR ")\n"
		     "  -s, --socket SOCKET      the socket itself\n"
		     "  -t, --timeout SECONDS    how long berthd may be silent (30)\n"
		     "  -j, --json               print the result as JSON\n"
		     "  -h, --help               this text, or after a command how it is used\n"
		     "\n"
		     "exit status: 0 done, 1 refused or (doctor) something is wrong, 2 usage, 3 wrong "
		     "configuration, 4 berthd not reached\n");
}

void berth_cli_help(FILE *out, const struct berth_command *command)
{
	char line[LINE_BYTES];
	int width = 0;
	synopsis(line, sizeof(line), command);
	fprintf(out, "usage: berthctl [OPTION]... %s\n\n%s\n", line, command->help);
	if (command->arguments[0].name)
		fputc('\n', out);
	for (const struct berth_argument *argument = command->arguments; argument->name; argument++)
		width = (int)strlen(argument->shown) > width ? (int)strlen(argument->shown) : width;
	for (const struct berth_argument *argument = command->arguments; argument->name; argument++)
		fprintf(out, "  %-*s  %s\n", width, argument->shown, argument->help);
}

static unsigned int least(unsigned int a, unsigned int b, unsigned int c)
{
	unsigned int ab = a < b ? a : b;
	return ab < c ? ab : c;
}

/* How many letters to put in, take out or change to make `a` into `b` (Levenshtein). */
static unsigned int distance(const char *a, const char *b)
{
	unsigned int row[TYPED_BYTES + 1];
	size_t length = strlen(b);
	for (unsigned int j = 0; j <= length; j++)
		row[j] = j;
	for (unsigned int i = 0; a[i]; i++) {
		unsigned int corner = row[0];
		row[0] = i + 1;
		for (size_t j = 0; j < length; j++) {
			unsigned int above = row[j + 1];
			row[j + 1] = least(above + 1, row[j] + 1, corner + (a[i] != b[j]));
			corner = above;
		}
	}
	return row[length];
}

/* The first words, as many as `like` has. */
static void first_words(char typed[TYPED_BYTES], int argc, char *const *argv, const char *like)
{
	int words = strchr(like, ' ') ? 2 : 1;
	if (words == 2 && argc >= 2)
		snprintf(typed, TYPED_BYTES, "%s %s", argv[0], argv[1]);
	else
		snprintf(typed, TYPED_BYTES, "%s", argv[0]);
}

/* "`show` needs one of: services, backends"; false: no command begins so. */
static bool suggest_second(const char *first, char error[BERTH_CLI_ERROR_BYTES])
{
	size_t length = strlen(first);
	int n = 0;
	for (size_t i = 0; i < BERTH_COMMAND_COUNT; i++) {
		const char *words = berth_commands[i].words;
		if (strncmp(words, first, length) != 0 || words[length] != ' ')
			continue;
		n += snprintf(error + n, BERTH_CLI_ERROR_BYTES - (size_t)n, n ? ", %s%s" : "`%s` needs one of: %s",
			      n ? "" : first, words + length + 1);
	}
	return n > 0;
}

void berth_cli_suggest(int argc, char *const *argv, char error[BERTH_CLI_ERROR_BYTES])
{
	const char *nearest = NULL;
	unsigned int least_distance = 4; /* further away is no typing error */
	if (argc == 1 && suggest_second(argv[0], error))
		return;
	for (size_t i = 0; i < BERTH_COMMAND_COUNT; i++) {
		char typed[TYPED_BYTES];
		first_words(typed, argc, argv, berth_commands[i].words);
		unsigned int d = distance(typed, berth_commands[i].words);
		if (d >= least_distance)
			continue;
		least_distance = d;
		nearest = berth_commands[i].words;
	}
	if (nearest)
		snprintf(error, BERTH_CLI_ERROR_BYTES, "unknown command; did you mean `%s`?", nearest);
	else if (argc < 2 || !suggest_second(argv[0], error))
		snprintf(error, BERTH_CLI_ERROR_BYTES, "unknown command `%.64s`; `berthctl help` lists them all",
			 argv[0]);
}
