// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/tables/plan.h"
#include "controlplane/config/parse.h"

#include <string.h>

#include "controlplane/cmd/cmd.h"
#include "controlplane/config/diff.h"
#include "controlplane/engine/choose.h"
#include "controlplane/util/clock.h"

static json_t *backend_json(const struct berth_plan_backend *backend)
{
	static const char *const changes[] = {"kept", "added", "removed"};
	return json_pack(
		"{s:s, s:s, s:s, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "service", backend->service, "name",
		backend->name, "change", changes[backend->change], "unknown_until_probed", backend->is_unprobed,
		"tracked_flows", berth_cmd_count(backend->flows.live), "leaving_flows",
		berth_cmd_count(backend->flows.leaving), "arriving_flows", berth_cmd_count(backend->flows.arriving),
		"sessions", berth_cmd_count(backend->sessions.live), "leaving_sessions",
		berth_cmd_count(backend->sessions.leaving), "arriving_sessions",
		berth_cmd_count(backend->sessions.arriving), "cleared_sessions", berth_cmd_count(backend->cleared));
}

/* How the engine takes the configuration. */
static json_t *engine_json(const struct berth_engine *engine, const struct berth_config *config)
{
	static const char *const changes[] = {
		[BERTH_ENGINE_SAME] = "none",	  [BERTH_ENGINE_LIVE] = "live",
		[BERTH_ENGINE_TABLES] = "tables", [BERTH_ENGINE_RESTART] = "restart",
		[BERTH_ENGINE_KIND] = "engine",
	};
	uint32_t pause_ms;
	const enum berth_engine_change change = berth_engine_compare(engine, config, &pause_ms);
	return json_pack("{s:s, s:I, s:b}", "engine_change", changes[change], "engine_pause_ms",
			 (json_int_t)pause_ms, "engine_pause_measured", engine->process.pause_ms != 0);
}

/* What a change of a key means for what exists. A key with an end of "." stands for all keys of the section. */
static const struct {
	bool of_backend;
	const char *key;
	const char *effect;
} effects[] = {
	{false, "name", "its flows, sessions and counters stay"},
	{false, "mode", "its flows stay, and their packets are sent in the new mode"},
	{false, "affinity.by", "its sessions start anew"},
	{false, "affinity.group", "its sessions start anew"},
	{false, "affinity.prefix4", "its sessions start anew"},
	{false, "affinity.prefix6", "its sessions start anew"},
	{false, "affinity.timeout", "sessions that are idle for longer expire"},
	{false, "scheduler", "its flows and sessions stay; new clients may get another backend"},
	{false, "table-size", "its flows and sessions stay; new clients may get another backend"},
	{false, "timeouts.", "flows that are idle for longer expire"},
	{true, "address", "its flows and sessions stay; with health checks it is unknown until probed"},
	{true, "weight", "its flows and sessions stay; its share of new clients changes"},
	{true, "port", "its flows stay, and their packets are sent to the new port"},
};

static const char *effect_of(const struct berth_config_change *change)
{
	if (change->what == BERTH_CONFIG_REMOVED)
		return change->backend ? "its flows and sessions move to other backends"
				       : "its flows are lost, and its sessions, unless its group stays";
	if (change->what == BERTH_CONFIG_ADDED)
		return NULL;
	for (size_t i = 0; i < sizeof(effects) / sizeof(effects[0]); i++) {
		const char *key = effects[i].key;
		size_t length = strlen(key);
		bool is_section = key[length - 1] == '.';
		if (change->service && effects[i].of_backend == (change->backend != NULL) &&
		    strncmp(change->key, key, length) == 0 && (is_section || !change->key[length]))
			return effects[i].effect;
	}
	return NULL;
}

static void add_change(void *arg, const struct berth_config_change *change)
{
	static const char *const words[] = {"added", "removed", "changed"};
	json_array_append_new(arg, json_pack("{s:s?, s:s?, s:s, s:s?, s:s?, s:s?, s:s?}", "service",
					     change->service, "backend", change->backend, "change",
					     words[change->what], "key", change->key, "before", change->before,
					     "after", change->after, "effect", effect_of(change)));
}

/* Takes `changes` and `warnings`. */
static json_t *plan_json(const struct berth_plan *plan, json_t *changes, json_t *warnings)
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
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "warnings", warnings, "changes", changes, "backends",
			 backends, "moved_flows", berth_cmd_count(flows), "moved_sessions",
			 berth_cmd_count(sessions), "cleared_sessions", berth_cmd_count(cleared));
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
	json_t *changes = json_array(), *warnings = berth_cmd_warnings(config);
	berth_config_diff(context->state->model->config, config, add_change, changes);
	json_t *engine = engine_json(context->state->engine, config);
	struct berth_plan *plan = berth_plan_compute(context->state->model, config, &context->state->engine->image,
						     berth_clock_s(), error);
	if (!plan) {
		json_decref(changes);
		json_decref(warnings);
		json_decref(engine);
		return BERTH_CODE_CONFIG;
	}
	*result = berth_cmd_merge(plan_json(plan, changes, warnings), engine);
	berth_plan_free(plan);
	return BERTH_CODE_OK;
}
