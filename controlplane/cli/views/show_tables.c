// SPDX-License-Identifier: BSD-3-Clause
/* The tables of `show` commands and of `plan`. */
#include <stdint.h>
#include <string.h>

#include "controlplane/api/plural.h"
#include "controlplane/cli/cli.h"

enum {
	MAX_LOADS = 10, /* lines of a plan about services, and about backends */
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void print_dns(FILE *out, const json_t *result)
{
	static const struct berth_column columns[] = {
		{"NAME", "name", berth_cell_plain, false},
		{"USED BY", "used_by", berth_cell_list, BERTH_COLUMN_LEAST(12)},
		{"AGE", "age_s", berth_cell_duration, true},
		{"NEXT QUERY", "next_query_s", berth_cell_duration, true},
		{"QUERIES", "queries", berth_cell_plain, BERTH_COLUMN_RIGHT | BERTH_COLUMN_DROP(2)},
		{"FAILED", "failures", berth_cell_plain, true},
		{"LAST ERROR", "last_error", berth_cell_plain, BERTH_COLUMN_LEAST(12)},
		{"ADDRESSES", "addresses", berth_cell_list, BERTH_COLUMN_LEAST(15)},
		{"DRAINING", "draining", berth_cell_list, BERTH_COLUMN_DROP(1) | BERTH_COLUMN_LEAST(10)},
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

static void answer_cell(const json_t *row, const char *key, char cell[BERTH_CELL_BYTES])
{
	snprintf(cell, BERTH_CELL_BYTES, "%s", json_is_true(json_object_get(row, key)) ? "yes" : "no");
}

static void print_node(FILE *out, const json_t *result)
{
	static const struct berth_column columns[] = {
		{"SERVICE", "name", berth_cell_plain, false},
		{"ADDRESS", "address", berth_cell_plain, false},
		{"READY", "ready", answer_cell, false},
		{"ANNOUNCED", "announced", answer_cell, false},
		{"REASON", "reason", berth_cell_plain, BERTH_COLUMN_LEAST(20)},
	};
	berth_cli_print_node(out, result);
	berth_cli_table_print(out, columns, COUNT(columns), json_object_get(result, "services"));
}

static void print_drops(FILE *out, const json_t *result)
{
	static const struct berth_column columns[] = {
		{"REASON", "name", berth_cell_plain, false},
		{"COUNT", "count", berth_cell_plain, true},
		{"MEANING", "help", berth_cell_plain, BERTH_COLUMN_LEAST(20)},
	};
	size_t i, j;
	json_t *reason, *sample;
	berth_cli_table_print(out, columns, COUNT(columns), json_object_get(result, "drops"));
	json_array_foreach(json_object_get(result, "drops"), i, reason)
		json_array_foreach(json_object_get(reason, "samples"), j, sample)
	{
		berth_cli_print_time(out, berth_cli_number(sample, "time_ns"));
		fprintf(out, " %s: ", berth_cli_text(reason, "name"));
		berth_cli_print_packet(out, json_object_get(sample, "packet"));
		fputc('\n', out);
	}
}

/* Flows and sessions. */
static void exceptions_cell(const json_t *row, const char *key, char cell[BERTH_CELL_BYTES])
{
	if (!json_is_integer(json_object_get(row, key)))
		berth_cell_plain(row, key, cell);
	else
		snprintf(cell, BERTH_CELL_BYTES, "%" JSON_INTEGER_FORMAT,
			 berth_cli_number(row, key) + berth_cli_number(row, "exception_sessions"));
}

/* b361c06fbea7badd, same, other (b361c06fbea7badd) */
static void digest_cell(const json_t *row, const char *agreement, const char *key, char cell[BERTH_CELL_BYTES])
{
	const bool is_same = json_is_true(json_object_get(row, agreement));
	if (json_is_true(json_object_get(row, "this_node")))
		snprintf(cell, BERTH_CELL_BYTES, "%s", berth_cli_text(row, key));
	else if (is_same)
		snprintf(cell, BERTH_CELL_BYTES, "same");
	else
		snprintf(cell, BERTH_CELL_BYTES, "other (%s)", berth_cli_text(row, key));
}

static void config_digest_cell(const json_t *row, const char *key, char cell[BERTH_CELL_BYTES])
{
	digest_cell(row, "same_config", key, cell);
}

static void secret_digest_cell(const json_t *row, const char *key, char cell[BERTH_CELL_BYTES])
{
	digest_cell(row, "same_secret", key, cell);
}

static void print_store(FILE *out, const json_t *store)
{
	char since[BERTH_CELL_BYTES];
	const bool is_connected = json_is_true(json_object_get(store, "connected"));
	const char *error = json_string_value(json_object_get(store, "error"));
	const json_int_t refused = berth_cli_number(store, "refused_values");
	berth_cell_duration(store, "since_s", since);
	if (is_connected)
		fprintf(out, "the store %s has been connected for %s%s%s\n", berth_cli_text(store, "server"), since,
			error ? "; the last error before: " : "", error ? error : "");
	else
		fprintf(out, "the store has not been reached for %s%s%s\n", since, error ? ": " : "",
			error ? error : "");
	if (refused)
		fprintf(out, "%" JSON_INTEGER_FORMAT " value%s in the store not from nodes, ignored\n", refused,
			BERTH_PLURAL(refused));
	if (json_is_true(json_object_get(store, "name_used_twice")))
		fprintf(out, "another berthd has the name of this node\n");
}

static json_int_t sum_of(const json_t *counts)
{
	json_int_t sum = 0;
	const char *key;
	json_t *count;
	json_object_foreach((json_t *)(uintptr_t)counts, key, count)
	{
		sum += json_integer_value(count);
	}
	return sum;
}

static void print_exchange(FILE *out, const json_t *exchange)
{
	const json_t *received = json_object_get(exchange, "received");
	const json_int_t lost = berth_cli_number(exchange, "lost"), refused = berth_cli_number(exchange, "refused");
	const json_int_t told = sum_of(json_object_get(exchange, "told"));
	fprintf(out,
		"exceptions: %" JSON_INTEGER_FORMAT " record%s told, %" JSON_INTEGER_FORMAT
		" received (%" JSON_INTEGER_FORMAT " inserted)%s\n",
		told, BERTH_PLURAL(told), sum_of(received),
		berth_cli_number(received, "inserted") + berth_cli_number(received, "replaced"),
		json_is_true(json_object_get(exchange, "synchronised")) ? "; synchronised"
									: "; not synchronised yet");
	if (berth_cli_number(exchange, "received_services") < berth_cli_number(exchange, "services"))
		fprintf(out,
			"received of %" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT
			" services and groups: this node does not announce the others\n",
			berth_cli_number(exchange, "received_services"), berth_cli_number(exchange, "services"));
	if (berth_cli_number(exchange, "lag_s"))
		fprintf(out, "records have waited for the store for %" JSON_INTEGER_FORMAT " s\n",
			berth_cli_number(exchange, "lag_s"));
	if (lost || refused)
		fprintf(out,
			"%" JSON_INTEGER_FORMAT " exceptions found no room, %" JSON_INTEGER_FORMAT
			" records were refused: see berthctl doctor\n",
			lost, refused);
}

/* "web/b1 admin draining, by uid 0 on node lb1 2m ago" */
static void print_set(FILE *out, const json_t *row)
{
	const char *client = json_string_value(json_object_get(row, "client"));
	const char *group = json_string_value(json_object_get(row, "group"));
	char age[BERTH_CELL_BYTES];
	berth_cell_duration(row, "age_s", age);
	fprintf(out, "  %s%s%s %s %s, by %s on node %s %s ago%s\n", group ? group : berth_cli_text(row, "service"),
		client ? " " : "/", client ? client : berth_cli_text(row, "backend"), berth_cli_text(row, "set"),
		berth_cli_text(row, client ? "backend" : "value"), berth_cli_text(row, "by"),
		berth_cli_text(row, "node"), age,
		json_is_true(json_object_get(row, "local")) ? ", on this node alone" : "");
}

static void print_operators(FILE *out, const json_t *operators)
{
	const json_t *received = json_object_get(operators, "received");
	const json_int_t refused = berth_cli_number(received, "refused") + berth_cli_number(received, "no-room");
	const json_t *set = json_object_get(operators, "set");
	size_t i;
	json_t *row;
	if (berth_cli_number(operators, "records"))
		fprintf(out, "set by operators: %" JSON_INTEGER_FORMAT "\n",
			berth_cli_number(operators, "records"));
	json_array_foreach(set, i, row) print_set(out, row);
	if (berth_cli_number(operators, "records") > (json_int_t)i)
		fprintf(out, "  ...\n");
	if (refused)
		fprintf(out,
			"%" JSON_INTEGER_FORMAT
			" records of operators' commands were refused: see berthctl doctor\n",
			refused);
}

static void print_cluster(FILE *out, const json_t *result)
{
	static const struct berth_column columns[] = {
		{"NODE", "name", berth_cell_plain, false},
		{"SEEN", "seen_s", berth_cell_duration, true},
		{"CONFIGURATION", "config_digest", config_digest_cell, false},
		{"SECRET", "secret_digest", secret_digest_cell, false},
		{"EXCEPTIONS", "exception_flows", exceptions_cell, true},
	};
	const char *cluster = json_string_value(json_object_get(result, "cluster"));
	const json_t *store = json_object_get(result, "store");
	berth_cli_table_print(out, columns, COUNT(columns), json_object_get(result, "nodes"));
	if (cluster)
		fprintf(out, "\nthis is node %s of cluster %s\n", berth_cli_text(result, "node"), cluster);
	else
		fprintf(out, "\nno cluster: the configuration has no key cluster\n");
	if (json_is_object(store))
		print_store(out, store);
	if (json_is_object(json_object_get(result, "exchange")))
		print_exchange(out, json_object_get(result, "exchange"));
	print_operators(out, json_object_get(result, "operators"));
}

/* A dash for 0, so that changes stand out. */
static void count_cell(const json_t *row, const char *key, char cell[BERTH_CELL_BYTES])
{
	if (berth_cli_number(row, key))
		berth_cell_plain(row, key, cell);
	else
		snprintf(cell, BERTH_CELL_BYTES, "-");
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

/* What other nodes of a cluster cannot compute. */
static void print_exceptions(FILE *out, const json_t *result)
{
	const json_int_t before = berth_cli_number(result, "exceptions");
	const json_int_t after = berth_cli_number(result, "exceptions_after");
	if (before || after)
		fprintf(out,
			"of those that stay, %" JSON_INTEGER_FORMAT " are exceptions, and %" JSON_INTEGER_FORMAT
			" would be\n",
			before, after);
}

static void print_use(FILE *out, const json_t *capacity, const char *what, const char *separator)
{
	const json_t *use = json_object_get(capacity, what);
	fprintf(out, "%s%s %" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT, separator, what,
		berth_cli_number(use, "used"), berth_cli_number(use, "limit"));
}

/* Backends that would take no new flows, or fewer; the JSON has all of them. */
static void print_loads(FILE *out, const json_t *backends)
{
	size_t i, n = 0;
	json_t *backend;
	json_array_foreach(backends, i, backend)
	{
		const char *load = berth_cli_text(backend, "load_after");
		if (strcmp(load, "-") == 0 || n++ >= MAX_LOADS)
			continue;
		const json_int_t flows = berth_cli_number(backend, "flows_after");
		fprintf(out, "%s/%s would be %s with %" JSON_INTEGER_FORMAT " flow%s\n",
			berth_cli_text(backend, "service"), berth_cli_text(backend, "name"),
			strcmp(load, "at-limit") == 0 ? "at its limit (max-flows)" : "over its share (bounded)",
			flows, BERTH_PLURAL(flows));
	}
	if (n > MAX_LOADS)
		fprintf(out, "and %zu more backends; -j has all\n", n - MAX_LOADS);
}

/* Of backends in a slow start, or by what their agents say; the JSON has all of them. */
static void print_weights(FILE *out, const json_t *backends)
{
	size_t i, n = 0;
	json_t *backend;
	json_array_foreach(backends, i, backend)
	{
		const json_int_t weight = berth_cli_number(backend, "weight");
		const double effective = json_number_value(json_object_get(backend, "effective_weight"));
		if (effective == (double)weight || n++ >= MAX_LOADS)
			continue;
		fprintf(out, "%s/%s would have weight %.6g of %" JSON_INTEGER_FORMAT "\n",
			berth_cli_text(backend, "service"), berth_cli_text(backend, "name"), effective, weight);
	}
	if (n > MAX_LOADS)
		fprintf(out, "and %zu more backends with another weight than the configured one; -j has all\n",
			n - MAX_LOADS);
}

/* Of backends with the scheduler response-time; the JSON has all of them. */
static void print_responses(FILE *out, const json_t *backends)
{
	size_t i, n = 0;
	json_t *backend;
	json_array_foreach(backends, i, backend)
	{
		if (!json_is_integer(json_object_get(backend, "response_us")) || n++ >= MAX_LOADS)
			continue;
		fprintf(out, "%s/%s answers in %.1f ms (%s) and would have load %" JSON_INTEGER_FORMAT "\n",
			berth_cli_text(backend, "service"), berth_cli_text(backend, "name"),
			(double)berth_cli_number(backend, "response_us") / 1000,
			berth_cli_text(backend, "response_from"), berth_cli_number(backend, "weighted_load_after"));
	}
	if (n > MAX_LOADS)
		fprintf(out, "and %zu more backends with a response time; -j has all\n", n - MAX_LOADS);
}

static void print_capacity(FILE *out, const json_t *result)
{
	const json_t *capacity = json_object_get(result, "capacity");
	size_t i;
	json_t *service;
	fputs("after it: ", out);
	print_use(out, capacity, "flows", "");
	print_use(out, capacity, "sessions", ", ");
	print_use(out, capacity, "services", ", ");
	print_use(out, capacity, "backends", ", ");
	fputc('\n', out);
	json_array_foreach(json_object_get(capacity, "max_flows"), i, service)
	{
		if (i < MAX_LOADS)
			fprintf(out,
				"service %s has room for %" JSON_INTEGER_FORMAT " flows (max-flows), and has "
				"%" JSON_INTEGER_FORMAT "\n",
				berth_cli_text(service, "service"), berth_cli_number(service, "limit"),
				berth_cli_number(service, "used"));
	}
	print_loads(out, json_object_get(result, "backends"));
	print_weights(out, json_object_get(result, "backends"));
	print_responses(out, json_object_get(result, "backends"));
}

static void print_plan(FILE *out, const json_t *result)
{
	static const struct berth_column columns[] = {
		{"SERVICE", "service", berth_cell_plain, false},
		{"BACKEND", "name", berth_cell_plain, false},
		{"CHANGE", "change", berth_cell_plain, false},
		{"FLOWS", "tracked_flows", count_cell, BERTH_COLUMN_RIGHT | BERTH_COLUMN_DROP(1)},
		{"LEAVING", "leaving_flows", count_cell, true},
		{"ARRIVING", "arriving_flows", count_cell, BERTH_COLUMN_RIGHT | BERTH_COLUMN_DROP(2)},
		{"SESSIONS", "sessions", count_cell, BERTH_COLUMN_RIGHT | BERTH_COLUMN_DROP(3)},
		{"LEAVING", "leaving_sessions", count_cell, true},
		{"ARRIVING", "arriving_sessions", count_cell, BERTH_COLUMN_RIGHT | BERTH_COLUMN_DROP(4)},
		{"CLEARED", "cleared_sessions", count_cell, true},
		{"HEALTH", "unknown_until_probed", unprobed_cell, BERTH_COLUMN_DROP(5)},
	};
	size_t i;
	json_t *change;
	json_array_foreach(json_object_get(result, "changes"), i, change) berth_cli_print_change(out, change);
	if (i)
		fputc('\n', out);
	berth_cli_table_print(out, columns, COUNT(columns), json_object_get(result, "backends"));
	const json_int_t flows = berth_cli_number(result, "moved_flows");
	const json_int_t sessions = berth_cli_number(result, "moved_sessions");
	const json_int_t cleared = berth_cli_number(result, "cleared_sessions");
	fprintf(out,
		"\n%" JSON_INTEGER_FORMAT " flow%s and %" JSON_INTEGER_FORMAT
		" session%s would move, %" JSON_INTEGER_FORMAT " session%s would be cleared; nothing was changed\n",
		flows, BERTH_PLURAL(flows), sessions, BERTH_PLURAL(sessions), cleared, BERTH_PLURAL(cleared));
	print_capacity(out, result);
	print_exceptions(out, result);
	print_engine_change(out, result);
	berth_cli_print_warnings(out, result);
}

berth_cli_view_fn *berth_cli_table_view(enum berth_command_index command)
{
	static berth_cli_view_fn *const views[BERTH_COMMAND_COUNT] = {
		[BERTH_COMMAND_show_services] = berth_cli_print_services,
		[BERTH_COMMAND_show_backends] = berth_cli_print_backends,
		[BERTH_COMMAND_show_dns] = print_dns,
		[BERTH_COMMAND_show_stats] = print_stats,
		[BERTH_COMMAND_show_drops] = print_drops,
		[BERTH_COMMAND_show_cluster] = print_cluster,
		[BERTH_COMMAND_plan] = print_plan,
		[BERTH_COMMAND_show_node] = print_node,
	};
	return views[command];
}
