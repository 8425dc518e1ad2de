/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/*
 * The last dropped packets of each service, by reason, for operators. Engines call it for packets that they drop,
 * so that others cost nothing. Each worker has BERTH_DROP_CELLS cells; service and reason decide between two of
 * them. If others have both, the one that was used longer ago is taken over and counts from 0.
 */
#pragma once

#include "abi.h"
#include "atomic.h"

#ifndef BERTH_HAVE_ACCESSORS
#error "include image.h or bpf/maps.h first"
#endif

/* The time of a cell's last packet. */
BERTH_INLINE uint64_t berth_drop_last_ns(const struct berth_drop_cell *cell)
{
	return cell->sample[(cell->packets - 1) % BERTH_DROP_SAMPLES].time_ns;
}

BERTH_INLINE bool berth_drop_is_of(const struct berth_drop_cell *cell, uint64_t service, uint32_t verdict)
{
	return cell->service == service && cell->verdict == verdict;
}

/* The cell of a service and reason, or the one that becomes it. */
BERTH_INLINE struct berth_drop_cell *berth_drop_cell_of(struct berth_drops *drops, uint64_t service,
							uint32_t verdict)
{
	const uint32_t at = (uint32_t)((service + verdict) * UINT64_C(0x9e3779b97f4a7c15) >> 40);
	struct berth_drop_cell *first = &drops->cell[at % BERTH_DROP_CELLS];
	struct berth_drop_cell *second = &drops->cell[(at ^ 1) % BERTH_DROP_CELLS];
	if (berth_drop_is_of(first, service, verdict) || !first->service)
		return first;
	if (berth_drop_is_of(second, service, verdict) || !second->service)
		return second;
	return berth_drop_last_ns(first) <= berth_drop_last_ns(second) ? first : second;
}

/* Keeps a dropped packet, if it is of a service. Always 0. */
BERTH_RARE_STEP int berth_drop_keep(const struct berth_view *view, const struct berth_packet *packet,
				    uint32_t verdict)
{
	if (!BERTH_IS_SET(view) || !BERTH_IS_SET(packet) || !packet->service)
		return 0;
	const struct berth_service *service = berth_at_services(view, view->first_service + packet->service);
	struct berth_drops *drops = berth_at_drops(view, view->worker);
	if (!BERTH_IS_SET(service) || !BERTH_IS_SET(drops))
		return 0;
	struct berth_drop_cell *cell = berth_drop_cell_of(drops, service->id, verdict);
	const uint64_t now_ns = berth_now_ns(view);
	if (!berth_drop_is_of(cell, service->id, verdict)) {
		cell->packets = 0;
		cell->since_ns = now_ns;
		cell->verdict = verdict;
		BERTH_STORE(&cell->service, service->id);
	}
	struct berth_drop_sample *sample = &cell->sample[cell->packets % BERTH_DROP_SAMPLES];
	sample->time_ns = now_ns;
	sample->packet = *packet;
	BERTH_STORE(&cell->packets, cell->packets + 1);
	return 0;
}
