// SPDX-License-Identifier: BSD-3-Clause
#include <stdio.h>

#include "controlplane/cmd/show/rates.h"
#include "controlplane/cmd/show/rows.h"
#include "controlplane/model/eligible.h"
#include "controlplane/model/former_rows.h"
#include "controlplane/model/panic.h"
#include "controlplane/tables/usage.h"
#include "controlplane/util/address.h"
#include "dataplane/core/packet.h"

/* Backends of a service. */
struct backend_counts {
	size_t up;
	size_t eligible; /* for new clients */
};

/* The usage of a service; its counters include removed backends. */
static struct berth_usage service_usage(const struct berth_daemon_state *state,
					const struct berth_model_service *service, struct backend_counts *counts)
{
	struct berth_usage sum = {.tally = service->retired}, usage;
	*counts = (struct backend_counts){0};
	for (size_t i = 0; i < service->n_backends; i++) {
		berth_usage_backend(state->scan, &service->backends[i], &usage);
		berth_usage_add(&sum, &usage);
		counts->up += berth_model_health(&service->backends[i]) == BERTH_HEALTH_UP;
		counts->eligible += berth_model_is_eligible(&service->backends[i]);
	}
	return sum;
}

/* The fields that a packet must match. Any port: 0 to 65535. */
static json_t *key_json(const struct berth_service_config *config)
{
	char address[BERTH_PREFIX_TEXT];
	return json_pack("{s:s, s:s, s:i, s:i, s:s}", "name", config->name, "address",
			 berth_prefix_format(&config->address, config->bits, address), "port", config->port,
			 "last_port", config->last_port, "protocol",
			 config->protocol == BERTH_PROTO_TCP ? "tcp" : "udp");
}

/* null: no alarm. */
static json_t *alarm_json(const struct berth_daemon_state *state, const struct berth_model_service *service,
			  const struct backend_counts *counts)
{
	char reason[BERTH_ERROR_BYTES];
	size_t n, down;
	berth_panic_count(service, &n, &down);
	if (service->panic)
		return json_sprintf("panic: %zu of %zu backends are down", down, n);
	if (counts->eligible && !state->node.is_drained &&
	    berth_announcer_explain(state->announcer, &state->node, &state->model->config->announce, service,
				    reason))
		return json_sprintf("not announced: %s", reason);
	if (counts->eligible)
		return service->is_limited ? json_string("new flows over a limit (new-flows)") : json_null();
	struct berth_eligible_count count;
	char reasons[BERTH_INELIGIBLE_TEXT];
	berth_eligible_count(service, &count);
	berth_eligible_explain(&count, reasons);
	return json_sprintf("no eligible backend: %s", reasons);
}

static json_t *second_hop_json(const struct berth_model_service *service)
{
	const uint32_t seconds = service->config.second_hop_s;
	return json_pack("{s:o, s:I}", "second_hop_s", seconds ? json_integer(seconds) : json_null(),
			 "second_hop_rows", (json_int_t)berth_former_rows_count(service));
}

static json_t *service_json(const struct berth_daemon_state *state, const struct berth_model_service *service)
{
	const struct berth_service_config *config = &service->config;
	struct backend_counts counts;
	const struct berth_usage sum = service_usage(state, service, &counts);
	struct berth_tally refused;
	berth_counters_service(&state->engine->image, service->number, &refused);
	bool by_client = config->affinity == BERTH_AFFINITY_CLIENT;

	json_t *settings = json_pack(
		"{s:s, s:o, s:s, s:o, s:s, s:o, s:I, s:I, s:I}", "mode", berth_mode_name(config->mode), "gue_port",
		berth_mode_has_tunnel_port(config->mode) ? json_integer(config->gue_port) : json_null(), "affinity",
		by_client ? "client" : "flow", "group", config->group[0] ? json_string(config->group) : json_null(),
		"scheduler", berth_schedule_name(config->scheduler), "alarm", alarm_json(state, service, &counts),
		"backends", (json_int_t)service->n_backends, "backends_up", (json_int_t)counts.up,
		"backends_eligible", (json_int_t)counts.eligible);
	json_t *usage = json_pack(
		"{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "packets", berth_cmd_count(sum.tally.packets),
		"bytes", berth_cmd_count(sum.tally.bytes), "new_flows", berth_cmd_count(sum.tally.flows), "flows",
		berth_cmd_count(sum.flows), "sessions", berth_cmd_count(sum.sessions), "refused_packets",
		berth_cmd_count(refused.packets), "limited_packets", berth_cmd_count(refused.limited),
		"exception_flows", berth_cmd_count(sum.exception_flows), "exception_sessions",
		berth_cmd_count(sum.exception_sessions), "affinity_timeout_s",
		by_client ? berth_cmd_count(config->timeout[BERTH_TIMEOUT_SESSION]) : json_null());
	json_t *rates = json_pack("{s:o}", "rates", berth_cmd_service_rates(state, service));
	json_t *figures = berth_cmd_merge(berth_cmd_merge(usage, rates), second_hop_json(service));
	return berth_cmd_merge(berth_cmd_merge(key_json(config), settings), figures);
}

/* With an alarm, or a backend that is not up. */
static json_t *troubled_service_json(const struct berth_daemon_state *state,
				     const struct berth_model_service *service)
{
	struct backend_counts counts;
	service_usage(state, service, &counts);
	json_t *alarm = alarm_json(state, service, &counts);
	const bool is_fine = json_is_null(alarm) && counts.up == service->n_backends;
	json_decref(alarm);
	return is_fine ? NULL : service_json(state, service);
}

enum berth_code berth_cmd_show_services(const struct berth_cmd_context *context, const json_t *arguments,
					json_t **result, char error[BERTH_ERROR_BYTES])
{
	json_t *services, *next;
	const bool down = json_is_true(json_object_get(arguments, "down"));
	enum berth_code code = berth_cmd_page_services(
		context, arguments, down ? troubled_service_json : service_json, &services, &next, error);
	if (!code)
		*result = json_pack("{s:o, s:o}", "services", services, "next", next);
	return code;
}
