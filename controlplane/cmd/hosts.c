// SPDX-License-Identifier: BSD-3-Clause
/* `host`: a server is a backend of many services; one command for all of them. */
#include <errno.h>

#include "controlplane/cmd/cmd.h"
#include "controlplane/util/address.h"

/* The new states of the server's backends. */
static json_t *backends_json(const struct berth_daemon_state *state, const union berth_addr *address)
{
	json_t *backends = json_array();
	for (size_t i = 0; i < state->model->n_services; i++) {
		const struct berth_model_service *service = &state->model->services[i];
		for (size_t j = 0; j < service->n_backends; j++)
			if (berth_addr_equal(&service->backends[j].config.address, address))
				json_array_append_new(backends,
						      berth_cmd_backend(state, service, &service->backends[j]));
	}
	return backends;
}

static enum berth_code set_admin(const struct berth_cmd_context *context, const json_t *arguments,
				 enum berth_admin admin, json_t **result, char error[BERTH_ERROR_BYTES])
{
	const char *text = berth_cmd_text(arguments, "address");
	char formatted[BERTH_ADDRESS_TEXT];
	union berth_addr address;
	uint64_t deadline_ms = 0;
	if (berth_address_parse(text, &address))
		return berth_cmd_fail(error, BERTH_CODE_INVALID,
				      "invalid address \"%.64s\"; write the address of a server, as 192.0.2.11",
				      text);
	enum berth_code code = berth_cmd_parse_duration(arguments, "deadline", &deadline_ms, error);
	if (code)
		return code;
	const struct berth_cmd_origin origin = berth_cmd_origin(context);
	int n = context->actions->set_host_admin(context->daemon, &address, admin, deadline_ms, &origin, error);
	if (n < 0)
		return n == -ENOENT ? BERTH_CODE_NOT_FOUND : BERTH_CODE_INTERNAL;
	*result = json_pack("{s:s, s:o}", "address", berth_address_format(&address, formatted), "backends",
			    backends_json(context->state, &address));
	berth_cmd_add_scope(context, *result);
	return berth_cmd_answer_in_force(context, result);
}

enum berth_code berth_cmd_host_drain(const struct berth_cmd_context *context, const json_t *arguments,
				     json_t **result, char error[BERTH_ERROR_BYTES])
{
	bool flows_only = json_is_true(json_object_get(arguments, "flows-only"));
	return set_admin(context, arguments, flows_only ? BERTH_ADMIN_FLOWS_ONLY : BERTH_ADMIN_DRAINING, result,
			 error);
}

enum berth_code berth_cmd_host_disable(const struct berth_cmd_context *context, const json_t *arguments,
				       json_t **result, char error[BERTH_ERROR_BYTES])
{
	return set_admin(context, arguments, BERTH_ADMIN_DISABLED, result, error);
}

enum berth_code berth_cmd_host_enable(const struct berth_cmd_context *context, const json_t *arguments,
				      json_t **result, char error[BERTH_ERROR_BYTES])
{
	return set_admin(context, arguments, BERTH_ADMIN_ENABLED, result, error);
}
