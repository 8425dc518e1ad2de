// SPDX-License-Identifier: BSD-3-Clause
/* The tables of `show` commands and of `plan`. */
#include <stdint.h>
#include <string.h>

#include "controlplane/cli/cli.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* 203.0.113.10, or [2001:db8::10] before a port. */
static void host_cell(const char *address, bool has_port, char cell[BERTH_CELL_BYTES])
{
	bool brackets = has_port && strchr(address, ':') != NULL;
	snprintf(cell, BERTH_CELL_BYTES, "%s%s%s", brackets ? "[" : "", address, brackets ? "]" : "");
}

/* tcp 203.0.113.10:80, udp [2001:db8::/64]:8000-8099, tcp 203.0.113.0/28:any */
static void service_cell(const json_t *row, const char *key, char cell[BERTH_CELL_BYTES])
{
	char host[BERTH_CELL_BYTES], ports[64];
	json_int_t first = berth_cli_number(row, "port"), last = berth_cli_number(row, "last_port");
	host_cell(berth_cli_text(row, key), true, host);
	if (first == 0 && last == UINT16_MAX)
		snprintf(ports, sizeof(ports), "any");
	else if (last > first)
		snprintf(ports, sizeof(ports), "%" JSON_INTEGER_FORMAT "-%" JSON_INTEGER_FORMAT, first, last);
	else
		snprintf(ports, sizeof(ports), "%" JSON_INTEGER_FORMAT, first);
	snprintf(cell, BERTH_CELL_BYTES, "%s %s:%s", berth_cli_text(row, "protocol"), host, ports);
}

/* 192.0.2.11, or 192.0.2.11:8080 where its port differs from the service's. */
static void backend_cell(const json_t *row, const char *key, char cell[BERTH_CELL_BYTES])
{
	bool has_port = json_is_integer(json_object_get(row, "port"));
	host_cell(berth_cli_text(row, key), has_port, cell);
	size_t used = strlen(cell);
	if (has_port)
		snprintf(cell + used, BERTH_CELL_BYTES - used, ":%" JSON_INTEGER_FORMAT,
			 berth_cli_number(row, "port"));
}

/* Eligible backends / all backends. */
static void eligible_cell(const json_t *row, const char *key, char cell[BERTH_CELL_BYTES])
{
	snprintf(cell, BERTH_CELL_BYTES, "%" JSON_INTEGER_FORMAT "/%" JSON_INTEGER_FORMAT,
		 berth_cli_number(row, key), berth_cli_number(row, "backends"));
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

/* up, down (forced, checks: up), up (stale) */
static void health_cell(const json_t *row, const char *key, char cell[BERTH_CELL_BYTES])
{
	bool forced = json_is_true(json_object_get(row, "health_forced"));
	const char *error = json_string_value(json_object_get(row, "health_error"));
	const char *by_checks = berth_cli_text(row, "health_by_checks");
	snprintf(cell, BERTH_CELL_BYTES, "%s%s%s%s%s%s%s", berth_cli_text(row, key),
		 forced ? " (forced, checks: " : "", forced ? by_checks : "", forced ? ")" : "", error ? " (" : "",
		 error ? error : "", error ? ")" : "");
}

static void next_hop_cell(const json_t *row, const char *key, char cell[BERTH_CELL_BYTES])
{
	const json_t *hop = json_object_get(row, key);
	if (json_is_object(hop))
		snprintf(cell, BERTH_CELL_BYTES, "%s %s", berth_cli_text(hop, "interface"),
			 berth_cli_text(hop, "mac"));
	else
		snprintf(cell, BERTH_CELL_BYTES, "unresolved");
}

static void print_services(FILE *out, const json_t *result)
{
	static const struct berth_column columns[] = {
		{"SERVICE", "name", berth_cell_plain, false},
		{"ADDRESS", "address", service_cell, false},
		{"MODE", "mode", berth_cell_plain, false},
		{"AFFINITY", "affinity", affinity_cell, false},
		{"SCHEDULER", "scheduler", berth_cell_plain, false},
		{"ELIGIBLE", "backends_eligible", eligible_cell, true},
		{"PACKETS", "packets", berth_cell_plain, true},
		{"BYTES", "bytes", berth_cell_bytes, true},
		{"NEW FLOWS", "new_flows", berth_cell_plain, true},
		{"FLOWS", "flows", berth_cell_plain, true},
		{"SESSIONS", "sessions", berth_cell_plain, true},
		{"REFUSED", "refused_packets", berth_cell_plain, true},
		{"LIMITED", "limited_packets", berth_cell_plain, true},
		{"ALARM", "alarm", berth_cell_plain, false},
	};
	berth_cli_table_print(out, columns, COUNT(columns), json_object_get(result, "services"));
}

static void print_backends(FILE *out, const json_t *result)
{
	static const struct berth_column columns[] = {
		{"SERVICE", "service", berth_cell_plain, false},
		{"BACKEND", "name", berth_cell_plain, false},
		{"ADDRESS", "address", backend_cell, false},
		{"WEIGHT", "weight", berth_cell_plain, true},
		{"STATE", "state", berth_cell_list, false},
		{"HEALTH", "health", health_cell, false},
		{"AGE", "health_age_s", berth_cell_duration, true},
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

static void print_dns(FILE *out, const json_t *result)
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
	json_array_foreach(names, i, name) json_array_foreach(json_object_get(name, "skipped"), j, skipped)
		fprintf(out, "%s%s: %s\n", j ? "" : "addresses not used:\n", berth_cli_text(name, "name"),
			json_string_value(skipped));
}

/* {"a": {...}, "b": 3} -> [{"name": "a", ...}, {"name": "b", "count": 3}] */
static json_t *members(const json_t *object)
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

static void print_members(FILE *out, const struct berth_column *columns, size_t n, const json_t *object)
{
	json_t *rows = members(object);
	fputc('\n', out);
	berth_cli_table_print(out, columns, n, rows);
	json_decref(rows);
}

static void print_stats(FILE *out, const json_t *result)
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
		{"UNCONFIRMED", "unconfirmed_entries", berth_cell_plain, true},
		{"CAPACITY", "capacity_entries", berth_cell_plain, true},
	};
	char uptime[BERTH_CELL_BYTES];
	berth_cell_duration(result, "uptime_s", uptime);
	fprintf(out, "generation %" JSON_INTEGER_FORMAT ", berthd up %s\n", berth_cli_number(result, "generation"),
		uptime);
	print_members(out, totals, COUNT(totals), json_object_get(result, "packets"));
	print_members(out, verdicts, COUNT(verdicts), json_object_get(result, "verdicts"));
	print_members(out, events, COUNT(events), json_object_get(result, "events"));
	print_members(out, tables, COUNT(tables), json_object_get(result, "tables"));
}

static void print_drops(FILE *out, const json_t *result)
{
	static const struct berth_column columns[] = {
		{"REASON", "name", berth_cell_plain, false},
		{"COUNT", "count", berth_cell_plain, true},
		{"MEANING", "help", berth_cell_plain, false},
	};
	berth_cli_table_print(out, columns, COUNT(columns), json_object_get(result, "drops"));
}

/* A dash for 0, so that changes stand out. */
static void count_cell(const json_t *row, const char *key, char cell[BERTH_CELL_BYTES])
{
	if (berth_cli_number(row, key))
		berth_cell_plain(row, key, cell);
	else
		snprintf(cell, BERTH_CELL_BYTES, "-");
}

/* "web/b1: weight 100 -> 50 (its flows and sessions stay; ...)" */
static void print_change(FILE *out, const json_t *change)
{
	const char *service = json_string_value(json_object_get(change, "service"));
	const char *backend = json_string_value(json_object_get(change, "backend"));
	const char *key = json_string_value(json_object_get(change, "key"));
	const char *before = json_string_value(json_object_get(change, "before"));
	const char *effect = json_string_value(json_object_get(change, "effect"));
	if (service)
		fprintf(out, "%s%s%s: ", service, backend ? "/" : "", backend ? backend : "");
	if (before)
		fprintf(out, "%s %s -> %s", key, before, berth_cli_text(change, "after"));
	else
		fprintf(out, "%s%s%s", key ? key : "", key ? " " : "", berth_cli_text(change, "change"));
	if (effect)
		fprintf(out, " (%s)", effect);
	fputc('\n', out);
}

static void unprobed_cell(const json_t *row, const char *key, char cell[BERTH_CELL_BYTES])
{
	snprintf(cell, BERTH_CELL_BYTES, "%s",
		 json_is_true(json_object_get(row, key)) ? "unknown until probed" : "-");
}

static void print_pause(FILE *out, const json_t *result, const char *what)
{
	fprintf(out, "%s: packets stop for about %" JSON_INTEGER_FORMAT " ms%s; flows and sessions are kept\n",
		what, berth_cli_number(result, "engine_pause_ms"),
		json_is_true(json_object_get(result, "engine_pause_measured"))
			? ", as at its last restart"
			: " (assumed, no restart was measured yet)");
}

static void print_engine_change(FILE *out, const json_t *result)
{
	const char *change = berth_cli_text(result, "engine_change");
	if (strcmp(change, "live") == 0)
		fprintf(out, "the engine would take other interfaces while it forwards\n");
	else if (strcmp(change, "tables") == 0)
		fprintf(out,
			"the engine would take tables of other sizes while it forwards; flows and sessions are "
			"kept\n");
	else if (strcmp(change, "restart") == 0)
		print_pause(out, result, "berth-dpdk would be restarted");
	else if (strcmp(change, "engine") == 0)
		print_pause(out, result, "the other engine would take over");
}

static void print_plan(FILE *out, const json_t *result)
{
	static const struct berth_column columns[] = {
		{"SERVICE", "service", berth_cell_plain, false},
		{"BACKEND", "name", berth_cell_plain, false},
		{"CHANGE", "change", berth_cell_plain, false},
		{"FLOWS", "tracked_flows", count_cell, true},
		{"LEAVING", "leaving_flows", count_cell, true},
		{"ARRIVING", "arriving_flows", count_cell, true},
		{"SESSIONS", "sessions", count_cell, true},
		{"LEAVING", "leaving_sessions", count_cell, true},
		{"ARRIVING", "arriving_sessions", count_cell, true},
		{"CLEARED", "cleared_sessions", count_cell, true},
		{"HEALTH", "unknown_until_probed", unprobed_cell, false},
	};
	size_t i;
	json_t *change;
	json_array_foreach(json_object_get(result, "changes"), i, change) print_change(out, change);
	if (i)
		fputc('\n', out);
	berth_cli_table_print(out, columns, COUNT(columns), json_object_get(result, "backends"));
	fprintf(out,
		"\n%" JSON_INTEGER_FORMAT " flows and %" JSON_INTEGER_FORMAT
		" sessions would move, %" JSON_INTEGER_FORMAT " sessions would be cleared; nothing was changed\n",
		berth_cli_number(result, "moved_flows"), berth_cli_number(result, "moved_sessions"),
		berth_cli_number(result, "cleared_sessions"));
	print_engine_change(out, result);
	berth_cli_print_warnings(out, result);
}

berth_cli_view_fn *berth_cli_table_view(enum berth_command_index command)
{
	static berth_cli_view_fn *const views[BERTH_COMMAND_COUNT] = {
		[BERTH_COMMAND_show_services] = print_services, [BERTH_COMMAND_show_backends] = print_backends,
		[BERTH_COMMAND_show_dns] = print_dns,		[BERTH_COMMAND_show_stats] = print_stats,
		[BERTH_COMMAND_show_drops] = print_drops,	[BERTH_COMMAND_plan] = print_plan,
	};
	return views[command];
}
