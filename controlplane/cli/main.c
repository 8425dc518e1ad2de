// SPDX-License-Identifier: BSD-3-Clause
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controlplane/cli/cli.h"

static int parse_seconds(const char *text, unsigned int *seconds)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end || value == 0 || value > 86400)
		return -EINVAL;
	*seconds = (unsigned int)value;
	return 0;
}

static enum berth_cli_status refuse_option(bool json, bool lacks_value, const char *word)
{
	char error[BERTH_CLI_ERROR_BYTES], letter[] = {'-', (char)optopt, '\0'};
	const char *option = strncmp(word, "--", 2) != 0 && optopt ? letter : word;
	snprintf(error, sizeof(error),
		 lacks_value ? "option %.64s needs a value; see berthctl --help"
			     : "unknown option %.64s; see berthctl --help",
		 option);
	return berth_cli_usage_error(json, error);
}

/* Parses the options before the command. */
static enum berth_cli_status parse_options(int argc, char **argv, struct berth_cli_options *options)
{
	static const struct option names[] = {
		{"socket", required_argument, NULL, 's'},  {"instance", required_argument, NULL, 'i'},
		{"run-dir", required_argument, NULL, 'r'}, {"timeout", required_argument, NULL, 't'},
		{"file", required_argument, NULL, 'f'},	   {"json", no_argument, NULL, 'j'},
		{"wide", no_argument, NULL, 'w'},	   {"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'v'},	   {0},
	};
	opterr = 0;
	for (int c; (c = getopt_long(argc, argv, "+:s:i:r:t:f:jwh", names, NULL)) != -1;) {
		if (c == 's')
			options->socket = optarg;
		else if (c == 'i')
			options->instance = optarg;
		else if (c == 'r')
			options->run_dir = optarg;
		else if (c == 'f')
			options->script = optarg;
		else if (c == 'j')
			options->json = true;
		else if (c == 'w')
			options->wide = true;
		else if (c == 'h')
			options->help = true;
		else if (c == 'v')
			options->version = true;
		else if (c != 't')
			return refuse_option(options->json, c == ':', argv[optind - 1]);
		else if (parse_seconds(optarg, &options->timeout_s) != 0)
			return berth_cli_usage_error(options->json, "-t needs whole seconds, 1 to 86400");
	}
	if (options->script && optind < argc)
		return berth_cli_usage_error(options->json,
					     "-f runs the commands of a file; remove the command, or -f");
	if (options->socket && (options->instance || options->run_dir))
		return berth_cli_usage_error(options->json, "-s replaces -i and -r; remove them");
	if (options->instance && (!options->instance[0] || strchr(options->instance, '/')))
		return berth_cli_usage_error(options->json, "-i needs a name without slashes");
	return BERTH_CLI_OK;
}

int main(int argc, char **argv)
{
	struct berth_cli_options options = {.timeout_s = 30};
	enum berth_cli_status status = parse_options(argc, argv, &options);
	if (status)
		return (int)status;
	argc -= optind;
	argv += optind;
	if (options.version)
		return puts("berthctl " BERTH_VERSION) < 0 || fflush(stdout) != 0 ? BERTH_CLI_FAILURE
										  : BERTH_CLI_OK;
	if (options.help)
		return (int)berth_cli_run(&options, 1, (char *[]){"help"});
	if (options.script)
		return (int)berth_cli_script(&options, options.script);
	if (argc > 0)
		return (int)berth_cli_run(&options, argc, argv);
	if (isatty(STDIN_FILENO) && isatty(STDOUT_FILENO))
		return (int)berth_cli_interactive(&options);
	berth_cli_usage(stderr);
	return BERTH_CLI_USAGE;
}
