// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <string.h>

#include "controlplane/cli/cli.h"

/* The code of an error that berthctl itself finds. */
static const char *own_code(enum berth_cli_status status)
{
	switch (status) {
	case BERTH_CLI_USAGE:
		return "usage";
	case BERTH_CLI_CONFIG:
		return "config";
	case BERTH_CLI_UNREACHABLE:
		return "unreachable";
	default:
		return "failure";
	}
}

enum berth_cli_status berth_cli_print_errors(bool json, enum berth_cli_status status, const char *code,
					     const char *error, const json_t *errors)
{
	size_t i;
	json_t *line;
	if (!json) {
		json_array_foreach(errors, i, line) fprintf(stderr, "%s\n", json_string_value(line));
		if (!json_array_size(errors))
			fprintf(stderr, "%s%s\n", status == BERTH_CLI_CONFIG ? "" : "berthctl: ", error);
		return status;
	}
	json_t *object = json_pack("{s:s, s:s, s:i, s:O*}", "error", error, "code", code ? code : own_code(status),
				   "exit_status", (int)status, "errors", errors);
	json_dumpf(object, stderr, 0);
	fputc('\n', stderr);
	json_decref(object);
	return status;
}

enum berth_cli_status berth_cli_usage_error(bool json, const char *error)
{
	return berth_cli_print_errors(json, BERTH_CLI_USAGE, NULL, error, NULL);
}

int berth_cli_print_json(const json_t *value)
{
	const int status = json_dumpf(value, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(BERTH_WIRE_DIGITS));
	putchar('\n');
	return status;
}

enum berth_cli_status berth_cli_finish_output(enum berth_cli_status status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	fprintf(stderr, "berthctl: cannot write: %s\n", strerror(errno));
	return BERTH_CLI_FAILURE;
}
