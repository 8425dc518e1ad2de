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
		else if (berth_model_admin(backend) != BERTH_ADMIN_ENABLED ||
			 berth_model_weight_hundredths(backend) == 0)
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

struct reason {
	size_t n;
	const char *what;
};

static void join(const struct reason *reasons, size_t n, bool with_numbers, char text[BERTH_INELIGIBLE_TEXT])
{
	size_t used = 0;
	for (size_t i = 0; i < n; i++) {
		char number[24] = "";
		if (!reasons[i].n)
			continue;
		if (with_numbers)
			snprintf(number, sizeof(number), "%zu ", reasons[i].n);
		used += (size_t)snprintf(text + used, BERTH_INELIGIBLE_TEXT - used, "%s%s%s", used ? ", " : "",
					 number, reasons[i].what);
	}
}

void berth_eligible_explain(const struct berth_eligible_count *count, char text[BERTH_INELIGIBLE_TEXT])
{
	const struct reason reasons[] = {{count->withdrawn, "disabled, draining or of weight 0"},
					 {count->down, "down"},
					 {count->unknown, "not checked yet"},
					 {count->without_next_hop, "without a next hop"},
					 {count->full, "at max-flows"}};
	snprintf(text, BERTH_INELIGIBLE_TEXT, "it has no backends");
	join(reasons, sizeof(reasons) / sizeof(reasons[0]), true, text);
}

void berth_eligible_summarize(const struct berth_eligible_count *count, char text[BERTH_INELIGIBLE_TEXT])
{
	const struct reason reasons[] = {{count->down + count->without_next_hop, "down or without a next hop"},
					 {count->withdrawn, "disabled, draining or of weight 0"},
					 {count->unknown, "not checked yet"},
					 {count->full, "at max-flows"}};
	snprintf(text, BERTH_INELIGIBLE_TEXT, "it has no backends");
	join(reasons, sizeof(reasons) / sizeof(reasons[0]), false, text);
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
