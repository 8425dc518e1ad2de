// SPDX-License-Identifier: BSD-3-Clause
#include <string.h>

#include "controlplane/cli/cli.h"

enum {
	TYPED_BYTES = 32, /* of the words that are compared */
	MAX_TYPOS = 3,
};

static unsigned int minimum(unsigned int a, unsigned int b, unsigned int c)
{
	unsigned int ab = a < b ? a : b;
	return ab < c ? ab : c;
}

/* The Levenshtein distance of `a` and `b`. */
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
			row[j + 1] = minimum(above + 1, row[j] + 1, corner + (a[i] != b[j]));
			corner = above;
		}
	}
	return row[length];
}

/* Copies as many words as `like` has. */
static void first_words(char typed[TYPED_BYTES], int argc, char *const *argv, const char *like)
{
	int words = strchr(like, ' ') ? 2 : 1;
	if (words == 2 && argc >= 2)
		snprintf(typed, TYPED_BYTES, "%s %s", argv[0], argv[1]);
	else
		snprintf(typed, TYPED_BYTES, "%s", argv[0]);
}

/* "`show` needs one of: services, backends". False: no command begins with this word. */
static bool list_second_words(const char *first, char error[BERTH_CLI_ERROR_BYTES])
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

/* "`s dr` is the beginning of: show drops, session drain". False: of no command. */
static bool list_meant(int argc, char *const *argv, char error[BERTH_CLI_ERROR_BYTES])
{
	int words = argc < BERTH_COMMAND_WORDS ? argc : BERTH_COMMAND_WORDS, n = 0;
	for (size_t i = 0; i < BERTH_COMMAND_COUNT && n < BERTH_CLI_ERROR_BYTES; i++) {
		if (!berth_cli_may_mean(&berth_commands[i], words, argv))
			continue;
		if (n == 0)
			n = snprintf(error, BERTH_CLI_ERROR_BYTES, "`%.32s%s%.32s` is the beginning of: %s",
				     argv[0], words > 1 ? " " : "", words > 1 ? argv[1] : "",
				     berth_commands[i].words);
		else
			n += snprintf(error + n, BERTH_CLI_ERROR_BYTES - (size_t)n, ", %s",
				      berth_commands[i].words);
	}
	return n > 0;
}

/* "unknown command; did you mean one of: backend drain, host drain". False: no command ends with this word, or one
 * begins with it. */
static bool list_first_words(const char *second, char error[BERTH_CLI_ERROR_BYTES])
{
	const size_t length = strlen(second);
	int n = 0;
	for (size_t i = 0; i < BERTH_COMMAND_COUNT && n < BERTH_CLI_ERROR_BYTES; i++) {
		const char *words = berth_commands[i].words, *space = strchr(words, ' ');
		if (strncmp(words, second, length) == 0 && words[length] == ' ')
			return false;
		if (space && strcmp(space + 1, second) == 0)
			n += snprintf(error + n, BERTH_CLI_ERROR_BYTES - (size_t)n,
				      n ? ", %s" : "unknown command; did you mean one of: %s", words);
	}
	return n > 0;
}

/* What other tools call it. NULL: nothing. */
static const char *command_of(const char *word)
{
	static const struct {
		const char *word, *command;
	} words[] = {
		{"reload", "config apply"}, {"restart", "config apply"}, {"status", "show services"},
		{"list", "show services"},  {"stop", "shutdown"},	 {"log", "events"},
		{"tcpdump", "capture"},
	};
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(words[i].word, word) == 0)
			return words[i].command;
	return NULL;
}

void berth_cli_suggest(int argc, char *const *argv, char error[BERTH_CLI_ERROR_BYTES])
{
	const char *nearest = argc == 1 ? command_of(argv[0]) : NULL;
	unsigned int nearest_distance = nearest ? 0 : MAX_TYPOS + 1;
	if (!nearest && ((argc == 1 && list_second_words(argv[0], error)) || list_meant(argc, argv, error) ||
			 list_first_words(argv[0], error)))
		return;
	for (size_t i = 0; i < BERTH_COMMAND_COUNT; i++) {
		char typed[TYPED_BYTES];
		first_words(typed, argc, argv, berth_commands[i].words);
		bool is_beginning = strncmp(berth_commands[i].words, typed, strlen(typed)) == 0;
		unsigned int d = is_beginning ? 0 : distance(typed, berth_commands[i].words);
		if (d >= nearest_distance)
			continue;
		nearest_distance = d;
		nearest = berth_commands[i].words;
	}
	if (nearest)
		snprintf(error, BERTH_CLI_ERROR_BYTES, "unknown command; did you mean `%s`?", nearest);
	else if (argc < 2 || !list_second_words(argv[0], error))
		snprintf(error, BERTH_CLI_ERROR_BYTES,
			 "unknown command `%.64s`; `berthctl help` lists all commands", argv[0]);
}
