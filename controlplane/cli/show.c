// SPDX-License-Identifier: BSD-3-Clause
#include <stdint.h>
#include <string.h>

#include "controlplane/cli/cli.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text ? text : "-";
}

static json_int_t number_of(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

/* 203.0.113.10 or, with a port behind it, [2001:db8::10]. */
static void host_cell(const char *address, bool port, char cell[BERTH_CELL_BYTES])
{
	bool brackets = port && strchr(address, ':') != NULL;
	snprintf(cell, BERTH_CELL_BYTES, "%s%s%s", brackets ? "[" : "", address, brackets ? "]" : "");
}

/* tcp 203.0.113.10:80, udp [2001:db8::/64]:8000-8099, tcp 203.0.113.0/28:any */
static void service_cell(const json_t *row, const char *key, char cell[BERTH_CELL_BYTES])
{
	char host[BERTH_CELL_BYTES], ports[64];
	json_int_t first = number_of(row, "port"), last = number_of(row, "last_port");
	host_cell(text_of(row, key), true, host);
	if (first == 0 && last == UINT16_MAX)
		snprintf(ports, sizeof(ports), "any");
	else if (last > first)
		snprintf(ports, sizeof(ports), "%" JSON_INTEGER_FORMAT "-%" JSON_INTEGER_FORMAT, first, last);
	else
		snprintf(ports, sizeof(ports), "%" JSON_INTEGER_FORMAT, first);
	snprintf(cell, BERTH_CELL_BYTES, "%s %s:%s", text_of(row, "protocol"), host, ports);
}

/* 192.0.2.11, or with the port that it listens on where that is another than the service's: 192.0.2.11:8080 */
static void backend_cell(const json_t *row, const char *key, char cell[BERTH_CELL_BYTES])
{
	bool port = json_is_integer(json_object_get(row, "port"));
	host_cell(text_of(row, key), port, cell);
	size_t used = strlen(cell);
	if (port)
		snprintf(cell + used, BERTH_CELL_BYTES - used, ":%" JSON_INTEGER_FORMAT, number_of(row, "port"));
}

/* Backends up of all. */
static void up_cell(const json_t *row, const char *key, char cell[BERTH_CELL_BYTES])
{
	snprintf(cell, BERTH_CELL_BYTES, "%" JSON_INTEGER_FORMAT "/%" JSON_INTEGER_FORMAT, number_of(row, key),
		 number_of(row, "backends"));
}

static void affinity_cell(const json_t *row, const char *key, char cell[BERTH_CELL_BYTES])
{
	char timeout[BERTH_CELL_BYTES];
	berth_cell_plain(row, key, cell);
	if (!json_is_integer(json_object_get(row, "affinity_timeout_s")))
		return;
	berth_cell_duration(row, "affinity_timeout_s", timeout);
	size_t used = strlen(cell);
	snprintf(cell + used, BERTH_CELL_BYTES - used, " %s", timeout);
}

/* up, down (forced) */
static void health_cell(const json_t *row, const char *key, char cell[BERTH_CELL_BYTES])
{
	bool forced = json_is_true(json_object_get(row, "health_forced"));
	snprintf(cell, BERTH_CELL_BYTES, "%s%s", text_of(row, key), forced ? " (forced)" : "");
}

static void next_hop_cell(const json_t *row, const char *key, char cell[BERTH_CELL_BYTES])
{
	const json_t *hop = json_object_get(row, key);
	if (json_is_object(hop))
		snprintf(cell, BERTH_CELL_BYTES, "%s %s", text_of(hop, "interface"), text_of(hop, "mac"));
	else
		snprintf(cell, BERTH_CELL_BYTES, "unresolved");
}

static void show_services(FILE *out, const json_t *result)
{
	static const struct berth_column columns[] = {
		{"SERVICE", "name", berth_cell_plain, false},
		{"ADDRESS", "address", service_cell, false},
		{"MODE", "mode", berth_cell_plain, false},
		{"AFFINITY", "affinity", affinity_cell, false},
		{"SCHEDULER", "scheduler", berth_cell_plain, false},
		{"UP", "backends_up", up_cell, true},
		{"PACKETS", "packets", berth_cell_plain, true},
		{"BYTES", "bytes", berth_cell_bytes, true},
		{"NEW FLOWS", "new_flows", berth_cell_plain, true},
		{"FLOWS", "flows", berth_cell_plain, true},
		{"SESSIONS", "sessions", berth_cell_plain, true},
		{"REFUSED", "refused_packets", berth_cell_plain, true},
		{"ALARM", "alarm", berth_cell_plain, false},
	};
	berth_cli_table_print(out, columns, COUNT(columns), json_object_get(result, "services"));
}

static void show_backends(FILE *out, const json_t *result)
{
	static const struct berth_column columns[] = {
		{"SERVICE", "service", berth_cell_plain, false},
		{"BACKEND", "name", berth_cell_plain, false},
		{"ADDRESS", "address", backend_cell, false},
		{"WEIGHT", "weight", berth_cell_plain, true},
		{"STATE", "state", berth_cell_list, false},
		{"HEALTH", "health", health_cell, false},
		{"SINCE", "health_age_s", berth_cell_duration, true},
		{"ELIGIBLE", "eligibility", berth_cell_list, false},
		{"PACKETS", "packets", berth_cell_plain, true},
		{"BYTES", "bytes", berth_cell_bytes, true},
		{"NEW FLOWS", "new_flows", berth_cell_plain, true},
		{"FLOWS", "flows", berth_cell_plain, true},
		{"SESSIONS", "sessions", berth_cell_plain, true},
		{"NEXT HOP", "next_hop", next_hop_cell, false},
		{"LAST CHECK", "health_reason", berth_cell_plain, false},
	};
	berth_cli_table_print(out, columns, COUNT(columns), json_object_get(result, "backends"));
}

static void show_dns(FILE *out, const json_t *result)
{
	static const struct berth_column columns[] = {
		{"NAME", "name", berth_cell_plain, false},
		{"USED BY", "used_by", berth_cell_list, false},
		{"AGE", "age_s", berth_cell_duration, true},
		{"NEXT QUERY", "next_query_s", berth_cell_duration, true},
		{"QUERIES", "queries", berth_cell_plain, true},
		{"FAILED", "failures", berth_cell_plain, true},
		{"LAST ERROR", "last_error", berth_cell_plain, false},
		{"ADDRESSES", "addresses", berth_cell_list, false},
		{"DRAINING", "draining", berth_cell_list, false},
	};
	const json_t *names = json_object_get(result, "names");
	size_t i, j;
	json_t *name, *skipped;
	berth_cli_table_print(out, columns, COUNT(columns), names);
	json_array_foreach(names, i, name) json_array_foreach(json_object_get(name, "skipped"), j, skipped) fprintf(
		out, "%s%s: %s\n", j ? "" : "no backends:\n", text_of(name, "name"), json_string_value(skipped));
}

/* {"a": {...}, "b": 3} -> [{"name": "a", ...}, {"name": "b", "count": 3}] */
static json_t *rows_of(const json_t *object)
{
	json_t *rows = json_array();
	const char *name;
	json_t *value;
	json_object_foreach((json_t *)object, name, value)
	{
		json_t *row = json_is_object(value) ? json_copy(value) : json_pack("{s:O}", "count", value);
		json_object_set_new(row, "name", json_string(name));
		json_array_append_new(rows, row);
	}
	return rows;
}

static void show_rows_of(FILE *out, const struct berth_column *columns, size_t n, const json_t *object)
{
	json_t *rows = rows_of(object);
	fputc('\n', out);
	berth_cli_table_print(out, columns, n, rows);
	json_decref(rows);
}

static void show_stats(FILE *out, const json_t *result)
{
	static const struct berth_column totals[] = {
		{"PACKETS", "name", berth_cell_plain, false},
		{"COUNT", "count", berth_cell_plain, true},
	};
	static const struct berth_column verdicts[] = {
		{"VERDICT", "name", berth_cell_plain, false},
		{"CLASS", "class", berth_cell_plain, false},
		{"COUNT", "count", berth_cell_plain, true},
	};
	static const struct berth_column events[] = {
		{"EVENT", "name", berth_cell_plain, false},
		{"COUNT", "count", berth_cell_plain, true},
	};
	static const struct berth_column tables[] = {
		{"TABLE", "name", berth_cell_plain, false},
		{"ENTRIES", "entries", berth_cell_plain, true},
		{"CAPACITY", "capacity_entries", berth_cell_plain, true},
	};
	char uptime[BERTH_CELL_BYTES];
	berth_cell_duration(result, "uptime_s", uptime);
	fprintf(out, "generation %" JSON_INTEGER_FORMAT ", berthd up %s\n", number_of(result, "generation"),
		uptime);
	show_rows_of(out, totals, COUNT(totals), json_object_get(result, "totals"));
	show_rows_of(out, verdicts, COUNT(verdicts), json_object_get(result, "verdicts"));
	show_rows_of(out, events, COUNT(events), json_object_get(result, "events"));
	show_rows_of(out, tables, COUNT(tables), json_object_get(result, "tables"));
}

static void show_drops(FILE *out, const json_t *result)
{
	static const struct berth_column columns[] = {
		{"REASON", "name", berth_cell_plain, false},
		{"COUNT", "count", berth_cell_plain, true},
		{"MEANING", "help", berth_cell_plain, false},
	};
	berth_cli_table_print(out, columns, COUNT(columns), json_object_get(result, "drops"));
}

static void show_metrics(FILE *out, const json_t *result)
{
	fputs(text_of(result, "metrics"), out);
}

static void show_admin(FILE *out, const json_t *result)
{
	const json_t *backend = json_object_get(result, "backend");
	fprintf(out,
		"%s/%s is %s and %s; %" JSON_INTEGER_FORMAT " flows and %" JSON_INTEGER_FORMAT
		" clients were there at the last count\n",
		text_of(backend, "service"), text_of(backend, "name"), text_of(backend, "admin"),
		text_of(backend, "health"), number_of(backend, "flows"), number_of(backend, "sessions"));
}

static void show_config(FILE *out, const json_t *result, const char *what)
{
	size_t i;
	json_t *warning;
	fprintf(out, "%s: %" JSON_INTEGER_FORMAT " services, %" JSON_INTEGER_FORMAT " backends", what,
		number_of(result, "services"), number_of(result, "backends"));
	if (number_of(result, "dns_names"))
		fprintf(out, ", %" JSON_INTEGER_FORMAT " DNS names", number_of(result, "dns_names"));
	fputc('\n', out);
	json_array_foreach(json_object_get(result, "warnings"), i, warning) if (json_is_string(warning))
		fprintf(out, "warning: %s\n", json_string_value(warning));
}

static void show_check(FILE *out, const json_t *result)
{
	show_config(out, result, "right, nothing changed");
}

static void show_apply(FILE *out, const json_t *result)
{
	show_config(out, result, "applied");
	if (json_is_string(json_object_get(result, "saved")))
		fprintf(out, "saved as %s\n", text_of(result, "saved"));
	else
		fprintf(out, "not saved: berthd starts with the file that it has\n");
}

static void show_doctor(FILE *out, const json_t *result)
{
	size_t i;
	json_t *check;
	json_array_foreach(json_object_get(result, "checks"), i, check)
	{
		const char *advice = json_string_value(json_object_get(check, "remedy"));
		fprintf(out, "%-7s  %s: %s%s%s\n", text_of(check, "level"), text_of(check, "subject"),
			text_of(check, "finding"), advice ? " -> " : "", advice ? advice : "");
	}
	json_int_t problems = number_of(result, "problems");
	if (problems)
		fprintf(out, "%" JSON_INTEGER_FORMAT " problem%s found\n", problems, problems == 1 ? "" : "s");
	else
		fprintf(out, "no problems found\n");
}

bool berth_cli_has_fault(enum berth_command_index command, const json_t *result)
{
	return (command == BERTH_COMMAND_doctor && number_of(result, "problems") != 0) ||
	       (command == BERTH_COMMAND_wait_drained && !json_is_true(json_object_get(result, "drained")));
}

static void show_shutdown(FILE *out, const json_t *result)
{
	(void)result;
	fprintf(out, "forwarding has stopped, berthd ends\n");
}

void berth_cli_show(FILE *out, enum berth_command_index command, const json_t *result)
{
	static void (*const views[BERTH_COMMAND_COUNT])(FILE *, const json_t *) = {
		[BERTH_COMMAND_show_services] = show_services,
		[BERTH_COMMAND_show_backends] = show_backends,
		[BERTH_COMMAND_show_dns] = show_dns,
		[BERTH_COMMAND_show_stats] = show_stats,
		[BERTH_COMMAND_show_drops] = show_drops,
		[BERTH_COMMAND_show_metrics] = show_metrics,
		[BERTH_COMMAND_backend_drain] = show_admin,
		[BERTH_COMMAND_backend_enable] = show_admin,
		[BERTH_COMMAND_backend_disable] = show_admin,
		[BERTH_COMMAND_backend_evict] = show_admin,
		[BERTH_COMMAND_wait_drained] = berth_cli_show_wait,
		[BERTH_COMMAND_plan] = berth_cli_show_plan,
		[BERTH_COMMAND_backend_health] = show_admin,
		[BERTH_COMMAND_config_check] = show_check,
		[BERTH_COMMAND_config_apply] = show_apply,
		[BERTH_COMMAND_doctor] = show_doctor,
		[BERTH_COMMAND_shutdown] = show_shutdown,
		[BERTH_COMMAND_session_pin] = berth_cli_show_session,
		[BERTH_COMMAND_session_move] = berth_cli_show_session,
		[BERTH_COMMAND_session_unpin] = berth_cli_show_cleared,
		[BERTH_COMMAND_session_clear] = berth_cli_show_cleared,
	};
	if (views[command])
		views[command](out, result);
	else
		berth_cli_show_any(out, result);
}
