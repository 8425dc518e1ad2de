// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/cli/cli.h"

static enum berth_cli_status fail(char error[BERTH_CLI_ERROR_BYTES], enum berth_cli_status status,
				  const char *format, ...) __attribute__((format(printf, 3, 4)));

static enum berth_cli_status fail(char error[BERTH_CLI_ERROR_BYTES], enum berth_cli_status status,
				  const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(error, BERTH_CLI_ERROR_BYTES, format, args);
	va_end(args);
	return status;
}

/* How many of the command's words are given in full or, `is_short`, by their beginnings; all of `argv` up to the
 * command's last word must fit. */
static int match_words(const struct berth_command *command, bool is_short, int argc, char *const *argv)
{
	const char *rest = command->words;
	for (int i = 0; i < argc; i++) {
		size_t length = strcspn(rest, " "), typed = strlen(argv[i]);
		if ((is_short ? typed > length || typed == 0 : typed != length) ||
		    strncmp(argv[i], rest, typed) != 0)
			return 0;
		if (!rest[length])
			return i + 1;
		rest += length + 1;
	}
	return argc;
}

static int count_words(const struct berth_command *command)
{
	return strchr(command->words, ' ') ? 2 : 1;
}

bool berth_cli_may_mean(const struct berth_command *command, int argc, char *const *argv)
{
	bool is_short = command->kind != BERTH_COMMAND_KIND_ADMIN;
	return argc == 0 || match_words(command, is_short, argc, argv) > 0;
}

int berth_cli_find_command(int argc, char *const *argv, enum berth_command_index *command)
{
	int words = 0, found = 0;
	for (int i = 0; i < BERTH_COMMAND_COUNT; i++) {
		const struct berth_command *candidate = &berth_commands[i];
		int n = count_words(candidate);
		if (argc < n || !berth_cli_may_mean(candidate, n, argv))
			continue;
		words = n;
		*command = (enum berth_command_index)i;
		if (match_words(candidate, false, n, argv))
			return n;
		found++;
	}
	return found == 1 ? words : 0;
}

/* Reads a stream to its end; EFBIG above the size of a request. The caller frees it. NULL with errno. */
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

/* Adds the content of a file to the request: of "file" as "text", of "file2" as "text2". */
static enum berth_cli_status add_text(json_t *arguments, const struct berth_argument *argument,
				      char error[BERTH_CLI_ERROR_BYTES])
{
	char key[16];
	const char *name = json_string_value(json_object_get(arguments, argument->name));
	if (!name)
		return BERTH_CLI_OK;
	snprintf(key, sizeof(key), "text%s", argument->name + strlen("file"));
	bool is_stdin = strcmp(name, "-") == 0;
	FILE *in = is_stdin ? stdin : fopen(name, "re");
	size_t length = 0;
	char *text = in ? read_all(in, &length) : NULL;
	int err = errno;
	if (in && !is_stdin)
		fclose(in);
	if (!text)
		return fail(error, BERTH_CLI_CONFIG, "%s: %s", name, strerror(err));
	bool is_binary = memchr(text, '\0', length) != NULL;
	json_t *value = is_binary ? NULL : json_stringn(text, length);
	free(text);
	if (!value)
		return fail(error, BERTH_CLI_CONFIG, "%s: not UTF-8 text; a configuration is a YAML file", name);
	json_object_set_new(arguments, key, value);
	return BERTH_CLI_OK;
}

/* Whether `word` is --NAME, --NAME=VALUE, or the letter. */
static bool is_option(const char *word, const struct berth_argument *argument)
{
	size_t length = strlen(argument->name);
	const char *usage = argument->usage;
	if (usage[0] == '-' && usage[1] != '-' && word[1] == usage[1] && !word[2])
		return true;
	return strncmp(word, "--", 2) == 0 && strncmp(word + 2, argument->name, length) == 0 &&
	       (word[2 + length] == '\0' || (word[2 + length] == '=' && berth_argument_is_option(argument)));
}

/* A flag or option by its name; any other word is the next positional argument. NULL: none. */
static const struct berth_argument *find_argument(const struct berth_command *command, const json_t *arguments,
						  const char *word)
{
	bool is_named = word[0] == '-' && word[1];
	for (const struct berth_argument *argument = command->arguments; argument->name; argument++) {
		bool has_name = berth_argument_is_flag(argument) || berth_argument_is_option(argument);
		if (is_named && has_name && is_option(word, argument))
			return argument;
		if (!is_named && !has_name &&
		    (argument->kind == BERTH_ARGUMENT_REST || !json_object_get(arguments, argument->name)))
			return argument;
	}
	return NULL;
}

/* The words that are not parsed yet. */
struct words {
	char *const *next;
	char *const *end;
};

/* An option's value: the text after its =, or the next word, which is consumed. A positional argument is its own
 * value. NULL: no value. */
static const char *take_value(const struct berth_argument *argument, const char *word, struct words *words)
{
	if (!berth_argument_is_option(argument))
		return word;
	const char *equals = strchr(word, '=');
	if (equals)
		return equals + 1;
	return words->next < words->end ? *words->next++ : NULL;
}

/* Takes `word`. */
static void add_word(json_t *arguments, const char *name, json_t *word)
{
	if (!json_object_get(arguments, name))
		json_object_set_new(arguments, name, json_array());
	json_array_append_new(json_object_get(arguments, name), word);
}

bool berth_cli_is_json(const char *word)
{
	return strcmp(word, "-j") == 0 || strcmp(word, "--json") == 0;
}

static enum berth_cli_status parse_word(struct berth_call *call, struct words *words,
					char error[BERTH_CLI_ERROR_BYTES])
{
	const struct berth_command *command = &berth_commands[call->command];
	const char *word = *words->next++;
	const struct berth_argument *argument = find_argument(command, call->arguments, word);
	if (berth_cli_is_json(word)) {
		call->json = true;
		return BERTH_CLI_OK;
	}
	/* A command may have -w of its own. */
	if (!argument && (strcmp(word, "-w") == 0 || strcmp(word, "--wide") == 0)) {
		call->wide = true;
		return BERTH_CLI_OK;
	}
	if (!argument)
		return fail(error, BERTH_CLI_USAGE, "`%s` has no argument `%.64s`%s; see berthctl %s --help",
			    command->words, word,
			    json_object_size(call->arguments) && word[0] != '-'
				    ? ", and one of several words needs quotes"
				    : "",
			    command->words);
	json_t *arguments = berth_argument_is_local(argument) ? call->display : call->arguments;
	if (berth_argument_is_flag(argument)) {
		json_object_set_new(arguments, argument->name, json_true());
		return BERTH_CLI_OK;
	}
	if (argument->kind != BERTH_ARGUMENT_REST && json_object_get(arguments, argument->name))
		return fail(error, BERTH_CLI_USAGE, "--%s is given twice", argument->name);
	const char *text = take_value(argument, word, words);
	json_t *value = text && text[0] ? json_string(text) : NULL;
	if (!value)
		return fail(error, BERTH_CLI_USAGE, "%s %s", argument->usage,
			    text ? "is empty or not UTF-8" : "needs a value");
	if (argument->kind == BERTH_ARGUMENT_REST)
		add_word(arguments, argument->name, value);
	else
		json_object_set_new(arguments, argument->name, value);
	return BERTH_CLI_OK;
}

/* explain: a packet, or a file with its options. */
static enum berth_cli_status check_explain(const struct berth_call *call, char error[BERTH_CLI_ERROR_BYTES])
{
	const bool has_packet = json_object_get(call->arguments, "packet") != NULL;
	const bool has_file = json_object_get(call->display, "read") != NULL;
	if (has_packet == has_file)
		return fail(error, BERTH_CLI_USAGE,
			    "`explain` needs %sPACKET or -r FILE; see berthctl explain --help",
			    has_file ? "one of " : "");
	if (!has_file && json_object_size(call->display))
		return fail(error, BERTH_CLI_USAGE, "--packet and --count are for packets of a file: -r FILE");
	return BERTH_CLI_OK;
}

/* Checks that no argument is missing, then reads the files. */
static enum berth_cli_status complete(const struct berth_call *call, char error[BERTH_CLI_ERROR_BYTES])
{
	const struct berth_command *command = &berth_commands[call->command];
	enum berth_cli_status status = BERTH_CLI_OK;
	for (const struct berth_argument *argument = command->arguments; argument->name; argument++)
		if (!argument->optional && !json_object_get(call->arguments, argument->name))
			return fail(error, BERTH_CLI_USAGE, "`%s` needs %s; see berthctl %s --help", command->words,
				    argument->usage, command->words);
	for (const struct berth_argument *argument = command->arguments; argument->name && !status; argument++)
		if (argument->kind == BERTH_ARGUMENT_FILE)
			status = add_text(call->arguments, argument, error);
	return status;
}

static enum berth_cli_status parse_arguments(struct berth_call *call, struct words words,
					     char error[BERTH_CLI_ERROR_BYTES])
{
	for (char *const *word = words.next; word < words.end; word++)
		if (strcmp(*word, "--help") == 0 || strcmp(*word, "-h") == 0)
			call->help = true;
	if (call->help)
		return BERTH_CLI_OK;
	enum berth_cli_status status = BERTH_CLI_OK;
	while (words.next < words.end && !status)
		status = parse_word(call, &words, error);
	if (!status && call->command == BERTH_COMMAND_explain)
		status = check_explain(call, error);
	return status ? status : complete(call, error);
}

void berth_cli_call_free(struct berth_call *call)
{
	json_decref(call->arguments);
	json_decref(call->display);
	*call = (struct berth_call){0};
}

enum berth_cli_status berth_cli_parse(int argc, char *const *argv, struct berth_call *call,
				      char error[BERTH_CLI_ERROR_BYTES])
{
	*call = (struct berth_call){0};
	int words = berth_cli_find_command(argc, argv, &call->command);
	if (!words) {
		berth_cli_suggest(argc, argv, error);
		return BERTH_CLI_USAGE;
	}
	call->arguments = json_object();
	call->display = json_object();
	enum berth_cli_status status = parse_arguments(call, (struct words){argv + words, argv + argc}, error);
	if (status)
		berth_cli_call_free(call);
	return status;
}
