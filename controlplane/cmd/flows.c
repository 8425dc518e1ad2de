// SPDX-License-Identifier: BSD-3-Clause
/*
 * Flows, as the table words know them: pages of a few milliseconds, with an index of the table as the cursor
 * (cmd/sessions.c). Words have no addresses; `explain` finds the entry of a packet.
 */
#include "controlplane/tables/flows.h"
#include "controlplane/tables/exception.h"

#include <string.h>

#include "controlplane/cmd/cmd.h"
#include "controlplane/cmd/show/rows.h"
#include "controlplane/util/clock.h"
#include "dataplane/core/flowtab.h"

enum {
	PAGE_SLOTS = 1 << 17, /* scanned per page: about 1 ms where no entry matches */
	/* A session's state is none of a flow; a claim lasts less than a packet. */
	FLOW_STATES = ((1 << BERTH_STATE_COUNT) - 1) & ~(1 << BERTH_STATE_CLAIMED | 1 << BERTH_STATE_SESSION),
};

const char *berth_cmd_state_name(uint32_t state)
{
	static const char *const names[BERTH_STATE_COUNT] = {
		"claimed", "unconfirmed", "confirmed", "proven", "closing", "closed", "session", "fragment",
	};
	return names[state & BERTH_STATE_MASK];
}

struct search {
	struct berth_flow_filter filter;
	uint8_t protocol; /* 0: any */
	uint32_t after;
	uint32_t limit;
};

static enum berth_code parse_backend(const struct berth_cmd_context *context, const json_t *arguments,
				     struct berth_flow_filter *filter, char error[BERTH_ERROR_BYTES])
{
	char service_name[BERTH_NAME_BYTES];
	const char *name;
	if (!berth_cmd_text(arguments, "backend"))
		return BERTH_CODE_OK;
	enum berth_code code = berth_cmd_parse_backend(arguments, service_name, &name, error);
	if (code)
		return code;
	struct berth_model_service *service = berth_model_service(context->state->model, service_name);
	const struct berth_model_backend *backend = service ? berth_model_backend(service, name) : NULL;
	if (!backend)
		return berth_cmd_no_backend(service_name, name, error);
	filter->backend = backend->number;
	return BERTH_CODE_OK;
}

static enum berth_code parse_state(const json_t *arguments, struct berth_flow_filter *filter,
				   char error[BERTH_ERROR_BYTES])
{
	const char *text = berth_cmd_text(arguments, "state");
	filter->states = FLOW_STATES;
	for (uint32_t state = 0; text && state < BERTH_STATE_COUNT; state++)
		if ((FLOW_STATES >> state & 1) && strcmp(text, berth_cmd_state_name(state)) == 0) {
			filter->states = 1u << state;
			return BERTH_CODE_OK;
		}
	if (!text)
		return BERTH_CODE_OK;
	return berth_cmd_fail(error, BERTH_CODE_INVALID,
			      "invalid state \"%.32s\"; write unconfirmed, confirmed, proven, closing, closed or "
			      "fragment",
			      text);
}

static enum berth_code parse_protocol(const json_t *arguments, uint8_t *protocol, char error[BERTH_ERROR_BYTES])
{
	const char *text = berth_cmd_text(arguments, "protocol");
	*protocol = 0;
	if (!text)
		return BERTH_CODE_OK;
	if (strcmp(text, "tcp") != 0 && strcmp(text, "udp") != 0)
		return berth_cmd_fail(error, BERTH_CODE_INVALID, "invalid protocol \"%.32s\"; write tcp or udp",
				      text);
	*protocol = text[0] == 't' ? BERTH_PROTO_TCP : BERTH_PROTO_UDP;
	return BERTH_CODE_OK;
}

static enum berth_code parse_search(const struct berth_cmd_context *context, const json_t *arguments,
				    struct search *search, char error[BERTH_ERROR_BYTES])
{
	const struct berth_model_service *service = NULL;
	uint64_t idle_ms = 0;
	*search = (struct search){.limit = BERTH_WIRE_PAGE};
	enum berth_code code = berth_cmd_find_service(context, arguments, &service, error);
	if (!code)
		code = parse_backend(context, arguments, &search->filter, error);
	if (!code)
		code = parse_state(arguments, &search->filter, error);
	if (!code)
		code = parse_protocol(arguments, &search->protocol, error);
	if (!code)
		code = berth_cmd_parse_duration(arguments, "idle", &idle_ms, error);
	if (!code)
		code = berth_cmd_parse_number(arguments, "limit", BERTH_WIRE_PAGE, &search->limit, error);
	if (!code)
		code = berth_cmd_parse_number(arguments, "after", UINT32_MAX, &search->after, error);
	search->filter.service = service ? service->number : 0;
	search->filter.idle_s = (uint32_t)(idle_ms / 1000);
	return code;
}

/* NULL: of a backend that the model has removed, or of another protocol. */
static json_t *row_json(const struct berth_view *view, const struct berth_row_name *names,
			const struct search *search, const struct berth_flow *flow)
{
	const struct berth_row_name *name = &names[berth_word_backend(flow->word)];
	if (!name->backend || (search->protocol && name->protocol != search->protocol))
		return NULL;
	return json_pack("{s:O, s:O, s:s, s:s, s:i, s:b, s:b}", "service", name->service, "backend", name->backend,
			 "protocol", berth_protocol_name(name->protocol), "state",
			 berth_cmd_state_name(berth_word_state(flow->word)), "idle_s",
			 (int)berth_word_age(flow->word, view->now), "exception",
			 berth_is_exception(view, BERTH_TABLE_FLOWS, flow->word), "former_table", flow->is_former);
}

enum berth_code berth_cmd_show_flows(const struct berth_cmd_context *context, const json_t *arguments,
				     json_t **result, char error[BERTH_ERROR_BYTES])
{
	const struct berth_view view = berth_image_view(&context->state->engine->image, BERTH_CONTROL_WORKER,
							berth_clock_s());
	const uint64_t slots = berth_flows_slots(&view);
	struct search search;
	struct berth_flow flow;
	enum berth_code code = parse_search(context, arguments, &search, error);
	if (code)
		return code;
	struct berth_row_name *names = berth_row_names_new(context->state->model, view.backends, BERTH_ROW_FLOWS);
	json_t *rows = names ? json_array() : NULL;
	uint64_t at = search.after < slots ? search.after : slots;
	const uint64_t end = slots - at > PAGE_SLOTS ? at + PAGE_SLOTS : slots;
	while (rows && json_array_size(rows) < search.limit &&
	       berth_flows_next(&view, &search.filter, &at, end, &flow)) {
		json_t *row = row_json(&view, names, &search, &flow);
		if (row)
			json_array_append_new(rows, row);
	}
	berth_row_names_free(names, view.backends);
	*result = json_pack("{s:o, s:o}", "flows", rows, "next", berth_cmd_cursor(at, slots));
	return BERTH_CODE_OK;
}
