// SPDX-License-Identifier: BSD-3-Clause
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/cli/cli.h"

struct options {
	const char *socket;
	const char *instance;
	const char *run_dir;
	unsigned int timeout_s;
	bool json;
	bool help;
};

static enum berth_cli_exit usage_error(const char *error)
{
	fprintf(stderr, "berthctl: %s\n", error);
	return BERTH_EXIT_USAGE;
}

static int parse_seconds(const char *text, unsigned int *seconds)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end || value == 0 || value > 86400)
		return -EINVAL;
	*seconds = (unsigned int)value;
	return 0;
}

/* Options up to the command's first word. */
static enum berth_cli_exit parse_options(int argc, char **argv, struct options *options)
{
	static const struct option names[] = {
		{"socket", required_argument, NULL, 's'},
		{"instance", required_argument, NULL, 'i'},
		{"run-dir", required_argument, NULL, 'r'},
		{"timeout", required_argument, NULL, 't'},
		{"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	for (int c; (c = getopt_long(argc, argv, "+s:i:r:t:jh", names, NULL)) != -1;) {
		if (c == 's')
			options->socket = optarg;
		else if (c == 'i')
			options->instance = optarg;
		else if (c == 'r')
			options->run_dir = optarg;
		else if (c == 'j')
			options->json = true;
		else if (c == 'h')
			options->help = true;
		else if (c != 't')
			return BERTH_EXIT_USAGE; /* getopt has said why */
		else if (parse_seconds(optarg, &options->timeout_s) != 0)
			return usage_error("-t is whole seconds, 1 to 86400");
	}
	if (options->socket && (options->instance || options->run_dir))
		return usage_error("-s names the socket itself; leave out -i and -r");
	if (options->instance && (!options->instance[0] || strchr(options->instance, '/')))
		return usage_error("an instance has a name without slashes");
	return BERTH_EXIT_DONE;
}

static enum berth_cli_exit socket_path(const struct options *options, char path[BERTH_WIRE_PATH_BYTES])
{
	int n;
	if (options->socket)
		n = snprintf(path, BERTH_WIRE_PATH_BYTES, "%s", options->socket) >= BERTH_WIRE_PATH_BYTES;
	else
		n = berth_wire_path(path, options->run_dir ? options->run_dir : BERTH_RUN_DIR,
				    options->instance ? options->instance : BERTH_INSTANCE);
	return n == 0 ? BERTH_EXIT_DONE : usage_error("the socket's path is too long; a system takes 107 bytes");
}

/* `status`, unless what was printed could not be written. */
static enum berth_cli_exit finish_output(enum berth_cli_exit status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	fprintf(stderr, "berthctl: cannot write: %s\n", strerror(errno));
	return BERTH_EXIT_REFUSED;
}

/* Prints the result, or the error. NULL: the result is printed. A configuration's error begins with
 * file:line:column, for editors to jump to. */
static enum berth_cli_exit print_answer(const struct berth_call *call, const json_t *answer)
{
	if (!answer)
		return finish_output(BERTH_EXIT_DONE);
	const json_t *result = json_object_get(answer, "result");
	if (json_is_true(json_object_get(answer, "ok")) && result) {
		if (call->json) {
			json_dumpf(result, stdout, JSON_INDENT(2));
			putchar('\n');
		} else {
			berth_cli_show(stdout, call->command, result);
		}
		return finish_output(berth_cli_has_fault(call->command, result) ? BERTH_EXIT_REFUSED
										: BERTH_EXIT_DONE);
	}
	const char *error = json_string_value(json_object_get(answer, "error"));
	const char *code = json_string_value(json_object_get(answer, "code"));
	bool is_config = code && strcmp(code, "config") == 0;
	fprintf(stderr, "%s%s\n", is_config ? "" : "berthctl: ", error ? error : "berthd says neither yes nor no");
	return is_config ? BERTH_EXIT_CONFIG : BERTH_EXIT_REFUSED;
}

static enum berth_cli_exit run(const struct options *options, const struct berth_call *call)
{
	char error[BERTH_CLI_ERROR_BYTES];
	char path[BERTH_WIRE_PATH_BYTES];
	struct berth_connection connection;
	json_t *answer = NULL;
	if (socket_path(options, path) != BERTH_EXIT_DONE)
		return BERTH_EXIT_USAGE;
	enum berth_cli_exit status = berth_cli_connect(&connection, path, options->timeout_s, error);
	if (status)
		goto out;
	if (berth_cli_has_pages(call->command))
		status = berth_cli_ask_pages(stdout, &connection, call, &answer, error);
	else if (call->command == BERTH_COMMAND_wait_drained)
		status = berth_cli_ask_until(&connection, call, &answer, error);
	else
		status = berth_cli_ask(&connection, berth_commands[call->command].words, call->arguments, &answer,
				       error);
	if (!status && call->command == BERTH_COMMAND_shutdown)
		berth_cli_wait_end(&connection); /* what the next command needs is free then */
	berth_cli_disconnect(&connection);
out:
	if (status)
		fprintf(stderr, "berthctl: %s\n", error);
	else
		status = print_answer(call, answer);
	json_decref(answer);
	return status;
}

/* `help`, or `help COMMAND...`, which is `COMMAND... --help`. */
static enum berth_cli_exit help(int argc, char *const *argv)
{
	char error[BERTH_CLI_ERROR_BYTES];
	char *words[BERTH_COMMAND_WORDS + 1];
	struct berth_call call;
	if (argc == 0) {
		berth_cli_usage(stdout);
		return BERTH_EXIT_DONE;
	}
	if (argc > BERTH_COMMAND_WORDS)
		return usage_error("help takes a command's name alone");
	for (int i = 0; i < argc; i++)
		words[i] = argv[i];
	words[argc] = (char[]){"--help"};
	enum berth_cli_exit status = berth_cli_parse(argc + 1, words, &call, error);
	if (status)
		return usage_error(error);
	berth_cli_help(stdout, &berth_commands[call.command]);
	json_decref(call.arguments);
	return BERTH_EXIT_DONE;
}

int main(int argc, char **argv)
{
	struct options options = {.timeout_s = 30};
	char error[BERTH_CLI_ERROR_BYTES];
	struct berth_call call;
	enum berth_cli_exit status = parse_options(argc, argv, &options);
	if (status)
		return (int)status;
	argc -= optind;
	argv += optind;
	if (options.help || (argc > 0 && strcmp(argv[0], "help") == 0))
		return (int)(options.help ? help(0, NULL) : help(argc - 1, argv + 1));
	if (argc == 0) {
		berth_cli_usage(stderr);
		return BERTH_EXIT_USAGE;
	}
	status = berth_cli_parse(argc, argv, &call, error);
	if (status) {
		fprintf(stderr, "%s%s\n", status == BERTH_EXIT_CONFIG ? "" : "berthctl: ", error);
		return (int)status;
	}
	call.json |= options.json;
	if (call.help)
		berth_cli_help(stdout, &berth_commands[call.command]);
	else
		status = run(&options, &call);
	json_decref(call.arguments);
	return (int)status;
}
