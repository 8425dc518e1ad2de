// SPDX-License-Identifier: BSD-3-Clause
/* Findings subject DNS names. */
#include <stdio.h>

#include "controlplane/api/plural.h"
#include "controlplane/doctor/system.h"
#include "controlplane/state/state.h"

static void check_name(const struct berth_daemon_state *state, const char *name,
		       struct berth_doctor_finding *finding)
{
	const struct berth_dns_answer *answer = berth_dns_state_answer(state->dns_state, name);
	struct berth_dns_name_status status = {0};
	size_t n = answer ? answer->n : 0;
	berth_dns_resolver_get(state->dns_resolver, name, &status);
	*finding = (struct berth_doctor_finding){.level = BERTH_DOCTOR_OK};
	if (!status.error[0]) {
		snprintf(finding->text, sizeof(finding->text), "%zu address%s", n, BERTH_PLURAL_ES(n));
		return;
	}
	finding->level = n ? BERTH_DOCTOR_NOTE : BERTH_DOCTOR_PROBLEM;
	snprintf(finding->text, sizeof(finding->text), "%s; the last good answer has %zu address%s", status.error,
		 n, BERTH_PLURAL_ES(n));
	snprintf(finding->remedy, sizeof(finding->remedy),
		 "query it with `dig %s`; then fix the name, or `servers` in section dns", name);
}

void berth_doctor_dns(const struct berth_daemon_state *state, json_t *checks)
{
	const struct berth_config *config = state->model->config;
	json_t *seen = json_object();
	for (size_t i = 0; i < config->n_services; i++)
		for (size_t j = 0; j < config->services[i].n_sources; j++) {
			const char *name = config->services[i].sources[j].dns;
			struct berth_doctor_finding finding;
			char subject[BERTH_DNS_NAME_BYTES + 4];
			if (json_object_get(seen, name))
				continue;
			json_object_set_new(seen, name, json_true());
			check_name(state, name, &finding);
			snprintf(subject, sizeof(subject), "dns %s", name);
			berth_doctor_add(checks, subject, &finding);
		}
	json_decref(seen);
}
