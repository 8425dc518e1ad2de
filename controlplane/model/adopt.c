// SPDX-License-Identifier: BSD-3-Clause
/* Reads the record of existing tables into a new model. */
#include "controlplane/model/agent.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/core/flowtab.h"

static struct berth_next_hop next_hop_of(const struct berth_record_backend *backend)
{
	struct berth_next_hop hop = {
		.is_resolved = backend->is_resolved,
		.ifindex = backend->ifindex,
		.mtu = backend->mtu,
		.source = backend->source,
	};
	memcpy(hop.dst_mac, backend->dst_mac, sizeof(hop.dst_mac));
	memcpy(hop.src_mac, backend->src_mac, sizeof(hop.src_mac));
	return hop;
}

/* Health by the checks. Services share checks, so an override of one backend (forced, disabled, kept in a panic,
 * down by its agent) must not become the health of others. Eligibility is written before the recorded health:
 * without an override a backend that is not eligible is no longer up. */
static enum berth_health_state health_of(const struct berth_record_backend *backend,
					 const struct berth_agent_part *agent)
{
	bool is_off = backend->admin == BERTH_ADMIN_DISABLED || backend->admin == BERTH_ADMIN_EVICTED;
	bool is_overridden = is_off || agent->is_down || backend->forced != BERTH_FORCED_NOT;
	switch (backend->health) {
	case BERTH_HEALTH_UP:
		return is_overridden || backend->eligibility ? BERTH_HEALTH_UP : BERTH_HEALTH_DOWN;
	case BERTH_HEALTH_DOWN:
		return BERTH_HEALTH_DOWN;
	default:
		return BERTH_HEALTH_UNKNOWN;
	}
}

/* Puts numbers into quarantine that words still hold although their backends were removed shortly before. */
static void quarantine_words(struct berth_numbers *numbers, const struct berth_bucket *table, uint32_t buckets)
{
	for (uint32_t i = 0; i < buckets; i++)
		for (uint32_t j = 0; j < BERTH_BUCKET_WORDS; j++) {
			uint64_t word = table[i].word[j];
			if (word)
				berth_numbers_quarantine(numbers, berth_word_backend(word));
		}
}

/* The same for the backends to which sessions may fail back. */
static void quarantine_failback(struct berth_numbers *numbers, const struct berth_client *clients, uint32_t buckets)
{
	for (uint32_t i = 0; i < buckets * BERTH_BUCKET_WORDS; i++)
		berth_numbers_quarantine(numbers, clients[i].from);
}

static void quarantine_all(struct berth_numbers *numbers, const struct berth_image *image)
{
	const struct berth_geometry *g = &image->geometry;
	const uint32_t former = berth_former_buckets(image->former_session_bits);
	quarantine_words(numbers, image->flows, g->flow_buckets);
	quarantine_words(numbers, image->sessions, g->session_buckets);
	quarantine_failback(numbers, image->clients, g->session_buckets);
	quarantine_words(numbers, image->former_flows, berth_former_buckets(image->former_flow_bits));
	quarantine_words(numbers, image->former_sessions, former);
	quarantine_failback(numbers, image->former_clients, former);
}

static struct berth_adopted_backend adopted_of(const struct berth_record_backend *backend)
{
	struct berth_agent_part agent = {0};
	berth_agent_restore(&agent, backend->id, &backend->agent);
	const enum berth_health_state health = health_of(backend, &agent);
	return (struct berth_adopted_backend){
		.address = backend->address,
		.admin = backend->admin < BERTH_ADMIN_COUNT ? backend->admin : BERTH_ADMIN_ENABLED,
		.forced = backend->forced <= BERTH_FORCED_DOWN ? backend->forced : BERTH_FORCED_NOT,
		.health = health,
		/* Down and eligible, and not by an operator: by a panic. */
		.is_kept = (health == BERTH_HEALTH_DOWN || agent.is_down) && backend->forced == BERTH_FORCED_NOT &&
			   backend->eligibility & BERTH_ELIGIBLE_FLOWS,
		.load = backend->eligibility & (BERTH_OVER_SHARE | BERTH_AT_LIMIT),
		.evict_at = backend->evict_at,
		.next_hop = next_hop_of(backend),
		.agent = agent,
	};
}

int berth_model_adopt(struct berth_model *model, const struct berth_record *record, const struct berth_image *image)
{
	struct berth_numbers *services = &model->service_numbers, *backends = &model->backend_numbers;
	model->adopted_backends = calloc(backends->size, sizeof(*model->adopted_backends));
	if (!model->adopted_backends)
		return -ENOMEM;
	for (uint32_t n = 1; n < services->size && n < record->n_services; n++)
		services->id[n] = berth_record_services(record)[n];
	for (uint32_t n = 1; n < backends->size && n < record->n_backends; n++) {
		const struct berth_record_backend *backend = &berth_record_backends(record)[n];
		backends->id[n] = backend->id;
		model->adopted_backends[n] = adopted_of(backend);
	}
	quarantine_all(backends, image);
	return 0;
}
