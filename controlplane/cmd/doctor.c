// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/cmd/cmd.h"
#include "controlplane/doctor/run.h"
#include "controlplane/doctor/system.h"

/* A running doctor. The configuration may change before the probes end, so this holds copies. */
struct visit {
	struct berth_server_pending *pending;
	struct berth_doctor_run *run;
	json_t *checks;
	struct subject *subjects;
	size_t n;
	const struct berth_daemon_state *state;
	struct berth_heartbeat workers; /* at the start */
	struct berth_doctor_gateway gateways[2];
};

struct subject {
	char name[2 * BERTH_NAME_BYTES];
	struct berth_health_status health;
	struct berth_doctor_target target;
};

static void visit_free(struct visit *visit)
{
	json_decref(visit->checks);
	free(visit->subjects);
	free(visit);
}

/* With room for `n` backends. */
static struct visit *visit_new(size_t n)
{
	struct visit *visit = calloc(1, sizeof(*visit));
	if (!visit)
		return NULL;
	visit->checks = json_array();
	visit->subjects = calloc(n + 1, sizeof(*visit->subjects));
	if (visit->checks && visit->subjects)
		return visit;
	visit_free(visit);
	return NULL;
}

static void on_cancel(void *arg)
{
	struct visit *visit = arg;
	berth_doctor_run_free(visit->run);
	visit_free(visit);
}

static json_t *result_of(json_t *checks)
{
	size_t i, problems = 0;
	json_t *groups = berth_doctor_group(checks), *group;
	json_array_foreach(groups, i, group)
		problems += strcmp(json_string_value(json_object_get(group, "level")), "problem") == 0;
	return json_pack("{s:o, s:I}", "checks", groups, "problems", (json_int_t)problems);
}

/* Replies arrive through the engine: if it does not run, no answer is no finding about a backend. */
static void add_finding(struct visit *visit, size_t i, const struct berth_doctor_finding *finding, bool forwards)
{
	if (forwards || !finding->is_silence)
		berth_doctor_add(visit->checks, visit->subjects[i].name, finding);
}

static void on_done(void *arg, const struct berth_doctor_results *results)
{
	struct visit *visit = arg;
	char no_error[BERTH_ERROR_BYTES] = "";
	bool forwards = berth_doctor_workers_check(visit->state, &visit->workers, visit->checks);
	for (size_t i = 0; i < visit->n; i++) {
		struct berth_doctor_finding findings[BERTH_DOCTOR_FINDINGS];
		size_t n = berth_doctor_diagnose(&visit->subjects[i].target, &results[i], findings);
		for (size_t f = 0; f < n; f++)
			add_finding(visit, i, &findings[f], forwards);
	}
	berth_server_answer(visit->pending, BERTH_CODE_OK, result_of(visit->checks), no_error);
	visit_free(visit);
}

/* Adds a backend that probes can reach; else reports at once why they cannot. */
static void add_backend(struct visit *visit, const struct berth_daemon_state *state, struct berth_rtnl *rtnl,
			const struct berth_model_service *service, const struct berth_model_backend *backend)
{
	struct subject *subject = &visit->subjects[visit->n];
	struct berth_doctor_finding finding = {0};

	snprintf(subject->name, sizeof(subject->name), "%s/%s", service->config.name, backend->config.name);
	berth_doctor_agent(state, backend, subject->name, service->config.health->agent_port, visit->checks);
	if (!berth_doctor_make_target(state, rtnl, service, backend, &subject->target, &finding)) {
		berth_doctor_add(visit->checks, subject->name, &finding);
		return;
	}
	if (!berth_health_get(state->health, backend->id, &subject->health) || !subject->health.reason[0])
		snprintf(subject->health.reason, sizeof(subject->health.reason), "not checked yet");
	subject->target.is_check_misconfigured = subject->health.error == BERTH_HEALTH_MISCONFIGURED;
	subject->target.is_check_stale = subject->health.error == BERTH_HEALTH_HOST_ERROR;
	/* A single datagram may need no answer. */
	const bool is_tcp = service->config.protocol == IPPROTO_TCP;
	subject->target.half_open = is_tcp ? berth_scan_half_open(state->scan, backend->number) : 0;
	subject->target.flows = berth_scan_flows(state->scan, backend->number) +
				berth_scan_closing(state->scan, backend->number);
	subject->target.health_reason = subject->health.reason;
	visit->n++;
}

/* Services with one address are one. */
static bool is_first_of_address(const struct berth_model *model, size_t i)
{
	for (size_t j = 0; j < i; j++)
		if (berth_addr_equal(&model->services[j].config.address, &model->services[i].config.address))
			return false;
	return true;
}

static void add_route(struct visit *visit, const struct berth_daemon_state *state, size_t i)
{
	const struct berth_model_service *service = &state->model->services[i];
	struct subject *subject = &visit->subjects[visit->n];
	if (!is_first_of_address(state->model, i) ||
	    !berth_doctor_make_route(visit->gateways, service, &subject->target))
		return;
	snprintf(subject->name, sizeof(subject->name), "%s", service->config.name);
	visit->n++;
}

/* `filter`: NULL, "SERVICE" or "SERVICE/BACKEND". */
static bool matches(const char *filter, const struct berth_model_service *service,
		    const struct berth_model_backend *backend)
{
	size_t length = strlen(service->config.name);
	if (!filter)
		return true;
	if (strncmp(filter, service->config.name, length) != 0)
		return false;
	return !filter[length] || (filter[length] == '/' && strcmp(filter + length + 1, backend->config.name) == 0);
}

/* Counts the backends that the filter matches; with `rtnl` also adds them. */
static size_t each_backend(struct visit *visit, const struct berth_daemon_state *state, struct berth_rtnl *rtnl,
			   const char *filter)
{
	size_t n = 0;
	for (size_t i = 0; i < state->model->n_services; i++) {
		const struct berth_model_service *service = &state->model->services[i];
		if (rtnl && (!filter || strcmp(filter, service->config.name) == 0))
			berth_doctor_service(service, visit->checks);
		if (rtnl && !filter)
			add_route(visit, state, i);
		for (size_t j = 0; j < service->n_backends; j++) {
			if (!matches(filter, service, &service->backends[j]))
				continue;
			n++;
			if (rtnl)
				add_backend(visit, state, rtnl, service, &service->backends[j]);
		}
	}
	return n;
}

static enum berth_code start_probes(struct visit *visit, const struct berth_cmd_context *context,
				    char error[BERTH_ERROR_BYTES])
{
	struct berth_doctor_target *targets = calloc(visit->n + 1, sizeof(*targets));
	for (size_t i = 0; targets && i < visit->n; i++)
		targets[i] = visit->subjects[i].target;
	snprintf(error, BERTH_ERROR_BYTES, "out of memory");
	if (targets)
		visit->run = berth_doctor_run_new(context->base, targets, visit->n, on_done, visit, error);
	free(targets);
	if (!visit->run)
		return BERTH_CODE_INTERNAL;
	visit->pending = berth_server_defer(context->server, on_cancel, visit);
	if (visit->pending)
		return BERTH_CODE_OK;
	berth_doctor_run_free(visit->run);
	berth_cmd_fail(error, BERTH_CODE_INTERNAL, "doctor needs a client connection that can wait for the answer");
	return BERTH_CODE_INTERNAL;
}

/* Checks the host, then starts the probes. The answer is deferred, except for an error. */
static enum berth_code start_visit(struct visit *visit, const struct berth_cmd_context *context, const char *filter,
				   char error[BERTH_ERROR_BYTES])
{
	struct berth_rtnl rtnl;
	int err = berth_rtnl_open(&rtnl);
	if (err) {
		berth_cmd_fail(error, BERTH_CODE_INTERNAL, "cannot open an rtnetlink socket: %s", strerror(-err));
		return BERTH_CODE_INTERNAL;
	}
	json_t *host = filter ? json_array() : json_incref(visit->checks);
	berth_doctor_system(context->state, &rtnl, host);
	if (filter)
		berth_doctor_add_problems(visit->checks, host);
	else
		berth_doctor_dns(context->state, visit->checks);
	json_decref(host);
	if (!filter)
		berth_doctor_find_gateways(context->state, &rtnl, visit->gateways);
	each_backend(visit, context->state, &rtnl, filter);
	berth_rtnl_close(&rtnl);
	visit->state = context->state;
	berth_heartbeat_sample(&visit->state->engine->image, &visit->workers);
	return start_probes(visit, context, error);
}

enum berth_code berth_cmd_doctor(const struct berth_cmd_context *context, const json_t *arguments, json_t **result,
				 char error[BERTH_ERROR_BYTES])
{
	(void)result;
	const char *filter = berth_cmd_text(arguments, "target");
	size_t n = each_backend(NULL, context->state, NULL, filter);
	if (filter && !n)
		return berth_cmd_fail(error, BERTH_CODE_NOT_FOUND,
				      "no backends of \"%s\" found; `berthctl show backends` lists all backends",
				      filter);
	struct visit *visit = visit_new(n + context->state->model->n_services);
	if (!visit)
		return berth_cmd_fail(error, BERTH_CODE_INTERNAL, "out of memory");
	enum berth_code code = start_visit(visit, context, filter, error);
	if (code)
		visit_free(visit);
	return code;
}
