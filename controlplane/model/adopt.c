// SPDX-License-Identifier: BSD-3-Clause
/* Reads the state of an existing image into a new model. */
#include "controlplane/model/model.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/core/flowtab.h"

/* `ports`: of the generation. The index of a port can differ in the next one, its interface does not. */
static struct berth_next_hop next_hop_of(const struct berth_backend *backend, const struct berth_port *ports)
{
	struct berth_next_hop hop = {
		.is_resolved = backend->flags & BERTH_BACKEND_NEXT_HOP,
		.ifindex = ports[backend->port % BERTH_MAX_PORTS].ifindex,
		.port = backend->port,
		.mtu = backend->mtu,
		.source = backend->outer_src,
	};
	memcpy(hop.dst_mac, backend->dst_mac, sizeof(hop.dst_mac));
	memcpy(hop.src_mac, backend->src_mac, sizeof(hop.src_mac));
	return hop;
}

/* Health by the checks. Services share checks, so an override of one backend (forced, disabled, kept in a panic)
 * must not become the health of others. Eligibility is written before the recorded health: without an override a
 * backend that is not eligible is no longer up. */
static enum berth_health_state health_of(const struct berth_backend *backend, uint8_t eligibility)
{
	bool is_off = backend->admin == BERTH_ADMIN_DISABLED || backend->admin == BERTH_ADMIN_EVICTED;
	bool is_overridden = is_off || backend->forced != BERTH_FORCED_NOT;
	switch (backend->health) {
	case BERTH_HEALTH_UP:
		return is_overridden || eligibility ? BERTH_HEALTH_UP : BERTH_HEALTH_DOWN;
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
static void quarantine_failback(struct berth_numbers *numbers, const struct berth_image *image)
{
	const uint32_t n = image->geometry.session_buckets * BERTH_BUCKET_WORDS;
	for (uint32_t i = 0; i < n; i++)
		berth_numbers_quarantine(numbers, image->clients[i].from);
}

int berth_model_adopt(struct berth_model *model, const struct berth_image *image)
{
	const struct berth_geometry *g = &image->geometry;
	const struct berth_image_half current = berth_image_current(image);
	const struct berth_port *ports = image->ctl->ports[image->ctl->generation & 1];
	model->adopted_backends = calloc(g->backends, sizeof(*model->adopted_backends));
	if (!model->adopted_backends)
		return -ENOMEM;
	for (uint32_t n = 1; n < model->service_numbers.size; n++)
		model->service_numbers.id[n] = current.services[n].id;
	for (uint32_t n = 1; n < model->backend_numbers.size; n++) {
		const struct berth_backend *backend = &current.backends[n];
		uint8_t eligibility =
			image->eligibility[n / BERTH_ELIGIBILITY_PER_LINE].backend[n % BERTH_ELIGIBILITY_PER_LINE];
		model->backend_numbers.id[n] = backend->id;
		model->adopted_backends[n] = (struct berth_adopted_backend){
			.address = backend->address,
			.admin = backend->admin < BERTH_ADMIN_COUNT ? backend->admin : BERTH_ADMIN_ENABLED,
			.forced = backend->forced <= BERTH_FORCED_DOWN ? backend->forced : BERTH_FORCED_NOT,
			.health = health_of(backend, eligibility),
			.load = eligibility & (BERTH_OVER_SHARE | BERTH_AT_LIMIT),
			.evict_at = backend->evict_at,
			.next_hop = next_hop_of(backend, ports),
		};
	}
	quarantine_words(&model->backend_numbers, image->flows, g->flow_buckets);
	quarantine_words(&model->backend_numbers, image->sessions, g->session_buckets);
	quarantine_failback(&model->backend_numbers, image);
	return 0;
}
