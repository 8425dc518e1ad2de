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

static void set_service(struct berth_record *record, uint32_t n, uint64_t id)
{
	uint64_t *at = &berth_record_services(record)[n];
	if (*at == id)
		return;
	berth_record_open_part(record, BERTH_RECORD_SERVICE(n));
	BERTH_STORE(at, id);
	berth_record_close_part(record, BERTH_RECORD_SERVICE(n));
}

/* The id last: a number with an id is complete. */
static void set_number(struct berth_record *record, uint32_t n, const struct berth_generation *generation)
{
	struct berth_record_backend *backend = &berth_record_backends(record)[n], next = *backend;
	set_backend(&next, &generation->backends[n], generation->ports);
	next.id = generation->backends[n].id;
	if (memcmp(backend, &next, sizeof(next)) == 0)
		return;
	berth_record_open_part(record, BERTH_RECORD_BACKEND(record, n));
	set_backend(backend, &generation->backends[n], generation->ports);
	BERTH_STORE(&backend->id, next.id);
	berth_record_close_part(record, BERTH_RECORD_BACKEND(record, n));
}

void berth_record_add(struct berth_record *record, const struct berth_generation *generation)
{
	if (!record)
		return;
	for (uint32_t n = 1; n < least(record->n_services, generation->n_services); n++)
		if (!berth_record_services(record)[n])
			set_service(record, n, generation->services[n].id);
	for (uint32_t n = 1; n < least(record->n_backends, generation->n_backends); n++)
		if (!berth_record_backends(record)[n].id && generation->backends[n].id)
			set_number(record, n, generation);
}

void berth_record_set(struct berth_record *record, const struct berth_generation *generation)
{
	if (!record)
		return;
	for (uint32_t n = 1; n < least(record->n_services, generation->n_services); n++)
		set_service(record, n, generation->services[n].id);
	for (uint32_t n = 1; n < least(record->n_backends, generation->n_backends); n++)
		set_number(record, n, generation);
}

void berth_record_set_eligibility(struct berth_record *record, uint32_t backend, uint8_t eligibility)
{
	if (!record || backend >= record->n_backends ||
	    berth_record_backends(record)[backend].eligibility == eligibility)
		return;
	berth_record_open_part(record, BERTH_RECORD_BACKEND(record, backend));
	BERTH_STORE(&berth_record_backends(record)[backend].eligibility, eligibility);
	berth_record_close_part(record, BERTH_RECORD_BACKEND(record, backend));
}

void berth_record_set_agent(struct berth_record *record, uint32_t backend, const struct berth_record_agent *agent)
{
	if (!record || backend >= record->n_backends)
		return;
	struct berth_record_agent *at = &berth_record_backends(record)[backend].agent;
	if (memcmp(at, agent, sizeof(*at)) == 0)
		return;
	berth_record_open_part(record, BERTH_RECORD_BACKEND(record, backend));
	*at = *agent;
	berth_record_close_part(record, BERTH_RECORD_BACKEND(record, backend));
}
