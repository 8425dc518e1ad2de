// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <histedit.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/cli/cli.h"

/* A line is split as sh does, with quotes and backslashes; # at its beginning makes it a comment. */
static enum berth_cli_status run_line(const struct berth_cli_options *options, Tokenizer *words, const char *line)
{
	const char **argv;
	int argc;
	if (line[strspn(line, " \t")] == '#')
		return BERTH_CLI_OK;
	tok_reset(words);
	if (tok_str(words, line, &argc, &argv) != 0)
		return berth_cli_usage_error(options->json, "a quotation mark is missing");
	return argc ? berth_cli_run(options, argc, (char *const *)argv) : BERTH_CLI_OK;
}

static enum berth_cli_status run_file(const struct berth_cli_options *options, const char *path, FILE *in,
				      Tokenizer *words)
{
	enum berth_cli_status status = BERTH_CLI_OK;
	char *line = NULL;
	size_t size = 0, number = 0;
	while (!status && getline(&line, &size, in) >= 0) {
		number++;
		line[strcspn(line, "\r\n")] = '\0';
		status = run_line(options, words, line);
	}
	if (status)
		fprintf(stderr, "%s:%zu: stopped here: %s\n", path, number, line);
	free(line);
	return status;
}

enum berth_cli_status berth_cli_script(const struct berth_cli_options *options, const char *path)
{
	const bool is_stdin = strcmp(path, "-") == 0;
	FILE *in = is_stdin ? stdin : fopen(path, "re");
	if (!in) {
		fprintf(stderr, "berthctl: %s: %s\n", path, strerror(errno));
		return BERTH_CLI_CONFIG;
	}
	Tokenizer *words = tok_init(NULL);
	enum berth_cli_status status = words ? run_file(options, path, in, words) : BERTH_CLI_FAILURE;
	if (words)
		tok_end(words);
	if (!is_stdin)
		fclose(in);
	return status;
}
