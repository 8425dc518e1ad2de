// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/announce/ready.h"

#include <stdio.h>

#include "controlplane/api/plural.h"
#include "controlplane/model/eligible.h"

bool berth_ready_node(const struct berth_node *node, char reason[BERTH_ERROR_BYTES])
{
	reason[0] = '\0';
	if (node->is_stopping)
		snprintf(reason, BERTH_ERROR_BYTES, "stopping: the engine ends soon (shutdown)");
	else if (node->fault[0])
		snprintf(reason, BERTH_ERROR_BYTES, "%s", node->fault);
	else if (node->is_synchronising)
		snprintf(reason, BERTH_ERROR_BYTES,
			 "waiting for what other nodes have told (cluster.sync-timeout)");
	else if (node->is_drained)
		snprintf(reason, BERTH_ERROR_BYTES, "drained by an operator; `berthctl node enable` ends it");
	return !reason[0];
}

/* A backend that a panic keeps in use is down here: another node may reach it, and if none does, no client waits
 * for an answer that does not come. */
static void count_backends(const struct berth_model_service *service, struct berth_eligible_count *count)
{
	berth_eligible_count(service, count);
	for (size_t i = 0; i < service->n_backends; i++)
		if (service->backends[i].is_kept && berth_model_is_eligible(&service->backends[i])) {
			count->eligible--;
			count->down++;
		}
}

static size_t minimum(const struct berth_announce_config *config, const struct berth_eligible_count *count)
{
	if (!config->min_eligible_percent)
		return config->min_eligible;
	const size_t share = ((count->n - count->withdrawn) * config->min_eligible_percent + 99) / 100;
	return share ? share : 1;
}

size_t berth_ready_minimum(const struct berth_announce_config *config, const struct berth_model_service *service)
{
	struct berth_eligible_count count;
	count_backends(service, &count);
	return minimum(config, &count);
}

bool berth_ready_is_unknown(const struct berth_model_service *service)
{
	struct berth_eligible_count count;
	count_backends(service, &count);
	return !service->is_health_known && count.unknown;
}

bool berth_ready_service(const struct berth_announce_config *config, const struct berth_model_service *service,
			 char reason[BERTH_ERROR_BYTES])
{
	struct berth_eligible_count count;
	char why[BERTH_INELIGIBLE_TEXT];
	reason[0] = '\0';
	count_backends(service, &count);
	if (berth_ready_is_unknown(service)) {
		snprintf(reason, BERTH_ERROR_BYTES, "%s: waiting for the first health checks of %zu backend%s",
			 service->config.name, count.unknown, BERTH_PLURAL(count.unknown));
		return false;
	}
	const size_t needed = minimum(config, &count);
	if (count.eligible >= needed)
		return true;
	berth_eligible_explain(&count, why);
	snprintf(reason, BERTH_ERROR_BYTES,
		 "%s: %zu of %zu backends are eligible, and min-eligible asks for %zu: %s", service->config.name,
		 count.eligible, count.n, needed, count.eligible == count.n && count.n ? "add backends" : why);
	return false;
}

size_t berth_ready_follow(struct berth_model_service *service, bool is_late)
{
	struct berth_eligible_count count;
	if (service->is_health_known)
		return 0;
	count_backends(service, &count);
	service->is_health_known = !count.unknown || is_late;
	return service->is_health_known ? count.unknown : 0;
}

bool berth_ready_check(const struct berth_node *node, const struct berth_model *model,
		       const struct berth_model_service *only, berth_ready_fn *fn, void *arg)
{
	char reason[BERTH_ERROR_BYTES];
	bool is_ready = berth_ready_node(node, reason);
	if (!is_ready && fn)
		fn(arg, reason);
	for (size_t i = 0; i < model->n_services; i++) {
		const struct berth_model_service *service = &model->services[i];
		if ((only ? service != only : !service->config.announce) ||
		    berth_ready_service(&model->config->announce, service, reason))
			continue;
		is_ready = false;
		if (fn)
			fn(arg, reason);
	}
	return is_ready;
}
