// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/cli/report/report.h"

#include <string.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <time.h>

/* What a report asks berthd for. */
static const enum berth_command_index parts[] = {
	BERTH_COMMAND_ready,	   BERTH_COMMAND_show_services, BERTH_COMMAND_show_backends,
	BERTH_COMMAND_show_dns,	   BERTH_COMMAND_show_stats,	BERTH_COMMAND_show_drops,
	BERTH_COMMAND_show_engine, BERTH_COMMAND_show_node,	BERTH_COMMAND_show_cluster,
	BERTH_COMMAND_doctor,
};

static json_t *failure(const char *error)
{
	return json_pack("{s:s}", "error", error);
}

/* The result of one command, or {"error": ...}. */
static json_t *ask(const struct berth_cli_options *options, enum berth_command_index command)
{
	char error[BERTH_CLI_ERROR_BYTES];
	struct berth_connection connection;
	struct berth_call call = {.command = command, .arguments = json_object()};
	json_t *reply = NULL, *answer;
	enum berth_cli_status status = berth_cli_open(options, &connection, error);
	if (!status) {
		const char *rows = berth_cli_rows_key(command);
		status = rows ? berth_cli_request_rows(&connection, &call, rows, &reply, error)
			      : berth_cli_request(&connection, berth_commands[command].words, call.arguments,
						  &reply, error);
		berth_cli_disconnect(&connection);
	}
	const json_t *refusal = json_object_get(reply, "error");
	json_t *result = json_object_get(reply, "result");
	if (!status && result)
		answer = json_incref(result);
	else
		answer = failure(status ? error : refusal ? json_string_value(refusal) : BERTH_CLI_MALFORMED);
	json_decref(reply);
	json_decref(call.arguments);
	return answer;
}

/* The first line of a file that begins with `key`, without it; null: there is none. */
static json_t *file_line(const char *path, const char *key)
{
	char line[BERTH_CLI_ERROR_BYTES];
	json_t *value = NULL;
	FILE *in = fopen(path, "re");
	while (in && !value && fgets(line, sizeof(line), in)) {
		if (strncmp(line, key, strlen(key)) != 0)
			continue;
		line[strcspn(line, "\n")] = '\0';
		value = json_string(line + strlen(key));
	}
	if (in)
		fclose(in);
	return value ? value : json_null();
}

/* What the host is, without its name. */
static json_t *host(void)
{
	struct utsname system = {0};
	struct sysinfo memory = {0};
	char now[sizeof("2026-01-01T00:00:00Z")] = "";
	time_t seconds = time(NULL);
	struct tm utc;
	uname(&system);
	sysinfo(&memory);
	if (gmtime_r(&seconds, &utc))
		strftime(now, sizeof(now), "%Y-%m-%dT%H:%M:%SZ", &utc);
	return json_pack("{s:s, s:s, s:s, s:o, s:o, s:i, s:I, s:I, s:o, s:o}", "time", now, "kernel",
			 system.release, "machine", system.machine, "distribution",
			 file_line("/etc/os-release", "PRETTY_NAME="), "processor",
			 file_line("/proc/cpuinfo", "model name\t: "), "processors", get_nprocs(), "memory_bytes",
			 (json_int_t)memory.totalram * memory.mem_unit, "uptime_s", (json_int_t)memory.uptime,
			 "hugepages", file_line("/proc/meminfo", "HugePages_Total:"), "hugepages_free",
			 file_line("/proc/meminfo", "HugePages_Free:"));
}

static json_t *gather(const struct berth_cli_options *options)
{
	json_t *report = json_object();
	json_object_set_new(report, "berthctl", json_string(BERTH_VERSION));
	json_object_set_new(report, "host", host());
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		json_object_set_new(report, berth_commands[parts[i]].words, ask(options, parts[i]));
	return report;
}

/* Takes the report. */
static json_t *without_names(json_t *report)
{
	struct berth_pseudonyms *pseudonyms = berth_pseudonyms_new();
	json_t *anonymous = NULL;
	if (pseudonyms) {
		berth_pseudonyms_learn(pseudonyms, report);
		anonymous = berth_pseudonyms_replace(pseudonyms, report);
	}
	berth_pseudonyms_free(pseudonyms);
	json_decref(report);
	return anonymous;
}

enum berth_cli_status berth_cli_report(const struct berth_cli_options *options, bool is_anonymous)
{
	json_t *report = gather(options);
	if (is_anonymous)
		report = without_names(report);
	if (!report || berth_cli_print_json(report) != 0) {
		json_decref(report);
		fprintf(stderr, "berthctl: cannot write the report\n");
		return BERTH_CLI_FAILURE;
	}
	bool is_reached = !json_object_get(json_object_get(report, "show engine"), "error");
	if (!is_reached)
		fprintf(stderr, "berthctl: %s; the report has only the host\n",
			berth_cli_text(json_object_get(report, "show engine"), "error"));
	json_decref(report);
	return is_reached ? BERTH_CLI_OK : BERTH_CLI_UNREACHABLE;
}
