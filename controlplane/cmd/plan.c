// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/tables/plan.h"
#include "controlplane/config/parse.h"

#include "controlplane/cmd/cmd.h"
#include "controlplane/util/clock.h"

static json_t *backend_json(const struct berth_plan_backend *backend)
{
	static const char *const changes[] = {"kept", "added", "removed"};
	return json_pack(
		"{s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "service", backend->service, "name",
		backend->name, "change", changes[backend->change], "tracked_flows",
		berth_cmd_count(backend->flows.live), "leaving_flows", berth_cmd_count(backend->flows.leaving),
		"arriving_flows", berth_cmd_count(backend->flows.arriving), "sessions",
		berth_cmd_count(backend->sessions.live), "leaving_sessions",
		berth_cmd_count(backend->sessions.leaving), "arriving_sessions",
		berth_cmd_count(backend->sessions.arriving), "cleared_sessions", berth_cmd_count(backend->cleared));
}

static json_t *plan_json(const struct berth_plan *plan)
{
	uint64_t flows = 0, sessions = 0, cleared = 0;
	json_t *backends = json_array();
	for (size_t i = 0; i < plan->n; i++) {
		const struct berth_plan_backend *backend = &plan->backends[i];
		flows += backend->flows.leaving;
		sessions += backend->sessions.leaving;
		cleared += backend->cleared;
		json_array_append_new(backends, backend_json(backend));
	}
	return json_pack("{s:o, s:o, s:o, s:o}", "backends", backends, "moved_flows", berth_cmd_count(flows),
			 "moved_sessions", berth_cmd_count(sessions), "cleared_sessions", berth_cmd_count(cleared));
}

enum berth_code berth_cmd_plan(const struct berth_cmd_context *context, const json_t *arguments, json_t **result,
			       char error[BERTH_ERROR_BYTES])
{
	const json_t *text = json_object_get(arguments, "text");
	struct berth_config *config = berth_config_parse(berth_cmd_text(arguments, "file"), json_string_value(text),
							 json_string_length(text), error);
	if (!config || !context->actions->accepts(context->daemon, config, error) ||
	    context->actions->expand(context->daemon, config, error)) {
		berth_config_free(config);
		return BERTH_CODE_CONFIG;
	}
	struct berth_plan *plan = berth_plan_compute(context->state->model, config, &context->state->engine->image,
						     berth_clock_s(), error);
	if (!plan)
		return BERTH_CODE_CONFIG;
	*result = plan_json(plan);
	berth_plan_free(plan);
	return BERTH_CODE_OK;
}
