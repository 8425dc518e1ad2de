// SPDX-License-Identifier: BSD-3-Clause
/* This node as one of several: whether it is ready to take traffic, and what it announces. */
#include "controlplane/announce/announcer.h"
#include "controlplane/announce/kernel_table.h"
#include "controlplane/cmd/show/rows.h"
#include "controlplane/util/address.h"
#include "controlplane/util/clock.h"

enum {
	QUIET_MS = 2000, /* without packets: then the routers have heard of the drain */
};

static void add_reason(void *arg, const char *reason)
{
	json_array_append_new(arg, json_string(reason));
}

/* {"ready": ..., "reasons": [...], "services": N} */
static json_t *ready_json(const struct berth_daemon_state *state, const struct berth_model_service *service)
{
	json_t *reasons = json_array();
	const bool is_ready = berth_ready_check(&state->node, state->model, service, add_reason, reasons);
	json_int_t n = 0;
	for (size_t i = 0; i < state->model->n_services; i++)
		n += service ? service == &state->model->services[i] : state->model->services[i].config.announce;
	return json_pack("{s:b, s:o, s:I}", "ready", is_ready, "reasons", reasons, "services", n);
}

enum berth_code berth_cmd_ready(const struct berth_cmd_context *context, const json_t *arguments, json_t **result,
				char error[BERTH_ERROR_BYTES])
{
	const struct berth_model_service *service;
	enum berth_code code = berth_cmd_find_service(context, arguments, &service, error);
	if (!code)
		*result = ready_json(context->state, service);
	return code;
}

/* berthctl repeats it. */
enum berth_code berth_cmd_wait_ready(const struct berth_cmd_context *context, const json_t *arguments,
				     json_t **result, char error[BERTH_ERROR_BYTES])
{
	uint64_t timeout_ms = 0;
	enum berth_code code = berth_cmd_parse_duration(arguments, "timeout", &timeout_ms, error);
	if (!code)
		code = berth_cmd_ready(context, arguments, result, error);
	if (!code && *result)
		json_object_set_new(*result, "timeout_ms",
				    berth_cmd_count(timeout_ms ? timeout_ms : BERTH_CMD_WAIT_MS));
	return code;
}

/* Returns at once; the client polls. */
enum berth_code berth_cmd_wait_withdrawn(const struct berth_cmd_context *context, const json_t *arguments,
					 json_t **result, char error[BERTH_ERROR_BYTES])
{
	const struct berth_node *node = &context->state->node;
	const bool has_routes = berth_announcer_is_any(context->state->announcer);
	const uint64_t quiet_ms = berth_clock_ms() - node->taken_ms;
	uint64_t timeout_ms = 0;
	enum berth_code code = berth_cmd_parse_duration(arguments, "timeout", &timeout_ms, error);
	if (code)
		return code;
	if (!node->is_drained)
		return berth_cmd_fail(error, BERTH_CODE_INVALID,
				      "the node is not drained; run `berthctl node drain` first");
	*result = json_pack("{s:b, s:b, s:o, s:o}", "withdrawn", !has_routes && quiet_ms >= QUIET_MS, "routes",
			    has_routes, "quiet_s", berth_cmd_count(quiet_ms / 1000), "timeout_ms",
			    berth_cmd_count(timeout_ms ? timeout_ms : BERTH_CMD_WAIT_MS));
	return BERTH_CODE_OK;
}

static json_t *service_json(const struct berth_daemon_state *state, const struct berth_model_service *service)
{
	const struct berth_service_config *config = &service->config;
	const struct berth_announce_config *announce = &state->model->config->announce;
	char address[BERTH_PREFIX_TEXT], reason[BERTH_ERROR_BYTES], why[BERTH_ERROR_BYTES];
	const bool is_ready = berth_ready_node(&state->node, reason) &&
			      berth_ready_service(announce, service, reason);
	const bool is_missing = berth_announcer_explain(state->announcer, &state->node, announce, service, why);
	return json_pack("{s:s, s:s, s:b, s:b, s:s?}", "name", config->name, "address",
			 berth_prefix_format(&config->address, config->bits, address), "ready", is_ready,
			 "announced", berth_announcer_has(state->announcer, config), "reason",
			 is_missing ? why
			 : is_ready ? NULL
				    : reason);
}

static json_t *node_json(const struct berth_daemon_state *state)
{
	const uint32_t table = state->model->config->announce.table;
	json_t *node = ready_json(state, NULL);
	json_object_del(node, "services");
	return berth_cmd_merge(node, json_pack("{s:b, s:o, s:o}", "drained", state->node.is_drained, "table",
					       table ? berth_cmd_count(table) : json_null(), "protocol",
					       table ? json_integer(BERTH_ROUTE_PROTOCOL) : json_null()));
}

enum berth_code berth_cmd_show_node(const struct berth_cmd_context *context, const json_t *arguments,
				    json_t **result, char error[BERTH_ERROR_BYTES])
{
	json_t *services, *next;
	enum berth_code code = berth_cmd_page_services(context, arguments, service_json, &services, &next, error);
	if (!code)
		*result = json_pack("{s:o, s:o, s:o}", "node", node_json(context->state), "services", services,
				    "next", next);
	return code;
}

static enum berth_code drain(const struct berth_cmd_context *context, bool is_drained, json_t **result)
{
	context->actions->drain_node(context->daemon, is_drained);
	context->actions->save(context->daemon);
	*result = json_pack("{s:o}", "node", node_json(context->state));
	return BERTH_CODE_OK;
}

enum berth_code berth_cmd_node_drain(const struct berth_cmd_context *context, const json_t *arguments,
				     json_t **result, char error[BERTH_ERROR_BYTES])
{
	(void)arguments;
	(void)error;
	return drain(context, true, result);
}

enum berth_code berth_cmd_node_enable(const struct berth_cmd_context *context, const json_t *arguments,
				      json_t **result, char error[BERTH_ERROR_BYTES])
{
	(void)arguments;
	(void)error;
	return drain(context, false, result);
}
