// SPDX-License-Identifier: BSD-3-Clause
#include <string.h>

#include "controlplane/doctor/system.h"

enum {
	MISSES = 3, /* in a row */
};

void berth_doctor_agent(const struct berth_daemon_state *state, const struct berth_model_backend *backend,
			const char *subject, uint16_t port, json_t *checks)
{
	struct berth_agent_status status;
	if (!berth_health_get_agent(state->health, backend->id, &status) || status.misses < MISSES)
		return;
	if (strncmp(status.reason, "refused: ", strlen("refused: ")) == 0)
		berth_doctor_addf(checks, subject, BERTH_DOCTOR_PROBLEM,
				  "correct what the agent on the server says: docs/configuration.md has the words",
				  "the line of its agent is %s; what it said before stays in force", status.reason);
	else
		berth_doctor_addf(
			checks, subject, BERTH_DOCTOR_PROBLEM,
			"start the agent on the server, or open its port in firewalls; without one remove "
			"`agent` from the service",
			"its agent on port %u is silent (%s); what it said before stays in force", port,
			status.reason);
}
