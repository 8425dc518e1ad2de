// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/tables/record.h"

#include <string.h>

#include "dataplane/core/atomic.h"

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* All but the id and the eligibility. */
static void set_backend(struct berth_record_backend *to, const struct berth_backend *from,
			const struct berth_port *ports)
{
	to->address = from->address;
	to->service = from->service;
	to->evict_at = from->evict_at;
	to->health = from->health;
	to->forced = from->forced;
	to->admin = from->admin;
	to->ifindex = ports[from->port % BERTH_MAX_PORTS].ifindex;
	memcpy(to->dst_mac, from->dst_mac, sizeof(to->dst_mac));
	memcpy(to->src_mac, from->src_mac, sizeof(to->src_mac));
	to->mtu = from->mtu;
	to->is_resolved = from->flags & BERTH_BACKEND_NEXT_HOP;
	to->source = from->outer_src;
}

void berth_record_add(struct berth_record *record, const struct berth_generation *generation)
{
	if (!record)
		return;
	for (uint32_t n = 1; n < least(record->n_services, generation->n_services); n++) {
		uint64_t *id = &berth_record_services(record)[n];
		if (!*id)
			BERTH_STORE(id, generation->services[n].id);
	}
	for (uint32_t n = 1; n < least(record->n_backends, generation->n_backends); n++) {
		struct berth_record_backend *backend = &berth_record_backends(record)[n];
		if (backend->id || !generation->backends[n].id)
			continue;
		set_backend(backend, &generation->backends[n], generation->ports);
		BERTH_STORE(&backend->id, generation->backends[n].id);
	}
}

void berth_record_set(struct berth_record *record, const struct berth_generation *generation)
{
	if (!record)
		return;
	for (uint32_t n = 1; n < least(record->n_services, generation->n_services); n++)
		BERTH_STORE(&berth_record_services(record)[n], generation->services[n].id);
	for (uint32_t n = 1; n < least(record->n_backends, generation->n_backends); n++) {
		struct berth_record_backend *backend = &berth_record_backends(record)[n];
		set_backend(backend, &generation->backends[n], generation->ports);
		BERTH_STORE(&backend->id, generation->backends[n].id);
	}
}

void berth_record_set_eligibility(struct berth_record *record, uint32_t backend, uint8_t eligibility)
{
	if (record && backend < record->n_backends)
		BERTH_STORE(&berth_record_backends(record)[backend].eligibility, eligibility);
}
