// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/cmd/cmd.h"
#include "controlplane/cmd/packets/fields.h"
#include "controlplane/explain/packet_text.h"
#include "controlplane/explain/rules.h"
#include "controlplane/explain/trace.h"
#include "controlplane/util/address.h"

/* --- answer --- */

static json_t *entry_json(const struct berth_model *model, const struct berth_trace_entry *entry)
{
	if (!entry->is_found)
		return json_null();
	return json_pack("{s:o, s:s, s:I, s:b, s:b}", "backend", berth_cmd_backend_name(model, entry->backend),
			 "state", berth_cmd_state_name(entry->state), "idle_s", (json_int_t)entry->age_s, "expired",
			 entry->is_expired, "former_table", entry->is_former);
}

/* The time of a backend as the engine has it. null: none. */
static json_t *response_json(uint32_t cost)
{
	const uint32_t us = cost & ~BERTH_COST_OF_CONNECTIONS;
	if (!us)
		return json_null();
	return json_pack("{s:I, s:s}", "us", (json_int_t)us, "from",
			 berth_cmd_response_from(us, cost & BERTH_COST_OF_CONNECTIONS));
}

static json_t *row_json(const struct berth_model *model, const struct berth_trace *trace)
{
	if (!trace->has_row)
		return json_null();
	json_t *row = json_pack("{s:i, s:i, s:o, s:o, s:o, s:o, s:o, s:o}", "row", trace->row, "rows", trace->rows,
				"primary", berth_cmd_backend_name(model, trace->primary), "alternate",
				berth_cmd_backend_name(model, trace->alternate), "primary_weight",
				berth_cmd_backend_weight(model, trace->primary), "alternate_weight",
				berth_cmd_backend_weight(model, trace->alternate), "primary_load",
				trace->has_loads ? berth_cmd_count(trace->primary_load) : json_null(),
				"alternate_load",
				trace->has_loads ? berth_cmd_count(trace->alternate_load) : json_null());
	return berth_cmd_merge(row, json_pack("{s:o, s:o}", "primary_response", response_json(trace->primary_cost),
					      "alternate_response", response_json(trace->alternate_cost)));
}

/* The frame as it leaves; null: it does not. */
static json_t *out_json(const struct berth_config *config, const struct berth_trace *trace)
{
	const enum berth_class class = BERTH_VERDICT_CLASS(trace->verdict);
	const bool leaves = class == BERTH_CLASS_FORWARD || class == BERTH_CLASS_ANSWER;
	if (!leaves)
		return json_null();
	return json_pack("{s:o, s:i, s:o}", "interface",
			 trace->port < config->n_interfaces ? json_string(config->interfaces[trace->port].name)
							    : json_null(),
			 "bytes", trace->out_bytes, "frame", berth_cmd_hex(trace->out, trace->out_bytes));
}

static json_t *trace_json(const struct berth_model *model, const struct berth_trace *trace)
{
	const struct berth_packet *packet = &trace->packet;
	json_t *result = json_pack(
		"{s:o, s:o, s:b, s:s, s:s, s:s, s:s}", "packet",
		trace->is_parsed ? berth_cmd_packet(packet) : json_null(), "service",
		berth_cmd_service_name(model, packet->service), "by_client", trace->has_session, "verdict",
		berth_verdict_name(trace->verdict), "result", berth_cmd_result_name(trace->verdict), "text",
		berth_cmd_verdict_text(trace->verdict), "rules", berth_verdict_rules[trace->verdict]);
	return berth_cmd_merge(result, json_pack("{s:o, s:o, s:o, s:o, s:o}", "flow",
						 entry_json(model, &trace->flow), "session",
						 entry_json(model, &trace->session), "row", row_json(model, trace),
						 "backend", berth_cmd_backend_name(model, packet->backend), "out",
						 out_json(model->config, trace)));
}

/* --- request --- */

static enum berth_code parse_port(const struct berth_config *config, const json_t *arguments, uint32_t *port,
				  char error[BERTH_ERROR_BYTES])
{
	const char *name = berth_cmd_text(arguments, "interface");
	for (*port = 0; name && *port < config->n_interfaces; ++*port)
		if (strcmp(config->interfaces[*port].name, name) == 0)
			break;
	if (*port < config->n_interfaces || !name)
		return BERTH_CODE_OK;
	return berth_cmd_fail(error, BERTH_CODE_NOT_FOUND, "no interface %s in the configuration", name);
}

static int run(const struct berth_cmd_context *context, struct berth_trace *trace, uint32_t port,
	       const uint8_t *frame, uint32_t bytes)
{
	return berth_trace_run(trace, &context->state->engine->image, port, frame, bytes);
}

/* Without TCP flags: the next packet of the flow if there is such a flow, else the first one. */
static int run_text(const struct berth_cmd_context *context, struct berth_trace *trace, uint32_t port,
		    struct berth_packet_text *text)
{
	const struct berth_ctl *ctl = context->state->engine->image.ctl;
	const uint8_t *link = ctl->ports[BERTH_LOAD(&ctl->generation) & 1][port].mac;
	const bool is_given = text->protocol != BERTH_PROTO_TCP || text->tcp_flags;
	uint8_t frame[BERTH_TEXT_FRAME_BYTES];
	if (!is_given)
		text->tcp_flags = BERTH_TCP_ACK;
	uint32_t bytes = berth_packet_text_build(text, link, frame);
	int err = run(context, trace, port, frame, bytes);
	if (err || is_given || (trace->flow.is_found && !trace->flow.is_expired))
		return err;
	text->tcp_flags = BERTH_TCP_SYN;
	bytes = berth_packet_text_build(text, link, frame);
	return run(context, trace, port, frame, bytes);
}

static int run_hex(const struct berth_cmd_context *context, struct berth_trace *trace, uint32_t port,
		   const char *text, char error[BERTH_ERROR_BYTES])
{
	static uint8_t frame[BERTH_TRACE_FRAME_BYTES];
	int bytes = berth_packet_text_parse_hex(text, frame, sizeof(frame), error);
	return bytes < 0 ? bytes : run(context, trace, port, frame, (uint32_t)bytes);
}

enum berth_code berth_cmd_explain(const struct berth_cmd_context *context, const json_t *arguments, json_t **result,
				  char error[BERTH_ERROR_BYTES])
{
	static struct berth_trace trace;
	const char *text = berth_cmd_text(arguments, "packet");
	struct berth_packet_text packet;
	uint32_t port;
	int err;
	if (!text)
		return berth_cmd_fail(error, BERTH_CODE_INVALID, "`explain` needs \"packet\", a string");
	enum berth_code code = parse_port(context->state->model->config, arguments, &port, error);
	if (code)
		return code;
	if (berth_packet_text_is_hex(text))
		err = run_hex(context, &trace, port, text, error);
	else if ((err = berth_packet_text_parse(&packet, text, error)) == 0)
		err = run_text(context, &trace, port, &packet);
	if (err == -ENOMEM)
		return berth_cmd_fail(error, BERTH_CODE_INTERNAL, "out of memory");
	if (err)
		return BERTH_CODE_INVALID;
	*result = trace_json(context->state->model, &trace);
	return BERTH_CODE_OK;
}
