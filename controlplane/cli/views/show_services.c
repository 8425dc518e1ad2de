// SPDX-License-Identifier: BSD-3-Clause
/* The tables of services and of backends. */
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

/* 100, or 40/100 where another weight than the configured one is in effect. */
static void weight_cell(const json_t *row, const char *key, char cell[BERTH_CELL_BYTES])
{
	const json_t *effective = json_object_get(row, "effective_weight");
	const double weight = json_number_value(json_object_get(row, key));
	berth_cell_plain(row, key, cell);
	if (json_is_number(effective) && json_number_value(effective) != weight)
		snprintf(cell, BERTH_CELL_BYTES, "%.6g/%.0f", json_number_value(effective), weight);
}

/* What it says, and what is wrong with it: "75%, up", "75%, up (silent)". */
static void agent_cell(const json_t *row, const char *key, char cell[BERTH_CELL_BYTES])
{
	const json_t *agent = json_object_get(row, key);
	snprintf(cell, BERTH_CELL_BYTES, "-");
	if (!json_is_object(agent))
		return;
	const bool is_refused = strncmp(berth_cli_text(agent, "last_read"), "refused: ", strlen("refused: ")) == 0;
	snprintf(cell, BERTH_CELL_BYTES, "%s%s", berth_cli_text(agent, "says"),
		 berth_cli_number(agent, "misses") == 0 ? ""
		 : is_refused				? " (refused)"
							: " (silent)");
}

static void response_cell(const json_t *row, const char *key, char cell[BERTH_CELL_BYTES])
{
	const json_t *us = json_object_get(row, key);
	snprintf(cell, BERTH_CELL_BYTES, "-");
	if (json_is_integer(us))
		snprintf(cell, BERTH_CELL_BYTES, "%.1fms", (double)json_integer_value(us) / 1000);
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

static const struct berth_column services[] = {
	{"SERVICE", "name", berth_cell_plain, BERTH_COLUMN_KEEP | BERTH_COLUMN_LEAST(20)},
	{"ADDRESS", "address", service_cell, BERTH_COLUMN_DROP(1)},
	{"MODE", "mode", berth_cell_plain, BERTH_COLUMN_DROP(12)},
	{"AFFINITY", "affinity", affinity_cell, BERTH_COLUMN_DROP(13)},
	{"SCHEDULER", "scheduler", berth_cell_plain, BERTH_COLUMN_DROP(14)},
	{"ELIGIBLE", "backends_eligible", eligible_cell, true},
	{"PACKETS/S", "rates.10s.packets_per_s", berth_cell_rate, BERTH_COLUMN_RIGHT | BERTH_COLUMN_DROP(4)},
	{"BITS/S", "rates.10s.bits_per_s", berth_cell_rate, BERTH_COLUMN_RIGHT | BERTH_COLUMN_DROP(3)},
	{"NEW/S", "rates.10s.new_flows_per_s", berth_cell_rate, BERTH_COLUMN_RIGHT | BERTH_COLUMN_DROP(5)},
	{"PACKETS", "packets", berth_cell_plain, BERTH_COLUMN_RIGHT | BERTH_COLUMN_DROP(7)},
	{"BYTES", "bytes", berth_cell_bytes, BERTH_COLUMN_RIGHT | BERTH_COLUMN_DROP(9)},
	{"NEW FLOWS", "new_flows", berth_cell_plain, BERTH_COLUMN_RIGHT | BERTH_COLUMN_DROP(10)},
	{"FLOWS", "flows", berth_cell_plain, BERTH_COLUMN_RIGHT | BERTH_COLUMN_DROP(2)},
	{"SESSIONS", "sessions", berth_cell_plain, BERTH_COLUMN_RIGHT | BERTH_COLUMN_DROP(6)},
	{"REFUSED", "refused_packets", berth_cell_plain, BERTH_COLUMN_RIGHT | BERTH_COLUMN_DROP(8)},
	{"LIMITED", "limited_packets", berth_cell_plain, BERTH_COLUMN_RIGHT | BERTH_COLUMN_DROP(11)},
	{"ALARM", "alarm", berth_cell_plain, BERTH_COLUMN_LEAST(16)},
};

static const struct berth_column backends[] = {
	{"SERVICE", "service", berth_cell_plain, BERTH_COLUMN_KEEP | BERTH_COLUMN_LEAST(16)},
	{"BACKEND", "name", berth_cell_plain, BERTH_COLUMN_KEEP | BERTH_COLUMN_LEAST(20)},
	{"ADDRESS", "address", backend_cell, BERTH_COLUMN_DROP(1)},
	{"WEIGHT", "weight", weight_cell, BERTH_COLUMN_RIGHT | BERTH_COLUMN_DROP(7)},
	{"STATE", "state", berth_cell_list, BERTH_COLUMN_KEEP | BERTH_COLUMN_LEAST(8)},
	{"HEALTH", "health", health_cell, BERTH_COLUMN_KEEP | BERTH_COLUMN_LEAST(8)},
	{"AGE", "health_age_s", berth_cell_duration, BERTH_COLUMN_RIGHT | BERTH_COLUMN_DROP(10)},
	{"RESPONSE", "response_us", response_cell, BERTH_COLUMN_RIGHT | BERTH_COLUMN_DROP(15)},
	{"AGENT", "agent", agent_cell, BERTH_COLUMN_DROP(16)},
	{"ELIGIBLE", "eligibility", berth_cell_list, BERTH_COLUMN_DROP(13)},
	{"PACKETS/S", "rates.10s.packets_per_s", berth_cell_rate, BERTH_COLUMN_RIGHT | BERTH_COLUMN_DROP(4)},
	{"BITS/S", "rates.10s.bits_per_s", berth_cell_rate, BERTH_COLUMN_RIGHT | BERTH_COLUMN_DROP(3)},
	{"NEW/S", "rates.10s.new_flows_per_s", berth_cell_rate, BERTH_COLUMN_RIGHT | BERTH_COLUMN_DROP(5)},
	{"PACKETS", "packets", berth_cell_plain, BERTH_COLUMN_RIGHT | BERTH_COLUMN_DROP(8)},
	{"BYTES", "bytes", berth_cell_bytes, BERTH_COLUMN_RIGHT | BERTH_COLUMN_DROP(9)},
	{"NEW FLOWS", "new_flows", berth_cell_plain, BERTH_COLUMN_RIGHT | BERTH_COLUMN_DROP(11)},
	{"FLOWS", "flows", berth_cell_plain, BERTH_COLUMN_RIGHT | BERTH_COLUMN_DROP(2)},
	{"SESSIONS", "sessions", berth_cell_plain, BERTH_COLUMN_RIGHT | BERTH_COLUMN_DROP(6)},
	{"NEXT HOP", "next_hop", next_hop_cell, BERTH_COLUMN_DROP(14)},
	{"LAST CHECK", "health_reason", berth_cell_plain, BERTH_COLUMN_DROP(12) | BERTH_COLUMN_LEAST(16)},
};

void berth_cli_print_services(FILE *out, const json_t *result)
{
	berth_cli_table_print(out, services, COUNT(services), json_object_get(result, "services"));
}

void berth_cli_print_backends(FILE *out, const json_t *result)
{
	berth_cli_table_print(out, backends, COUNT(backends), json_object_get(result, "backends"));
}

const struct berth_column *berth_cli_columns(enum berth_command_index command, size_t *n)
{
	*n = command == BERTH_COMMAND_show_services ? COUNT(services) : COUNT(backends);
	if (command == BERTH_COMMAND_show_services)
		return services;
	return command == BERTH_COMMAND_show_backends ? backends : NULL;
}
