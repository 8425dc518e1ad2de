// SPDX-License-Identifier: BSD-3-Clause
/* DNS names whose addresses are backends. */
#include <stdio.h>

#include "controlplane/doctor/host.h"
#include "controlplane/state/state.h"

static void judge(const struct berth_daemon_state *state, const char *name, struct berth_doctor_finding *finding)
{
	const struct berth_dns_answer *answer = berth_dns_state_answer(state->dns_known, name);
	struct berth_dns_name_status status = {0};
	size_t n = answer ? answer->n : 0;
	berth_dns_resolver_get(state->dns_resolver, name, &status);
	*finding = (struct berth_doctor_finding){.level = BERTH_DOCTOR_OK};
	if (!status.error[0]) {
		snprintf(finding->seen, sizeof(finding->seen), "%zu addresses", n);
		return;
	}
	finding->level = n ? BERTH_DOCTOR_NOTE : BERTH_DOCTOR_WRONG;
	snprintf(finding->seen, sizeof(finding->seen), "%s; %zu addresses are known from before", status.error, n);
	snprintf(finding->advice, sizeof(finding->advice),
		 "ask by hand (`dig %s`), and see to the name or to `servers` in the section dns", name);
}

void berth_doctor_names(const struct berth_daemon_state *state, json_t *checks)
{
	const struct berth_config *config = state->model->config;
	json_t *seen = json_object();
	for (size_t i = 0; i < config->n_services; i++)
		for (size_t j = 0; j < config->services[i].n_sources; j++) {
			const char *name = config->services[i].sources[j].dns;
			struct berth_doctor_finding finding;
			char about[BERTH_DNS_NAME_BYTES + 4];
			if (json_object_get(seen, name))
				continue;
			json_object_set_new(seen, name, json_true());
			judge(state, name, &finding);
			snprintf(about, sizeof(about), "dns %s", name);
			berth_doctor_add(checks, about, &finding);
		}
	json_decref(seen);
}
