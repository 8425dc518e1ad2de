// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/model/eligible.h"

#include <stdio.h>
#include <string.h>

void berth_eligible_count(const struct berth_model_service *service, struct berth_eligible_count *count)
{
	*count = (struct berth_eligible_count){.n = service->n_backends};
	for (size_t i = 0; i < service->n_backends; i++) {
		const struct berth_model_backend *backend = &service->backends[i];
		if (berth_model_is_eligible(backend))
			count->eligible++;
		else if (backend->admin != BERTH_ADMIN_ENABLED || backend->config.weight == 0)
			count->withdrawn++;
		else if (berth_model_health(backend) == BERTH_HEALTH_UNKNOWN)
			count->unknown++;
		else if (berth_model_health(backend) == BERTH_HEALTH_DOWN && !backend->is_kept)
			count->down++;
		else if (!backend->next_hop.is_resolved)
			count->without_next_hop++;
		else
			count->full++;
	}
}

void berth_eligible_explain(const struct berth_eligible_count *count, bool with_numbers,
			    char text[BERTH_INELIGIBLE_TEXT])
{
	const struct {
		size_t n;
		const char *what;
	} reasons[] = {{count->withdrawn, "disabled, draining or of weight 0"},
		       {count->down, "down"},
		       {count->unknown, "not checked yet"},
		       {count->without_next_hop, "without a next hop"},
		       {count->full, "at max-flows"}};
	size_t used = 0;
	snprintf(text, BERTH_INELIGIBLE_TEXT, count->n ? "" : "it has no backends");
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		char number[24] = "";
		if (!reasons[i].n)
			continue;
		if (with_numbers)
			snprintf(number, sizeof(number), "%zu ", reasons[i].n);
		used += (size_t)snprintf(text + used, BERTH_INELIGIBLE_TEXT - used, "%s%s%s", used ? ", " : "",
					 number, reasons[i].what);
	}
}

bool berth_eligible_update(struct berth_model_service *service, bool is_settled)
{
	struct berth_eligible_count count;
	berth_eligible_count(service, &count);
	bool alarm = !count.eligible && (service->had_eligible || (is_settled && !count.unknown));
	bool changed = alarm != service->no_eligible;
	service->no_eligible = alarm;
	service->had_eligible |= count.eligible > 0;
	return changed;
}
