// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/api/plural.h"
#include "controlplane/cli/cli.h"

#define NUMBER "%" JSON_INTEGER_FORMAT

/* "the node is drained", "the node is ready", or not: each reason. */
void berth_cli_print_node(FILE *out, const json_t *result)
{
	size_t i;
	json_t *reason;
	const json_t *node = json_object_get(result, "node");
	const bool is_ready = json_is_true(json_object_get(node, "ready"));
	fprintf(out, "the node is %s\n", is_ready ? "ready" : "not ready:");
	json_array_foreach(json_object_get(node, "reasons"), i, reason)
		fprintf(out, "  %s\n", json_string_value(reason));
}

static void print_metrics(FILE *out, const json_t *result)
{
	fputs(berth_cli_text(result, "metrics"), out);
}

/* Nothing for a change that is in force. */
void berth_cli_print_pending(FILE *out, const json_t *result)
{
	const char *error = json_string_value(json_object_get(result, "publish_error"));
	if (json_is_false(json_object_get(result, "in_force")))
		fprintf(out, "pending, not in force yet%s%s; see `berthctl show engine`\n", error ? ": " : "",
			error ? error : "");
}

/* Of a command that acts on a cluster. */
static void print_scope(FILE *out, const json_t *result)
{
	const char *scope = json_string_value(json_object_get(result, "applies_to"));
	if (scope)
		fprintf(out, "in force on %s\n", scope);
}

/* "web/b1 is draining and up; ...", "web/b1 is enabled and forced down (checks say up); ..." */
static void print_state(FILE *out, const json_t *backend)
{
	json_int_t flows = berth_cli_number(backend, "flows"), sessions = berth_cli_number(backend, "sessions");
	bool forced = json_is_true(json_object_get(backend, "health_forced"));
	fprintf(out, "%s/%s is %s and %s%s", berth_cli_text(backend, "service"), berth_cli_text(backend, "name"),
		berth_cli_text(backend, "admin"), forced ? "forced " : "", berth_cli_text(backend, "health"));
	if (forced)
		fprintf(out, " (checks say %s)", berth_cli_text(backend, "health_by_checks"));
	fprintf(out, "; " NUMBER " flow%s and " NUMBER " session%s at the last scan\n", flows, BERTH_PLURAL(flows),
		sessions, BERTH_PLURAL(sessions));
}

static void print_backend(FILE *out, const json_t *result)
{
	print_state(out, json_object_get(result, "backend"));
	print_scope(out, result);
	berth_cli_print_pending(out, result);
}

static void print_host(FILE *out, const json_t *result)
{
	size_t i;
	json_t *backend;
	json_array_foreach(json_object_get(result, "backends"), i, backend) print_state(out, backend);
	print_scope(out, result);
	berth_cli_print_pending(out, result);
}

static void print_wait(FILE *out, const json_t *result)
{
	const json_t *backend = json_object_get(result, "backend");
	const char *service = berth_cli_text(backend, "service"), *name = berth_cli_text(backend, "name");
	if (json_is_true(json_object_get(result, "drained"))) {
		fprintf(out, "%s/%s is drained\n", service, name);
		return;
	}
	fprintf(out,
		"%s/%s is not drained after " NUMBER " s: flows " NUMBER ", closing flows " NUMBER
		", sessions " NUMBER "\n",
		service, name, berth_cli_number(result, "timeout_ms") / 1000, berth_cli_number(backend, "flows"),
		berth_cli_number(backend, "closing_flows"), berth_cli_number(backend, "sessions"));
}

static void print_withdrawn(FILE *out, const json_t *result)
{
	if (json_is_true(json_object_get(result, "withdrawn")))
		fprintf(out, "the node is withdrawn: no packets for " NUMBER " s\n",
			berth_cli_number(result, "quiet_s"));
	else
		fprintf(out, "the node is not withdrawn after " NUMBER " s: %s\n",
			berth_cli_number(result, "timeout_ms") / 1000,
			json_is_true(json_object_get(result, "routes")) ? "its routes stand"
									: "packets of its services come");
}

void berth_cli_print_warnings(FILE *out, const json_t *result)
{
	size_t i;
	json_t *warning;
	json_array_foreach(json_object_get(result, "warnings"), i, warning) if (json_is_string(warning))
		fprintf(out, "warning: %s\n", json_string_value(warning));
}

/* "web/b1, web/b2, web/b3 and 597 more" */
static void print_subjects(FILE *out, const json_t *subjects)
{
	enum {
		MOST = 4
	};
	size_t i;
	json_t *subject;
	json_array_foreach(subjects, i, subject) if (i < MOST)
		fprintf(out, "%s%s", i ? ", " : "", json_string_value(subject));
	if (i > MOST)
		fprintf(out, " and %zu more", i - MOST);
}

static void print_doctor(FILE *out, const json_t *result)
{
	size_t i;
	json_t *check;
	json_array_foreach(json_object_get(result, "checks"), i, check)
	{
		const char *remedy = json_string_value(json_object_get(check, "remedy"));
		fprintf(out, "%-7s  ", berth_cli_text(check, "level"));
		print_subjects(out, json_object_get(check, "subjects"));
		fprintf(out, ": %s%s%s\n", berth_cli_text(check, "finding"), remedy ? " -> " : "",
			remedy ? remedy : "");
	}
	json_int_t problems = berth_cli_number(result, "problems");
	if (problems)
		fprintf(out, NUMBER " problem%s found\n", problems, BERTH_PLURAL(problems));
	else
		fprintf(out, "no problems found\n");
}

/* "ready: 3 services", or each reason. */
static void print_ready(FILE *out, const json_t *result)
{
	size_t i;
	json_t *reason;
	const json_int_t n = berth_cli_number(result, "services");
	if (json_is_true(json_object_get(result, "ready")))
		fprintf(out, "ready: " NUMBER " service%s\n", n, BERTH_PLURAL(n));
	json_array_foreach(json_object_get(result, "reasons"), i, reason)
		fprintf(out, "%s\n", json_string_value(reason));
}

static void print_placed(FILE *out, const json_t *result)
{
	berth_cli_print_session(out, result);
	print_scope(out, result);
}

static void print_cleared(FILE *out, const json_t *result)
{
	berth_cli_print_cleared(out, result);
	print_scope(out, result);
}

bool berth_cli_is_failure(enum berth_command_index command, const json_t *result)
{
	return json_is_false(json_object_get(result, "in_force")) ||
	       ((command == BERTH_COMMAND_ready || command == BERTH_COMMAND_wait_ready) &&
		!json_is_true(json_object_get(result, "ready"))) ||
	       (command == BERTH_COMMAND_doctor && berth_cli_number(result, "problems") != 0) ||
	       (command == BERTH_COMMAND_wait_drained && !json_is_true(json_object_get(result, "drained"))) ||
	       (command == BERTH_COMMAND_wait_withdrawn && !json_is_true(json_object_get(result, "withdrawn")));
}

static void print_names(FILE *out, const json_t *result)
{
	size_t i;
	json_t *name;
	json_array_foreach(json_object_get(result, "names"), i, name) fprintf(out, "%s\n", json_string_value(name));
	if (json_is_true(json_object_get(result, "is_cut")))
		fprintf(out, "...\n");
}

static void print_shutdown(FILE *out, const json_t *result)
{
	(void)result;
	fprintf(out, "forwarding has stopped, berthd ends\n");
}

static berth_cli_view_fn *const views[BERTH_COMMAND_COUNT] = {
	[BERTH_COMMAND_show_names] = print_names,
	[BERTH_COMMAND_show_metrics] = print_metrics,
	[BERTH_COMMAND_ready] = print_ready,
	[BERTH_COMMAND_wait_ready] = print_ready,
	[BERTH_COMMAND_wait_withdrawn] = print_withdrawn,
	[BERTH_COMMAND_node_drain] = berth_cli_print_node,
	[BERTH_COMMAND_node_enable] = berth_cli_print_node,
	[BERTH_COMMAND_backend_drain] = print_backend,
	[BERTH_COMMAND_backend_evict] = print_backend,
	[BERTH_COMMAND_wait_drained] = print_wait,
	[BERTH_COMMAND_backend_enable] = print_backend,
	[BERTH_COMMAND_backend_disable] = print_backend,
	[BERTH_COMMAND_backend_health] = print_backend,
	[BERTH_COMMAND_host_drain] = print_host,
	[BERTH_COMMAND_host_disable] = print_host,
	[BERTH_COMMAND_host_enable] = print_host,
	[BERTH_COMMAND_session_pin] = print_placed,
	[BERTH_COMMAND_session_unpin] = print_cleared,
	[BERTH_COMMAND_session_move] = print_placed,
	[BERTH_COMMAND_session_clear] = print_cleared,
	[BERTH_COMMAND_config_check] = berth_cli_print_check,
	[BERTH_COMMAND_config_apply] = berth_cli_print_apply,
	[BERTH_COMMAND_config_confirm] = berth_cli_print_confirm,
	[BERTH_COMMAND_config_show] = berth_cli_print_configuration,
	[BERTH_COMMAND_config_diff] = berth_cli_print_diff,
	[BERTH_COMMAND_config_save] = berth_cli_print_save,
	[BERTH_COMMAND_config_history] = berth_cli_print_history,
	[BERTH_COMMAND_config_undo] = berth_cli_print_undo,
	[BERTH_COMMAND_backend_set] = berth_cli_print_edit,
	[BERTH_COMMAND_backend_add] = berth_cli_print_edit,
	[BERTH_COMMAND_backend_remove] = berth_cli_print_edit,
	[BERTH_COMMAND_service_set] = berth_cli_print_edit,
	[BERTH_COMMAND_service_add] = berth_cli_print_edit,
	[BERTH_COMMAND_service_remove] = berth_cli_print_edit,
	[BERTH_COMMAND_doctor] = print_doctor,
	[BERTH_COMMAND_explain] = berth_cli_print_explain,
	[BERTH_COMMAND_shutdown] = print_shutdown,
};

void berth_cli_print(FILE *out, enum berth_command_index command, const json_t *result)
{
	berth_cli_view_fn *view = views[command] ? views[command] : berth_cli_table_view(command);
	if (view)
		view(out, result);
	else
		berth_cli_print_generic(out, result);
}
