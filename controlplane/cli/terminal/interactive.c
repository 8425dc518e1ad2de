// SPDX-License-Identifier: BSD-3-Clause
#include <histedit.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "controlplane/cli/cli.h"

enum {
	HISTORY_LINES = 1000,
	HISTORY_PATH_BYTES = 4096,
};

struct terminal {
	const struct berth_cli_options *options;
	EditLine *line;
	History *history;
	Tokenizer *words; /* of the line: split as sh does, with quotes and backslashes */
	char prompt[BERTH_CELL_BYTES];
	char history_path[HISTORY_PATH_BYTES]; /* empty: the history is not kept */
};

static struct terminal *terminal_of(EditLine *line)
{
	void *terminal = NULL;
	el_get(line, EL_CLIENTDATA, &terminal);
	return terminal;
}

static char *prompt(EditLine *line)
{
	return terminal_of(line)->prompt;
}

/* The length of what all completions begin with. */
static size_t common_length(const struct berth_completions *completions)
{
	size_t length = strlen(completions->words[0]);
	for (size_t i = 1; i < completions->n; i++) {
		size_t same = 0;
		while (same < length && completions->words[i][same] == completions->words[0][same])
			same++;
		length = same;
	}
	return length;
}

static unsigned char list_completions(const struct berth_completions *completions)
{
	putchar('\n');
	for (size_t i = 0; i < completions->n; i++)
		printf("  %s\n", completions->words[i]);
	if (completions->n == BERTH_CLI_COMPLETIONS)
		puts("  ...");
	return CC_REDISPLAY;
}

/* Inserts what all completions have in common; lists them where that is nothing more. */
static unsigned char insert_completion(EditLine *line, const struct berth_completions *completions, size_t typed)
{
	char rest[BERTH_CLI_ERROR_BYTES];
	const char *word = completions->words[0];
	size_t length = common_length(completions);
	bool is_whole = completions->n == 1 && word[length - 1] != '/';
	if (length == typed && !is_whole)
		return completions->n > 1 ? list_completions(completions) : CC_NORM;
	snprintf(rest, sizeof(rest), "%.*s%s", (int)(length - typed), word + typed, is_whole ? " " : "");
	return el_insertstr(line, rest) == 0 ? CC_REFRESH : CC_ERROR;
}

static unsigned char complete(EditLine *line, int key)
{
	(void)key;
	struct terminal *terminal = terminal_of(line);
	struct berth_completions completions;
	const char **argv;
	char typed[BERTH_CLI_ERROR_BYTES];
	int argc, word, offset;
	tok_reset(terminal->words);
	if (tok_line(terminal->words, el_line(line), &argc, &argv, &word, &offset) != 0 || word > argc)
		return CC_ERROR; /* within quotes */
	snprintf(typed, sizeof(typed), "%.*s", offset, word < argc ? argv[word] : "");
	berth_cli_complete(terminal->options, word, (char *const *)argv, typed, &completions);
	unsigned char result = completions.n ? insert_completion(line, &completions, strlen(typed))
					     : (unsigned char)CC_NORM;
	berth_cli_clear_completions(&completions);
	return result;
}

static bool is_quit(const char *word)
{
	return strcmp(word, "quit") == 0 || strcmp(word, "exit") == 0;
}

/* Runs one line. False: it says `quit`. */
static bool run_line(struct terminal *terminal, const char *text)
{
	HistEvent event;
	const char **argv;
	int argc;
	tok_reset(terminal->words);
	if (tok_str(terminal->words, text, &argc, &argv) != 0) {
		fprintf(stderr, "berthctl: a quotation mark is missing\n");
		return true;
	}
	if (argc == 0)
		return true;
	history(terminal->history, &event, H_ENTER, text);
	if (argc == 1 && is_quit(argv[0]))
		return false;
	berth_cli_run(terminal->options, argc, (char *const *)argv);
	return true;
}

/* The history is kept in the home directory, readable by its owner alone. */
static void load_history(struct terminal *terminal)
{
	HistEvent event;
	const char *home = getenv("HOME");
	history(terminal->history, &event, H_SETSIZE, HISTORY_LINES);
	history(terminal->history, &event, H_SETUNIQUE, 1);
	if (!home || !home[0] ||
	    snprintf(terminal->history_path, HISTORY_PATH_BYTES, "%s/.berthctl_history", home) >=
		    HISTORY_PATH_BYTES)
		terminal->history_path[0] = '\0';
	else
		history(terminal->history, &event, H_LOAD, terminal->history_path);
}

static void save_history(const struct terminal *terminal)
{
	HistEvent event;
	mode_t mask = umask(077);
	if (terminal->history_path[0])
		history(terminal->history, &event, H_SAVE, terminal->history_path);
	umask(mask);
}

static bool open_terminal(struct terminal *terminal)
{
	terminal->line = el_init("berthctl", stdin, stdout, stderr);
	terminal->history = history_init();
	terminal->words = tok_init(NULL);
	if (!terminal->line || !terminal->history || !terminal->words)
		return false;
	el_set(terminal->line, EL_CLIENTDATA, terminal);
	el_set(terminal->line, EL_PROMPT, prompt);
	el_set(terminal->line, EL_EDITOR, "emacs");
	el_set(terminal->line, EL_SIGNAL, 1);
	el_set(terminal->line, EL_HIST, history, terminal->history);
	el_set(terminal->line, EL_ADDFN, "berth-complete", "complete a word", complete);
	el_set(terminal->line, EL_BIND, "^I", "berth-complete", NULL);
	el_set(terminal->line, EL_BIND, "^R", "em-inc-search-prev", NULL);
	el_source(terminal->line, NULL);
	load_history(terminal);
	return true;
}

static void close_terminal(struct terminal *terminal)
{
	if (terminal->words)
		tok_end(terminal->words);
	if (terminal->history)
		history_end(terminal->history);
	if (terminal->line)
		el_end(terminal->line);
}

enum berth_cli_status berth_cli_interactive(const struct berth_cli_options *options)
{
	struct terminal terminal = {.options = options};
	snprintf(terminal.prompt, sizeof(terminal.prompt), "%s> ",
		 options->instance ? options->instance : BERTH_INSTANCE);
	if (!open_terminal(&terminal)) {
		close_terminal(&terminal);
		fprintf(stderr, "berthctl: cannot use the terminal: %s\n", strerror(errno));
		return BERTH_CLI_FAILURE;
	}
	puts("`help` lists the commands, the Tab key completes words, `quit` ends.");
	const char *text;
	int length;
	bool goes_on = true;
	while (goes_on && (text = el_gets(terminal.line, &length)) && length > 0)
		goes_on = run_line(&terminal, text);
	if (goes_on)
		putchar('\n'); /* end of input */
	save_history(&terminal);
	close_terminal(&terminal);
	return BERTH_CLI_OK;
}
