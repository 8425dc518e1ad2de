// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/cmd/cmd.h"
#include "controlplane/doctor/host.h"
#include "controlplane/doctor/run.h"

/* A doctor at work. The configuration may change meanwhile, so it keeps its own copy of what it asked about. */
struct visit {
	struct berth_server_later *later;
	struct berth_doctor_run *run;
	json_t *checks;
	struct patient *patients;
	size_t n;
};

struct patient {
	char name[2 * BERTH_NAME_BYTES];
	struct berth_health_status health;
	struct berth_doctor_target target;
};

static void visit_free(struct visit *visit)
{
	json_decref(visit->checks);
	free(visit->patients);
	free(visit);
}

/* With room for `n` patients. */
static struct visit *visit_new(size_t n)
{
	struct visit *visit = calloc(1, sizeof(*visit));
	if (!visit)
		return NULL;
	visit->checks = json_array();
	visit->patients = calloc(n + 1, sizeof(*visit->patients));
	if (visit->checks && visit->patients)
		return visit;
	visit_free(visit);
	return NULL;
}

static void on_gone(void *arg)
{
	struct visit *visit = arg;
	berth_doctor_run_free(visit->run);
	visit_free(visit);
}

static json_t *result_of(json_t *checks)
{
	size_t i, wrong = 0;
	json_t *check;
	json_array_foreach(checks, i, check)
		wrong += strcmp(json_string_value(json_object_get(check, "level")), "problem") == 0;
	return json_pack("{s:O, s:I}", "checks", checks, "problems", (json_int_t)wrong);
}

static void on_done(void *arg, const struct berth_doctor_evidence *evidence)
{
	struct visit *visit = arg;
	char no_error[BERTH_ERROR_BYTES] = "";
	for (size_t i = 0; i < visit->n; i++) {
		struct berth_doctor_finding findings[BERTH_DOCTOR_FINDINGS];
		size_t n = berth_doctor_judge(&visit->patients[i].target, &evidence[i], findings);
		for (size_t f = 0; f < n; f++)
			berth_doctor_add(visit->checks, visit->patients[i].name, &findings[f]);
	}
	berth_server_answer(visit->later, BERTH_CODE_OK, result_of(visit->checks), no_error);
	visit_free(visit);
}

/* Takes a backend on as a patient, or says at once why it cannot be one. */
static void admit(struct visit *visit, const struct berth_daemon_state *state, struct berth_rtnl *rtnl,
		  const struct berth_model_service *service, const struct berth_model_backend *backend)
{
	struct patient *patient = &visit->patients[visit->n];
	struct berth_doctor_finding finding = {0};

	snprintf(patient->name, sizeof(patient->name), "%s/%s", service->config.name, backend->config.name);
	if (!berth_doctor_find(state, rtnl, service, backend, &patient->target, &finding)) {
		berth_doctor_add(visit->checks, patient->name, &finding);
		return;
	}
	if (!berth_health_get(state->health, backend->id, &patient->health) || !patient->health.reason[0])
		snprintf(patient->health.reason, sizeof(patient->health.reason), "not known yet");
	patient->target.health_reason = patient->health.reason;
	visit->n++;
}

/* Whether the backend is one that was asked about: all, "SERVICE" or "SERVICE/BACKEND". */
static bool is_wanted(const char *asked, const struct berth_model_service *service,
		      const struct berth_model_backend *backend)
{
	size_t length = strlen(service->config.name);
	if (!asked)
		return true;
	if (strncmp(asked, service->config.name, length) != 0)
		return false;
	return !asked[length] || (asked[length] == '/' && strcmp(asked + length + 1, backend->config.name) == 0);
}

/* How many backends were asked about; with `rtnl` they are admitted, too. */
static size_t each_wanted(struct visit *visit, const struct berth_daemon_state *state, struct berth_rtnl *rtnl,
			  const char *asked)
{
	size_t n = 0;
	for (size_t i = 0; i < state->model->n_services; i++) {
		const struct berth_model_service *service = &state->model->services[i];
		for (size_t j = 0; j < service->n_backends; j++) {
			if (!is_wanted(asked, service, &service->backends[j]))
				continue;
			n++;
			if (rtnl)
				admit(visit, state, rtnl, service, &service->backends[j]);
		}
	}
	return n;
}

static enum berth_code begin(struct visit *visit, const struct berth_cmd_context *context,
			     char error[BERTH_ERROR_BYTES])
{
	struct berth_doctor_target *targets = calloc(visit->n + 1, sizeof(*targets));
	for (size_t i = 0; targets && i < visit->n; i++)
		targets[i] = visit->patients[i].target;
	snprintf(error, BERTH_ERROR_BYTES, "out of memory");
	if (targets)
		visit->run = berth_doctor_run_new(context->base, targets, visit->n, on_done, visit, error);
	free(targets);
	if (!visit->run)
		return BERTH_CODE_INTERNAL;
	visit->later = berth_server_later(context->server, on_gone, visit);
	if (visit->later)
		return BERTH_CODE_OK;
	berth_doctor_run_free(visit->run);
	berth_cmd_fail(error, BERTH_CODE_INTERNAL, "this takes a client that waits");
	return BERTH_CODE_INTERNAL;
}

/* Everything but the probes, then those. Unless it fails, the answer comes later. */
static enum berth_code examine(struct visit *visit, const struct berth_cmd_context *context, const char *asked,
			       char error[BERTH_ERROR_BYTES])
{
	struct berth_rtnl rtnl;
	int err = berth_rtnl_open(&rtnl);
	if (err) {
		berth_cmd_fail(error, BERTH_CODE_INTERNAL, "cannot ask the kernel by rtnetlink: %s",
			       strerror(-err));
		return BERTH_CODE_INTERNAL;
	}
	if (!asked) {
		berth_doctor_host(context->state, &rtnl, visit->checks);
		berth_doctor_names(context->state, visit->checks);
	}
	each_wanted(visit, context->state, &rtnl, asked);
	berth_rtnl_close(&rtnl);
	return begin(visit, context, error);
}

enum berth_code berth_cmd_doctor(const struct berth_cmd_context *context, const json_t *arguments, json_t **result,
				 char error[BERTH_ERROR_BYTES])
{
	(void)result;
	const char *asked = berth_cmd_text(arguments, "target");
	size_t n = each_wanted(NULL, context->state, NULL, asked);
	if (asked && !n)
		return berth_cmd_fail(
			error, BERTH_CODE_NOT_FOUND,
			"there are no backends of \"%s\"; `berthctl show backends` lists what there is", asked);
	struct visit *visit = visit_new(n);
	if (!visit)
		return berth_cmd_fail(error, BERTH_CODE_INTERNAL, "out of memory");
	enum berth_code code = examine(visit, context, asked, error);
	if (code)
		visit_free(visit);
	return code;
}
