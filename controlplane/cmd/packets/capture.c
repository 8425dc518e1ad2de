// SPDX-License-Identifier: BSD-3-Clause
/*
 * `capture`: the first request starts one, those with its number as the cursor read what has come since. One answer
 * has at most MOST_RECORDS, so that none is long and berthd's loop goes on.
 */
#include "controlplane/capture/filter.h"
#include "controlplane/capture/session.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/bpf.h>

#include "controlplane/cmd/cmd.h"
#include "controlplane/cmd/packets/fields.h"

enum {
	MOST_RECORDS = 100,
};

struct reading {
	const struct berth_daemon_state *state;
	json_t *rows;
	int64_t offset_ns; /* from CLOCK_MONOTONIC to the time of day */
};

static json_t *port_name(const struct berth_daemon_state *state, uint32_t port)
{
	const struct berth_config *config = state->model->config;
	return port < config->n_interfaces ? json_string(config->interfaces[port].name) : json_null();
}

static json_t *interface_name(const struct berth_daemon_state *state, uint32_t ifindex)
{
	const struct berth_ctl *ctl = state->engine->image.ctl;
	const uint32_t half = BERTH_LOAD(&ctl->generation) & 1;
	const struct berth_config *config = state->model->config;
	for (uint32_t i = 0; ifindex && i < config->n_interfaces && i < BERTH_MAX_PORTS; i++)
		if (ctl->ports[half][i].ifindex == ifindex)
			return json_string(config->interfaces[i].name);
	return json_null();
}

static json_t *in_interface(const struct berth_daemon_state *state, const struct berth_capture_record *record)
{
	return record->in_port ? port_name(state, record->in_port - 1U) : interface_name(state, record->ifindex);
}

/* Where it leaves; null: a route decides. */
static json_t *out_interface(const struct berth_daemon_state *state, const struct berth_capture_record *record)
{
	const struct berth_view view = berth_image_view(&state->engine->image, BERTH_CONTROL_WORKER, 0);
	if (record->out_port)
		return port_name(state, record->out_port - 1U);
	if (record->action == XDP_TX)
		return interface_name(state, record->ifindex);
	if (!record->packet.backend || record->packet.traits & BERTH_RETURN ||
	    record->packet.backend >= view.backends)
		return json_null();
	const struct berth_backend *backend = berth_at_backends(&view, view.first_backend + record->packet.backend);
	return port_name(state, backend->port);
}

static json_t *out_json(const struct berth_daemon_state *state, const struct berth_capture_record *record)
{
	if (!record->out_bytes)
		return json_null();
	return json_pack("{s:o, s:I, s:o}", "interface", out_interface(state, record), "bytes",
			 (json_int_t)record->out_bytes, "frame", berth_cmd_hex(record->out, record->out_copied));
}

static void add_record(void *arg, const struct berth_capture_record *record)
{
	struct reading *reading = arg;
	const struct berth_model *model = reading->state->model;
	const struct berth_packet *packet = &record->packet;
	const enum berth_verdict verdict = record->verdict < BERTH_VERDICT_COUNT ? record->verdict
										 : BERTH_VERDICT_INTERNAL;
	json_t *row = json_pack(
		"{s:I, s:o, s:o, s:s, s:s, s:o, s:o}", "time_ns", (json_int_t)record->time_ns + reading->offset_ns,
		"interface", in_interface(reading->state, record), "packet",
		packet->length ? berth_cmd_packet(packet) : json_null(), "verdict", berth_verdict_name(verdict),
		"result", berth_cmd_result_name(verdict), "service", berth_cmd_service_name(model, packet->service),
		"backend", berth_cmd_backend_name(model, packet->backend));
	row = berth_cmd_merge(row, json_pack("{s:I, s:I, s:o, s:o}", "xdp_action", (json_int_t)record->action,
					     "bytes", (json_int_t)record->in_bytes, "frame",
					     berth_cmd_hex(record->in, record->in_copied), "out",
					     out_json(reading->state, record)));
	json_array_append_new(reading->rows, row);
}

static enum berth_code start(const struct berth_cmd_context *context, const json_t *arguments, uint64_t *id,
			     char error[BERTH_ERROR_BYTES])
{
	struct berth_capture_filter filter;
	const bool drops = json_is_true(json_object_get(arguments, "drops"));
	int err = berth_capture_filter_parse(&filter, context->state->model, berth_cmd_text(arguments, "filter"),
					     drops, error);
	if (!err)
		err = berth_capture_start(context->state->capture, &filter, id, error);
	return err == 0 ? BERTH_CODE_OK : err == -ENOENT ? BERTH_CODE_NOT_FOUND : BERTH_CODE_INVALID;
}

enum berth_code berth_cmd_capture(const struct berth_cmd_context *context, const json_t *arguments, json_t **result,
				  char error[BERTH_ERROR_BYTES])
{
	struct reading reading = {.state = context->state, .offset_ns = berth_cmd_time_offset_ns()};
	uint64_t id, missed = 0;
	enum berth_code code = berth_cmd_parse_cursor(arguments, &id, error);
	if (!code && !berth_cmd_text(arguments, "after"))
		code = start(context, arguments, &id, error);
	if (code)
		return code;
	reading.rows = json_array();
	if (berth_capture_read(context->state->capture, id, MOST_RECORDS, add_record, &reading, &missed)) {
		json_decref(reading.rows);
		return berth_cmd_fail(error, BERTH_CODE_NOT_FOUND,
				      "capture %" PRIu64 " has ended: another one was started, or the engine "
				      "restarted",
				      id);
	}
	*result = json_pack("{s:o, s:o, s:o}", "packets", reading.rows, "missed", berth_cmd_count(missed), "next",
			    json_sprintf("%" PRIu64, id));
	return BERTH_CODE_OK;
}
