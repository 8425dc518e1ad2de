// SPDX-License-Identifier: BSD-3-Clause
#include <glob.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/cli/cli.h"

/* Adds a word if it begins with `typed`. */
static void add(struct berth_completions *completions, const char *typed, const char *word, size_t length)
{
	if (completions->n == BERTH_CLI_COMPLETIONS || strncmp(word, typed, strlen(typed)) != 0)
		return;
	for (size_t i = 0; i < completions->n; i++)
		if (strlen(completions->words[i]) == length && strncmp(completions->words[i], word, length) == 0)
			return;
	char *copy = strndup(word, length);
	if (copy)
		completions->words[completions->n++] = copy;
}

/* The next word of every command that may be meant. */
static void add_command_words(int argc, char *const *argv, const char *typed, struct berth_completions *completions)
{
	for (size_t i = 0; i < BERTH_COMMAND_COUNT && argc < BERTH_COMMAND_WORDS; i++) {
		const char *word = berth_commands[i].words;
		for (int n = 0; n < argc && word; n++) {
			word = strchr(word, ' ');
			word = word ? word + 1 : NULL;
		}
		if (word && berth_cli_may_mean(&berth_commands[i], argc, argv))
			add(completions, typed, word, strcspn(word, " "));
	}
}

static void add_files(const char *typed, struct berth_completions *completions)
{
	char pattern[4096];
	glob_t found;
	if (snprintf(pattern, sizeof(pattern), "%s*", typed) >= (int)sizeof(pattern) ||
	    glob(pattern, GLOB_MARK | GLOB_NOSORT, NULL, &found) != 0)
		return;
	for (size_t i = 0; i < found.gl_pathc; i++)
		add(completions, typed, found.gl_pathv[i], strlen(found.gl_pathv[i]));
	globfree(&found);
}

/* up|down|auto */
static void add_choices(const char *usage, const char *typed, struct berth_completions *completions)
{
	for (const char *word = usage; *word; word += strcspn(word, "|"), word += *word == '|')
		add(completions, typed, word, strcspn(word, "|"));
}

static void add_names(const struct berth_cli_options *options, const char *kind, const char *typed,
		      struct berth_completions *completions)
{
	char error[BERTH_CLI_ERROR_BYTES];
	struct berth_cli_options quick = *options;
	struct berth_connection connection;
	json_t *reply = NULL, *name;
	size_t i;
	quick.timeout_s = 1;
	if (berth_cli_open(&quick, &connection, error) != BERTH_CLI_OK)
		return;
	json_t *arguments = json_pack("{s:s, s:s}", "kind", kind, "prefix", typed);
	if (arguments && berth_cli_request(&connection, "show names", arguments, &reply, error) == BERTH_CLI_OK)
		json_array_foreach(json_object_get(json_object_get(reply, "result"), "names"), i, name)
			add(completions, typed, json_string_value(name), json_string_length(name));
	json_decref(arguments);
	json_decref(reply);
	berth_cli_disconnect(&connection);
}

/* The values of one argument. */
static void add_values(const struct berth_cli_options *options, const struct berth_argument *argument,
		       const char *typed, struct berth_completions *completions)
{
	if (argument->kind == BERTH_ARGUMENT_FILE)
		add_files(typed, completions);
	else if (strcmp(argument->name, "backend") == 0)
		add_names(options, "backends", typed, completions);
	else if (strcmp(argument->name, "service") == 0)
		add_names(options, "services", typed, completions);
	else if (strcmp(argument->name, "target") == 0)
		add_names(options, strchr(typed, '/') ? "backends" : "services", typed, completions);
	else if (strcmp(argument->name, "address") == 0)
		add_names(options, "hosts", typed, completions);
	else if (strchr(argument->usage, '|'))
		add_choices(argument->usage, typed, completions);
}

/* The option that `word` is, if the option takes the next word as its value. */
static const struct berth_argument *option_before(const struct berth_command *command, const char *word)
{
	for (const struct berth_argument *argument = command->arguments; argument->name; argument++)
		if (berth_argument_is_option(argument) && strncmp(word, "--", 2) == 0 &&
		    strcmp(word + 2, argument->name) == 0)
			return argument;
	return NULL;
}

static void add_options(const struct berth_command *command, const char *typed,
			struct berth_completions *completions)
{
	char option[BERTH_CELL_BYTES];
	for (const struct berth_argument *argument = command->arguments; argument->name; argument++)
		if (berth_argument_is_flag(argument) || berth_argument_is_option(argument))
			add(completions, typed, option,
			    (size_t)snprintf(option, sizeof(option), "--%s", argument->name));
	for (const char *const *own = (const char *const[]){"--json", "--wide", "--help", NULL}; *own; own++)
		add(completions, typed, *own, strlen(*own));
}

/* The positional argument at the end of the words; NULL: there is none left. */
static const struct berth_argument *next_positional(const struct berth_command *command, int argc,
						    char *const *argv)
{
	int before = 0;
	for (int i = 0; i < argc; i++) {
		if (argv[i][0] == '-' && option_before(command, argv[i]))
			i++;
		else if (argv[i][0] != '-')
			before++;
	}
	for (const struct berth_argument *argument = command->arguments; argument->name; argument++)
		if ((argument->kind == BERTH_ARGUMENT_TEXT || argument->kind == BERTH_ARGUMENT_FILE) &&
		    before-- == 0)
			return argument;
	return NULL;
}

/* Commands of berthctl itself are in no table of commands: what may come behind which words. */
static const struct {
	const char *before[3];
	const char *words[5];
} own_words[] = {
	{{NULL}, {"help", "report", "schema", "top", NULL}},
	{{"config", NULL}, {"import", NULL}},
	{{"config", "import", NULL}, {"ipvs", "keepalived", "haproxy", NULL}},
	{{"top", NULL}, {"services", "backends", "workers", "drops", NULL}},
};

static bool are_words(const char *const *words, int argc, char *const *argv)
{
	int i = 0;
	for (; words[i]; i++)
		if (i == argc || strcmp(words[i], argv[i]) != 0)
			return false;
	return i == argc;
}

static void add_own(int argc, char *const *argv, const char *typed, struct berth_completions *completions)
{
	for (size_t i = 0; i < sizeof(own_words) / sizeof(own_words[0]); i++)
		for (const char *const *word = own_words[i].words;
		     are_words(own_words[i].before, argc, argv) && *word; word++)
			add(completions, typed, *word, strlen(*word));
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void berth_cli_complete(const struct berth_cli_options *options, int argc, char *const *argv, const char *typed,
			struct berth_completions *completions)
{
	enum berth_command_index index;
	completions->n = 0;
	int words = berth_cli_find_command(argc, argv, &index);
	if (words) {
		const struct berth_command *command = &berth_commands[index];
		const struct berth_argument *option = argc > words ? option_before(command, argv[argc - 1]) : NULL;
		const struct berth_argument *next = option ? option
							   : next_positional(command, argc - words, argv + words);
		if (typed[0] == '-' && !option)
			add_options(command, typed, completions);
		else if (next)
			add_values(options, next, typed, completions);
	} else if (argc > 0 && strcmp(argv[0], "help") == 0) {
		add_command_words(argc - 1, argv + 1, typed, completions);
	} else {
		add_command_words(argc, argv, typed, completions);
	}
	add_own(argc, argv, typed, completions);
	qsort(completions->words, completions->n, sizeof(completions->words[0]), compare);
}

void berth_cli_clear_completions(struct berth_completions *completions)
{
	for (size_t i = 0; i < completions->n; i++)
		free(completions->words[i]);
	completions->n = 0;
}
