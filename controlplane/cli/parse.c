// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/cli/cli.h"

static enum berth_cli_exit fail(char error[BERTH_CLI_ERROR_BYTES], enum berth_cli_exit status, const char *format,
				...) __attribute__((format(printf, 3, 4)));

static enum berth_cli_exit fail(char error[BERTH_CLI_ERROR_BYTES], enum berth_cli_exit status, const char *format,
				...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(error, BERTH_CLI_ERROR_BYTES, format, args);
	va_end(args);
	return status;
}

/* How many of the first words are the command's name; 0: they are not. */
static int matches(const struct berth_command *command, int argc, char *const *argv)
{
	const char *rest = command->words;
	for (int i = 0; i < argc; i++) {
		size_t length = strcspn(rest, " ");
		if (strlen(argv[i]) != length || strncmp(argv[i], rest, length) != 0)
			return 0;
		if (!rest[length])
			return i + 1;
		rest += length + 1;
	}
	return 0;
}

/* All of a stream, at most a request's worth. NULL with the reason in errno. */
static char *read_all(FILE *in, size_t *length)
{
	size_t size = BERTH_WIRE_REQUEST_BYTES + 1;
	char *text = malloc(size);
	if (!text)
		return NULL;
	*length = fread(text, 1, size, in);
	if (!ferror(in) && *length < size)
		return text;
	int err = ferror(in) ? errno : EFBIG;
	free(text);
	errno = err;
	return NULL;
}

/* Sends along what is in the file. */
static enum berth_cli_exit add_text(json_t *arguments, const char *name, char error[BERTH_CLI_ERROR_BYTES])
{
	bool is_stdin = strcmp(name, "-") == 0;
	FILE *in = is_stdin ? stdin : fopen(name, "re");
	size_t length = 0;
	char *text = in ? read_all(in, &length) : NULL;
	int err = errno;
	if (in && !is_stdin)
		fclose(in);
	if (!text)
		return fail(error, BERTH_EXIT_CONFIG, "%s: %s", name, strerror(err));
	bool is_binary = memchr(text, '\0', length) != NULL;
	json_t *value = is_binary ? NULL : json_stringn(text, length);
	free(text);
	if (!value)
		return fail(error, BERTH_EXIT_CONFIG, "%s: not UTF-8 text; is it a configuration?", name);
	json_object_set_new(arguments, "text", value);
	return BERTH_EXIT_DONE;
}

/* Whether `word` is --NAME, or --NAME=VALUE. */
static bool names(const char *word, const struct berth_argument *argument)
{
	size_t length = strlen(argument->name);
	return strncmp(word, "--", 2) == 0 && strncmp(word + 2, argument->name, length) == 0 &&
	       (word[2 + length] == '\0' || (word[2 + length] == '=' && argument->kind == BERTH_ARGUMENT_OPTION));
}

/* The argument that a word of the command line is: a flag or option by its name, else the next that takes a word.
 */
static const struct berth_argument *argument_for(const struct berth_command *command, const json_t *arguments,
						 const char *word)
{
	bool is_named = word[0] == '-' && word[1];
	for (const struct berth_argument *argument = command->arguments; argument->name; argument++) {
		bool has_name = argument->kind == BERTH_ARGUMENT_FLAG || argument->kind == BERTH_ARGUMENT_OPTION;
		if (is_named && has_name && names(word, argument))
			return argument;
		if (!is_named && !has_name && !json_object_get(arguments, argument->name))
			return argument;
	}
	return NULL;
}

/* What is left of a command line. */
struct words {
	char *const *next;
	char *const *end;
};

/* The value of an argument that begins with `word`: that itself, what is behind its =, or the next word, which is
 * then taken from `words`. NULL: there is none. */
static const char *value_of(const struct berth_argument *argument, const char *word, struct words *words)
{
	if (argument->kind != BERTH_ARGUMENT_OPTION)
		return word;
	const char *equals = strchr(word, '=');
	if (equals)
		return equals + 1;
	return words->next < words->end ? *words->next++ : NULL;
}

static enum berth_cli_exit parse_word(struct berth_call *call, struct words *words,
				      char error[BERTH_CLI_ERROR_BYTES])
{
	const struct berth_command *command = &berth_commands[call->command];
	const char *word = *words->next++;
	if (strcmp(word, "-j") == 0 || strcmp(word, "--json") == 0) {
		call->json = true;
		return BERTH_EXIT_DONE;
	}
	const struct berth_argument *argument = argument_for(command, call->arguments, word);
	if (!argument)
		return fail(error, BERTH_EXIT_USAGE, "`%s` does not take `%.64s`; see berthctl %s --help",
			    command->words, word, command->words);
	if (argument->kind == BERTH_ARGUMENT_FLAG) {
		json_object_set_new(call->arguments, argument->name, json_true());
		return BERTH_EXIT_DONE;
	}
	if (json_object_get(call->arguments, argument->name))
		return fail(error, BERTH_EXIT_USAGE, "--%s is there twice", argument->name);
	const char *given = value_of(argument, word, words);
	json_t *value = given && given[0] ? json_string(given) : NULL;
	if (!value)
		return fail(error, BERTH_EXIT_USAGE, "%s %s", argument->shown,
			    given ? "is empty or not UTF-8" : "needs its value");
	json_object_set_new(call->arguments, argument->name, value);
	return BERTH_EXIT_DONE;
}

/* What only shows once all words are read: something is missing, or a file is to be read. */
static enum berth_cli_exit complete(const struct berth_call *call, char error[BERTH_CLI_ERROR_BYTES])
{
	const struct berth_command *command = &berth_commands[call->command];
	enum berth_cli_exit status = BERTH_EXIT_DONE;
	for (const struct berth_argument *argument = command->arguments; argument->name; argument++)
		if (!argument->optional && !json_object_get(call->arguments, argument->name))
			return fail(error, BERTH_EXIT_USAGE, "`%s` needs %s; see berthctl %s --help",
				    command->words, argument->shown, command->words);
	for (const struct berth_argument *argument = command->arguments; argument->name && !status; argument++)
		if (argument->kind == BERTH_ARGUMENT_FILE)
			status = add_text(call->arguments,
					  json_string_value(json_object_get(call->arguments, argument->name)),
					  error);
	return status;
}

static enum berth_cli_exit parse_arguments(struct berth_call *call, struct words words,
					   char error[BERTH_CLI_ERROR_BYTES])
{
	for (char *const *word = words.next; word < words.end; word++)
		if (strcmp(*word, "--help") == 0 || strcmp(*word, "-h") == 0)
			call->help = true;
	if (call->help)
		return BERTH_EXIT_DONE;
	enum berth_cli_exit status = BERTH_EXIT_DONE;
	while (words.next < words.end && !status)
		status = parse_word(call, &words, error);
	return status ? status : complete(call, error);
}

enum berth_cli_exit berth_cli_parse(int argc, char *const *argv, struct berth_call *call,
				    char error[BERTH_CLI_ERROR_BYTES])
{
	for (int i = 0; i < BERTH_COMMAND_COUNT; i++) {
		int words = matches(&berth_commands[i], argc, argv);
		if (!words)
			continue;
		*call = (struct berth_call){.command = (enum berth_command_index)i, .arguments = json_object()};
		enum berth_cli_exit status = parse_arguments(call, (struct words){argv + words, argv + argc},
							     error);
		if (status) {
			json_decref(call->arguments);
			call->arguments = NULL;
		}
		return status;
	}
	berth_cli_suggest(argc, argv, error);
	return BERTH_EXIT_USAGE;
}
