// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/cmd/config/parser.h"
#include "controlplane/cmd/config/planner.h"

#include <errno.h>
#include <event2/buffer.h>
#include <string.h>

#include "controlplane/cmd/cmd.h"
#include "controlplane/config/diff.h"
#include "controlplane/engine/choose.h"
#include "controlplane/server/format.h"
#include "controlplane/util/clock.h"

enum {
	MAX_LIMITED_SERVICES = 100,
	TURN_MS = 3,
	BUCKETS = 1024, /* some 0.1 ms */
};

static json_t *backend_json(const struct berth_plan_backend *backend)
{
	static const char *const changes[] = {"kept", "added", "removed"};
	static const char *const loads[] = {
		[BERTH_PLAN_HAS_ROOM] = NULL,
		[BERTH_PLAN_OVER_SHARE] = "over-share",
		[BERTH_PLAN_AT_LIMIT] = "at-limit",
	};
	json_t *row = json_pack(
		"{s:s, s:s, s:s, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:s?, s:I, s:f}", "service",
		backend->service, "name", backend->name, "change", changes[backend->change], "unknown_until_probed",
		backend->is_unprobed, "tracked_flows", berth_cmd_count(backend->flows.live), "leaving_flows",
		berth_cmd_count(backend->flows.leaving), "arriving_flows", berth_cmd_count(backend->flows.arriving),
		"sessions", berth_cmd_count(backend->sessions.live), "leaving_sessions",
		berth_cmd_count(backend->sessions.leaving), "arriving_sessions",
		berth_cmd_count(backend->sessions.arriving), "cleared_sessions", berth_cmd_count(backend->cleared),
		"flows_after", berth_cmd_count(backend->flows_after), "max_flows",
		backend->max_flows ? berth_cmd_count(backend->max_flows) : json_null(), "load_after",
		loads[backend->load_after], "weight", (json_int_t)backend->weight, "effective_weight",
		backend->weight_hundredths / 100.0);
	const uint32_t us = backend->response_us;
	return berth_cmd_merge(row,
			       json_pack("{s:o, s:s?, s:o}", "response_us", us ? json_integer(us) : json_null(),
					 "response_from", berth_cmd_response_from(us, backend->is_by_connections),
					 "weighted_load_after",
					 us ? berth_cmd_count(backend->weighted_load_after) : json_null()));
}

static json_t *use_json(const struct berth_plan_use *use)
{
	return json_pack("{s:o, s:o}", "used", berth_cmd_count(use->used), "limit", berth_cmd_count(use->limit));
}

/* What there is room for after the change. */
static json_t *capacity_json(const struct berth_plan *plan)
{
	json_t *services = json_array();
	for (size_t i = 0; i < plan->n_limited && i < MAX_LIMITED_SERVICES; i++)
		json_array_append_new(services,
				      berth_cmd_merge(json_pack("{s:s}", "service", plan->limited[i].name),
						      use_json(&plan->limited[i].flows)));
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:I}", "flows", use_json(&plan->table_flows), "sessions",
			 use_json(&plan->table_sessions), "services", use_json(&plan->table_services), "backends",
			 use_json(&plan->table_backends), "max_flows", services, "limited_services",
			 (json_int_t)plan->n_limited);
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
	{true, "name", "for berth it is another backend: its flows and sessions move"},
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

json_t *berth_cmd_changes(const struct berth_config *before, const struct berth_config *after)
{
	json_t *changes = json_array();
	berth_config_diff(before, after, add_change, changes);
	return changes;
}

/* All but the backends. Takes the parts that need no table. */
static json_t *head_json(struct berth_plan_work *work)
{
	const struct berth_plan *plan = work->plan;
	uint64_t flows = 0, sessions = 0, cleared = 0, before = 0, after = 0;
	for (size_t i = 0; i < plan->n; i++) {
		const struct berth_plan_backend *backend = &plan->backends[i];
		flows += backend->flows.leaving;
		sessions += backend->sessions.leaving;
		cleared += backend->cleared;
		before += backend->exceptions;
		after += backend->exceptions_after;
	}
	json_t *head = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "capacity", capacity_json(plan),
				 "warnings", work->warnings, "changes", work->changes, "moved_flows",
				 berth_cmd_count(flows), "moved_sessions", berth_cmd_count(sessions),
				 "cleared_sessions", berth_cmd_count(cleared), "exceptions",
				 berth_cmd_count(before), "exceptions_after", berth_cmd_count(after));
	head = berth_cmd_merge(head, work->engine);
	work->changes = work->warnings = work->engine = NULL;
	return head;
}

json_t *berth_plan_work_result(struct berth_plan_work *work)
{
	json_t *backends = json_array();
	for (size_t i = 0; i < work->plan->n; i++)
		json_array_append_new(backends, backend_json(&work->plan->backends[i]));
	return berth_cmd_merge(head_json(work), json_pack("{s:o}", "backends", backends));
}

/* The object of the head, which the backends follow. */
static int write_head(struct berth_plan_work *work, struct evbuffer *out)
{
	static const char *const form = ",\"backends\":[";
	json_t *head = head_json(work);
	struct evbuffer *text = evbuffer_new();
	int err = text ? berth_server_write_part(text, head) : -ENOMEM;
	if (!err && evbuffer_remove_buffer(text, out, evbuffer_get_length(text) - 1) < 0)
		err = -ENOMEM;
	if (!err && evbuffer_add(out, form, strlen(form)))
		err = -ENOMEM;
	if (text)
		evbuffer_free(text);
	else
		json_decref(head);
	return err;
}

int berth_plan_work_write(struct berth_plan_work *work, struct evbuffer *out)
{
	const struct berth_plan *plan = work->plan;
	const size_t end = work->written + BERTH_PLAN_ROWS;
	int err = work->changes ? write_head(work, out) : 0;
	for (; !err && work->written < plan->n && work->written < end; work->written++) {
		if (work->written && evbuffer_add(out, ",", 1))
			return -ENOMEM;
		err = berth_server_write_part(out, backend_json(&plan->backends[work->written]));
	}
	if (err)
		return err;
	if (work->written < plan->n)
		return -EAGAIN;
	return evbuffer_add(out, "]}", 2) ? -ENOMEM : 0;
}

static bool is_outdated(const struct berth_plan_work *work)
{
	return work->installs != work->state->installs;
}

/* What needs no table, one part a turn. */
static void describe(struct berth_plan_work *work)
{
	if (!work->engine)
		work->engine = engine_json(work->state->engine, work->config);
	else if (!work->warnings)
		work->warnings = berth_cmd_warnings(work->config);
	else
		work->changes = berth_cmd_changes(work->state->model->config, work->config);
}

static enum berth_plan_turn begin(struct berth_plan_work *work, char error[BERTH_ERROR_BYTES])
{
	struct berth_config *config = work->config;
	work->config = NULL;
	work->planning = berth_planning_begin(work->state->model, config, &work->state->engine->image,
					      berth_clock_s(), error);
	return work->planning ? BERTH_PLAN_GOES_ON : BERTH_PLAN_FAILED;
}

static enum berth_plan_turn finish(struct berth_plan_work *work, char error[BERTH_ERROR_BYTES])
{
	work->plan = berth_planning_end(work->planning, error);
	work->planning = NULL;
	return work->plan ? BERTH_PLAN_DONE : BERTH_PLAN_FAILED;
}

enum berth_plan_turn berth_plan_work_turn(struct berth_plan_work *work, char error[BERTH_ERROR_BYTES])
{
	if (is_outdated(work))
		return BERTH_PLAN_OUTDATED;
	if (!work->changes) {
		describe(work);
		return BERTH_PLAN_GOES_ON;
	}
	if (!work->planning)
		return begin(work, error);
	int err = -EAGAIN;
	for (const uint64_t end_ms = berth_clock_ms() + TURN_MS; err == -EAGAIN && berth_clock_ms() < end_ms;)
		err = berth_planning_step(work->planning, BUCKETS, error);
	if (err && err != -EAGAIN)
		return BERTH_PLAN_FAILED;
	return err ? BERTH_PLAN_GOES_ON : finish(work, error);
}

void berth_plan_work_clear(struct berth_plan_work *work)
{
	berth_config_free(work->config);
	berth_planning_free(work->planning);
	berth_plan_free(work->plan);
	json_decref(work->changes);
	json_decref(work->warnings);
	json_decref(work->engine);
	*work = (struct berth_plan_work){.state = work->state};
}

enum berth_code berth_cmd_plan_text(const struct berth_cmd_context *context, const char *name, const char *text,
				    size_t length, json_t **result, char error[BERTH_ERROR_BYTES])
{
	struct berth_cmd_parsed parsed;
	if (!berth_cmd_parse(context, name, text, length, &parsed))
		return BERTH_CODE_OK;
	struct berth_config *config = parsed.config;
	snprintf(error, BERTH_ERROR_BYTES, "%s", parsed.error);
	parsed.config = NULL;
	berth_cmd_parsed_clear(&parsed);
	if (!config || !context->actions->accepts(context->daemon, config, error) ||
	    context->actions->expand(context->daemon, config, error)) {
		berth_config_free(config);
		return BERTH_CODE_CONFIG;
	}
	return berth_cmd_plan_config(context, config, result, error);
}

enum berth_code berth_cmd_plan(const struct berth_cmd_context *context, const json_t *arguments, json_t **result,
			       char error[BERTH_ERROR_BYTES])
{
	const json_t *text = json_object_get(arguments, "text");
	return berth_cmd_plan_text(context, berth_cmd_text(arguments, "file"), json_string_value(text),
				   json_string_length(text), result, error);
}
