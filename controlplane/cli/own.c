// SPDX-License-Identifier: BSD-3-Clause
#include <string.h>

#include "controlplane/cli/cli.h"
#include "controlplane/cli/report/report.h"
#include "controlplane/cli/top/top.h"

/* `help`; `help COMMAND`, the same as `COMMAND --help`; or `help show`, for the beginning of commands. */
static enum berth_cli_status help(bool json, int argc, char *const *argv)
{
	char error[BERTH_CLI_ERROR_BYTES];
	enum berth_command_index command;
	if (argc == 0) {
		berth_cli_usage(stdout);
		return BERTH_CLI_OK;
	}
	if (argc > BERTH_COMMAND_WORDS)
		return berth_cli_usage_error(json, "help needs one command, as in `help show stats`");
	if (berth_cli_find_command(argc, argv, &command) == argc) {
		berth_cli_help(stdout, &berth_commands[command]);
		return BERTH_CLI_OK;
	}
	if (berth_cli_help_own(stdout, argc, argv) || berth_cli_help_list(stdout, argc, argv))
		return BERTH_CLI_OK;
	berth_cli_suggest(argc, argv, error);
	return berth_cli_usage_error(json, error);
}

static enum berth_cli_status schema(bool json, int argc)
{
	if (argc > 0)
		return berth_cli_usage_error(
			json, "schema has no arguments; it prints the JSON schema of the configuration");
	for (const char *const *line = berth_cli_schema_lines; *line; line++)
		fputs(*line, stdout);
	return berth_cli_finish_output(BERTH_CLI_OK);
}

/* For the completion of a shell: what can stand in place of the last word, a line each. */
static enum berth_cli_status print_completions(const struct berth_cli_options *options, int argc, char *const *argv)
{
	struct berth_completions completions;
	if (argc == 0)
		return berth_cli_usage_error(options->json,
					     "complete needs the words of a command; the last may be empty");
	berth_cli_complete(options, argc - 1, argv, argv[argc - 1], &completions);
	for (size_t i = 0; i < completions.n; i++)
		puts(completions.words[i]);
	berth_cli_clear_completions(&completions);
	return berth_cli_finish_output(BERTH_CLI_OK);
}

static enum berth_cli_status report(const struct berth_cli_options *options, int argc, char *const *argv)
{
	bool is_anonymous = argc == 1 && strcmp(argv[0], "--anonymous") == 0;
	if (argc > 0 && !is_anonymous)
		return berth_cli_usage_error(options->json, "report has one option, --anonymous");
	return berth_cli_finish_output(berth_cli_report(options, is_anonymous));
}

static bool asks_for_help(int argc, char *const *argv)
{
	return argc > 1 && (strcmp(argv[argc - 1], "--help") == 0 || strcmp(argv[argc - 1], "-h") == 0);
}

/* `argv` without -j behind it, which `options` then have. */
static bool run(const struct berth_cli_options *options, int argc, char *const *argv, enum berth_cli_status *status)
{
	if (strcmp(argv[0], "help") == 0)
		*status = help(options->json, argc - 1, argv + 1);
	else if (strcmp(argv[argc - 1], "?") == 0)
		*status = help(options->json, argc - 1, argv);
	else if (strcmp(argv[0], "schema") == 0)
		*status = schema(options->json, argc - 1);
	else if (strcmp(argv[0], "top") == 0)
		*status = berth_cli_finish_output(berth_cli_top(options, argc - 1, argv + 1));
	else if (strcmp(argv[0], "report") == 0)
		*status = report(options, argc - 1, argv + 1);
	else if (argc > 1 && strcmp(argv[0], "config") == 0 && strcmp(argv[1], "import") == 0)
		*status = berth_cli_import(options->json, argc - 2, argv + 2);
	else
		return false;
	return true;
}

bool berth_cli_run_own(const struct berth_cli_options *options, int argc, char *const *argv,
		       enum berth_cli_status *status)
{
	if (asks_for_help(argc, argv) && berth_cli_help_own(stdout, argc - 1, argv)) {
		*status = berth_cli_finish_output(BERTH_CLI_OK);
		return true;
	}
	/* Its last word is what is to be completed, also -j. */
	if (strcmp(argv[0], "complete") == 0) {
		*status = print_completions(options, argc - 1, argv + 1);
		return true;
	}
	struct berth_cli_options own = *options;
	const bool is_json = argc > 1 && berth_cli_is_json(argv[argc - 1]);
	own.json |= is_json;
	return run(&own, argc - is_json, argv, status);
}
