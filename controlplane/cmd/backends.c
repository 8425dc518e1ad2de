// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/cmd/cmd.h"
#include "controlplane/cmd/show/rates.h"
#include "controlplane/cmd/show/rows.h"
#include "controlplane/config/schema.h"
#include "controlplane/model/path_mtu.h"
#include "controlplane/tables/usage.h"
#include "controlplane/util/address.h"
#include "controlplane/util/clock.h"
#include "controlplane/util/duration.h"

enum {
	MOST_SEEN = 20000, /* backends that one page looks at */
};

static json_t *eligibility_json(const struct berth_model_backend *backend)
{
	static const struct {
		uint8_t bit;
		const char *word;
	} eligibility[] = {{BERTH_ELIGIBLE_FLOWS, "flows"},
			   {BERTH_ELIGIBLE_SESSIONS, "sessions"},
			   {BERTH_ELIGIBLE_NEW, "new"}};
	uint8_t bits = berth_model_eligibility(backend);
	json_t *words = json_array();
	for (size_t i = 0; i < sizeof(eligibility) / sizeof(eligibility[0]); i++)
		if (bits & eligibility[i].bit)
			json_array_append_new(words, json_string(eligibility[i].word));
	return words;
}

/* Whether it is out of use for new clients because of what its agent says. */
static bool is_by_agent(const struct berth_model_backend *backend)
{
	return berth_model_admin(backend) != backend->admin ||
	       (backend->forced == BERTH_FORCED_NOT && berth_model_health(backend) != backend->health) ||
	       (backend->config.weight && berth_model_weight_hundredths(backend) == 0);
}

/* The conditions that limit a backend; empty for one in normal use. */
static json_t *states_json(const struct berth_model_service *service, const struct berth_model_backend *backend)
{
	const enum berth_admin admin = berth_model_admin(backend);
	const struct {
		bool is;
		const char *word;
	} states[] = {
		{admin != BERTH_ADMIN_ENABLED, berth_admin_name(admin)},
		{admin == BERTH_ADMIN_ENABLED && berth_model_weight_hundredths(backend) == 0, "draining"},
		{is_by_agent(backend), "by-agent"},
		{backend->load & BERTH_OVER_SHARE, "over-share"},
		{backend->load & BERTH_AT_LIMIT, "at-limit"},
		{backend->slow_start_since_ms != 0, "slow-start"},
		{backend->is_kept, "panic"},
		{backend->is_kept_for_clients, "after-panic"},
		{berth_path_mtu(service, backend) < backend->next_hop.mtu, "small-mtu"},
	};
	json_t *words = json_array();
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		if (states[i].is)
			json_array_append_new(words, json_string(states[i].word));
	return words;
}

static json_t *next_hop_json(const struct berth_config *config, const struct berth_next_hop *hop)
{
	if (!hop->is_resolved)
		return json_null();
	char mac[sizeof("00:00:00:00:00:00")];
	snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", hop->dst_mac[0], hop->dst_mac[1],
		 hop->dst_mac[2], hop->dst_mac[3], hop->dst_mac[4], hop->dst_mac[5]);
	const char *interface = hop->port < config->n_interfaces ? config->interfaces[hop->port].name : NULL;
	return json_pack("{s:s, s:s?, s:i}", "mac", mac, "interface", interface, "mtu", hop->mtu);
}

static json_t *path_mtu_json(const struct berth_model_service *service, const struct berth_model_backend *backend)
{
	return backend->next_hop.is_resolved ? json_integer(berth_path_mtu(service, backend)) : json_null();
}

static json_t *health_json(const struct berth_daemon_state *state, const struct berth_model_backend *backend)
{
	static const char *const errors[] = {[BERTH_HEALTH_NO_ERROR] = NULL,
					     [BERTH_HEALTH_MISCONFIGURED] = "misconfigured",
					     [BERTH_HEALTH_HOST_ERROR] = "stale"};
	struct berth_health_status status;
	const char *name = berth_health_name(berth_model_health(backend));
	const char *by_checks = berth_health_name(backend->health);
	bool forced = backend->forced != BERTH_FORCED_NOT;
	if (!berth_health_get(state->health, backend->id, &status))
		return json_pack("{s:s, s:b, s:s, s:n, s:n, s:n}", "health", name, "health_forced", forced,
				 "health_by_checks", by_checks, "health_error", "health_reason", "health_age_s");
	json_t *since = status.up < 0 ? json_null() : berth_cmd_count((berth_clock_ms() - status.since_ms) / 1000);
	return json_pack("{s:s, s:b, s:s, s:s?, s:s?, s:o}", "health", name, "health_forced", forced,
			 "health_by_checks", by_checks, "health_error", errors[status.error], "health_reason",
			 status.reason[0] ? status.reason : NULL, "health_age_s", since);
}

/* null: its service has no agent. */
static json_t *agent_json(const struct berth_daemon_state *state, const struct berth_model_backend *backend)
{
	struct berth_agent_status status;
	char says[BERTH_AGENT_REASON_BYTES];
	if (!berth_health_get_agent(state->health, backend->id, &status))
		return json_null();
	berth_agent_format(&backend->agent.said, says);
	json_t *age = status.spoken_ms ? berth_cmd_count((berth_clock_ms() - status.spoken_ms) / 1000)
				       : json_null();
	return json_pack("{s:s, s:s?, s:o, s:s, s:o, s:o, s:o, s:o}", "says", says, "line",
			 status.spoken_ms ? status.line : NULL, "line_age_s", age, "last_read", status.reason,
			 "lines", berth_cmd_count(status.lines), "refused", berth_cmd_count(status.refused),
			 "silences", berth_cmd_count(status.silences), "misses", berth_cmd_count(status.misses));
}

json_t *berth_cmd_effective_weight(const struct berth_model_backend *backend)
{
	return json_real(berth_model_weight_hundredths(backend) / 100.0);
}

static json_t *response_json(const struct berth_daemon_state *state, const struct berth_model_backend *backend)
{
	const bool is_by_connections = backend->is_by_connections && backend->response_us;
	const uint32_t us = is_by_connections ? backend->response_us
					      : berth_health_response_us(state->health, backend->id);
	return json_pack("{s:o, s:s?}", "response_us", us ? json_integer(us) : json_null(), "response_from",
			 berth_cmd_response_from(us, is_by_connections));
}

static json_t *usage_json(const struct berth_daemon_state *state, const struct berth_model_backend *backend)
{
	struct berth_usage usage;
	berth_usage_backend(state->scan, backend, &usage);
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "packets", berth_cmd_count(usage.tally.packets), "bytes",
			 berth_cmd_count(usage.tally.bytes), "new_flows", berth_cmd_count(usage.tally.flows),
			 "flows", berth_cmd_count(usage.flows), "closing_flows", berth_cmd_count(usage.closing),
			 "sessions", berth_cmd_count(usage.sessions));
}

static const struct berth_operator_record *find_set(const struct berth_daemon_state *state,
						    const struct berth_model_service *service,
						    const struct berth_model_backend *backend,
						    enum berth_operator_kind kind)
{
	struct berth_operator_record key = {.kind = kind};
	memcpy(key.service, service->config.name, sizeof(key.service));
	memcpy(key.backend, backend->config.name, sizeof(key.backend));
	return berth_operator_set_find(state->operators.set, &key);
}

/* Who has set its admin state or health, and on which node of the cluster: the last one. */
static json_t *set_by_json(const struct berth_daemon_state *state, const struct berth_model_service *service,
			   const struct berth_model_backend *backend)
{
	const struct berth_operator_record *admin = NULL, *health = NULL;
	if (backend->admin != BERTH_ADMIN_ENABLED)
		admin = find_set(state, service, backend, BERTH_OPERATOR_ADMIN);
	if (backend->forced != BERTH_FORCED_NOT)
		health = find_set(state, service, backend, BERTH_OPERATOR_HEALTH);
	const struct berth_operator_record *last = !admin || (health && health->time_ms > admin->time_ms) ? health
													  : admin;
	return last ? json_sprintf("%s on node %s", last->by, last->node) : json_null();
}

json_t *berth_cmd_backend(const struct berth_daemon_state *state, const struct berth_model_service *service,
			  const struct berth_model_backend *backend)
{
	const struct berth_backend_config *config = &backend->config;
	char address[BERTH_ADDRESS_TEXT];
	/* null: the port of the service. */
	json_t *port = config->port ? json_integer(config->port) : json_null();
	json_t *row = json_pack("{s:s, s:s, s:s, s:o, s:I, s:s, s:o, s:o, s:o, s:o, s:o}", "service",
				service->config.name, "name", config->name, "address",
				berth_address_format(&config->address, address), "port", port, "weight",
				(json_int_t)config->weight, "admin", berth_admin_name(backend->admin), "state",
				states_json(service, backend), "eligibility", eligibility_json(backend), "next_hop",
				next_hop_json(state->model->config, &backend->next_hop), "path_mtu",
				path_mtu_json(service, backend), "set_by", set_by_json(state, service, backend));
	row = berth_cmd_merge(row, health_json(state, backend));
	if (row)
		json_object_set_new(row, "rates", berth_cmd_backend_rates(state, backend));
	if (row)
		json_object_set_new(row, "effective_weight", berth_cmd_effective_weight(backend));
	if (row)
		json_object_set_new(row, "agent", agent_json(state, backend));
	row = berth_cmd_merge(row, response_json(state, backend));
	return berth_cmd_merge(row, usage_json(state, backend));
}

/* A page of backends under way. Cursors count the backends of all services, whatever the filter. */
struct page {
	const struct berth_daemon_state *state;
	struct berth_cmd_filter filter;
	json_t *rows;
	uint64_t at;   /* the next backend that it looks at */
	uint64_t seen; /* backends that it has looked at */
};

static bool is_full(const struct page *page)
{
	return json_array_size(page->rows) == BERTH_WIRE_ROWS || page->seen == MOST_SEEN;
}

/* Adds backends of a service from the one with cursor page->at; `first`: the cursor of its first backend. */
static void add_backends(struct page *page, const struct berth_model_service *service, uint64_t first)
{
	for (; page->at < first + service->n_backends && !is_full(page); page->at++, page->seen++) {
		const struct berth_model_backend *backend = &service->backends[page->at - first];
		if (berth_cmd_filter_backend(&page->filter, backend))
			json_array_append_new(page->rows, berth_cmd_backend(page->state, service, backend));
	}
}

enum berth_code berth_cmd_show_backends(const struct berth_cmd_context *context, const json_t *arguments,
					json_t **result, char error[BERTH_ERROR_BYTES])
{
	const struct berth_model *model = context->state->model;
	struct page page = {.state = context->state};
	uint64_t first = 0;
	enum berth_code code = berth_cmd_parse_filter(context, arguments, &page.filter, error);
	if (!code)
		code = berth_cmd_parse_cursor(arguments, &page.at, error);
	if (code)
		return code;
	page.rows = json_array();
	for (size_t i = 0; i < model->n_services; first += model->services[i++].n_backends) {
		if (is_full(&page) || page.at >= first + model->services[i].n_backends)
			continue;
		if (berth_cmd_filter_service(&page.filter, &model->services[i]))
			add_backends(&page, &model->services[i], first);
		else
			page.at = first + model->services[i].n_backends;
	}
	*result = json_pack("{s:o, s:o}", "backends", page.rows, "next", berth_cmd_cursor(page.at, first));
	return BERTH_CODE_OK;
}

/* The result of an action: the new state of the backend. `err`: of the action. */
static enum berth_code backend_result(const struct berth_cmd_context *context, const char *service,
				      const char *name, int err, json_t **result)
{
	if (err)
		return err == -ENOENT ? BERTH_CODE_NOT_FOUND : BERTH_CODE_INTERNAL;
	struct berth_model_service *found = berth_model_service(context->state->model, service);
	struct berth_model_backend *backend = found ? berth_model_backend(found, name) : NULL;
	*result = backend ? json_pack("{s:o}", "backend", berth_cmd_backend(context->state, found, backend)) : NULL;
	berth_cmd_add_scope(context, *result);
	return berth_cmd_answer_in_force(context, result);
}

enum berth_code berth_cmd_parse_duration(const json_t *arguments, const char *name, uint64_t *ms,
					 char error[BERTH_ERROR_BYTES])
{
	const char *text = berth_cmd_text(arguments, name);
	int64_t value = text ? berth_duration_parse(text) : 0;
	*ms = (uint64_t)value;
	if (text && (value < 1000 || value > BERTH_MAX_TIMEOUT * INT64_C(1000)))
		return berth_cmd_fail(
			error, BERTH_CODE_INVALID,
			"invalid %s \"%.32s\"; write a whole number with its unit (ms, s, m or h), from 1s "
			"to 24h",
			name, text);
	return BERTH_CODE_OK;
}

static enum berth_code set_admin(const struct berth_cmd_context *context, const json_t *arguments,
				 enum berth_admin admin, json_t **result, char error[BERTH_ERROR_BYTES])
{
	uint64_t deadline_ms = 0;
	char service[BERTH_NAME_BYTES];
	const char *backend = NULL;
	enum berth_code code = berth_cmd_parse_backend(arguments, service, &backend, error);
	if (!code)
		code = berth_cmd_parse_duration(arguments, "deadline", &deadline_ms, error);
	if (code)
		return code;
	const struct berth_cmd_origin origin = berth_cmd_origin(context);
	int err = context->actions->set_admin(context->daemon, service, backend, admin, deadline_ms, &origin,
					      error);
	return backend_result(context, service, backend, err, result);
}

enum berth_code berth_cmd_backend_health(const struct berth_cmd_context *context, const json_t *arguments,
					 json_t **result, char error[BERTH_ERROR_BYTES])
{
	static const char *const words[] = {
		[BERTH_FORCED_NOT] = "auto", [BERTH_FORCED_UP] = "up", [BERTH_FORCED_DOWN] = "down"};
	const char *word = berth_cmd_text(arguments, "health"), *backend = NULL;
	char service[BERTH_NAME_BYTES];
	enum berth_forced forced = BERTH_FORCED_NOT;
	enum berth_code code = berth_cmd_parse_backend(arguments, service, &backend, error);
	if (code)
		return code;
	while (forced <= BERTH_FORCED_DOWN && strcmp(words[forced], word) != 0)
		forced++;
	if (forced > BERTH_FORCED_DOWN)
		return berth_cmd_fail(
			error, BERTH_CODE_INVALID,
			"invalid health \"%.32s\"; write up, down, or auto to follow the health checks", word);
	const struct berth_cmd_origin origin = berth_cmd_origin(context);
	int err = context->actions->force_health(context->daemon, service, backend, forced, &origin, error);
	return backend_result(context, service, backend, err, result);
}

enum berth_code berth_cmd_backend_drain(const struct berth_cmd_context *context, const json_t *arguments,
					json_t **result, char error[BERTH_ERROR_BYTES])
{
	bool flows_only = json_is_true(json_object_get(arguments, "flows-only"));
	return set_admin(context, arguments, flows_only ? BERTH_ADMIN_FLOWS_ONLY : BERTH_ADMIN_DRAINING, result,
			 error);
}

enum berth_code berth_cmd_backend_evict(const struct berth_cmd_context *context, const json_t *arguments,
					json_t **result, char error[BERTH_ERROR_BYTES])
{
	return set_admin(context, arguments, BERTH_ADMIN_EVICTED, result, error);
}

enum berth_code berth_cmd_backend_enable(const struct berth_cmd_context *context, const json_t *arguments,
					 json_t **result, char error[BERTH_ERROR_BYTES])
{
	return set_admin(context, arguments, BERTH_ADMIN_ENABLED, result, error);
}

enum berth_code berth_cmd_backend_disable(const struct berth_cmd_context *context, const json_t *arguments,
					  json_t **result, char error[BERTH_ERROR_BYTES])
{
	return set_admin(context, arguments, BERTH_ADMIN_DISABLED, result, error);
}

/* Returns at once; the client polls. */
enum berth_code berth_cmd_wait_drained(const struct berth_cmd_context *context, const json_t *arguments,
				       json_t **result, char error[BERTH_ERROR_BYTES])
{
	char name[BERTH_NAME_BYTES];
	const char *backend_name = NULL;
	uint64_t timeout_ms = 0;
	enum berth_code code = berth_cmd_parse_backend(arguments, name, &backend_name, error);
	if (!code)
		code = berth_cmd_parse_duration(arguments, "timeout", &timeout_ms, error);
	if (code)
		return code;
	struct berth_model_service *service = berth_model_service(context->state->model, name);
	struct berth_model_backend *backend = service ? berth_model_backend(service, backend_name) : NULL;
	if (!backend)
		return berth_cmd_no_backend(name, backend_name, error);
	/* Down or without a next hop it has no new clients for now, which is no drain. */
	if (berth_model_admin(backend) == BERTH_ADMIN_ENABLED && backend->config.weight)
		return berth_cmd_fail(error, BERTH_CODE_INVALID,
				      "%s/%s is enabled and never drains; run `berthctl backend "
				      "drain %s/%s` first",
				      name, backend_name, name, backend_name);
	*result = json_pack("{s:o, s:b, s:o}", "backend", berth_cmd_backend(context->state, service, backend),
			    "drained", berth_usage_is_drained(context->state->scan, context->state->model, backend),
			    "timeout_ms", berth_cmd_count(timeout_ms ? timeout_ms : BERTH_CMD_WAIT_MS));
	return BERTH_CODE_OK;
}
