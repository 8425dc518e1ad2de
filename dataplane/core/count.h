/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/* Counters. Each worker updates its own with plain stores; readers add up all workers. */
#pragma once

#include "abi.h"
#include "packet.h"

#ifndef BERTH_HAVE_ACCESSORS
#error "include image.h or bpf/maps.h first"
#endif

BERTH_INLINE void berth_count_event(const struct berth_view *view, enum berth_event event)
{
	struct berth_worker *worker = berth_at_workers(view, view->worker);
	if (worker)
		worker->event[event]++;
}

/* Counts `packets` that left with this verdict. */
BERTH_INLINE void berth_count_verdict(const struct berth_view *view, enum berth_verdict verdict, uint64_t packets)
{
	struct berth_worker *worker = berth_at_workers(view, view->worker);
	if (worker)
		worker->verdict[verdict & (BERTH_WORKER_VERDICTS - 1)] += packets;
}

BERTH_INLINE void berth_count_received(const struct berth_view *view, uint64_t packets)
{
	struct berth_worker *worker = berth_at_workers(view, view->worker);
	if (worker)
		worker->received += packets;
}

/* Counts one received packet and its verdict. */
BERTH_INLINE void berth_count_result(const struct berth_view *view, enum berth_verdict verdict)
{
	struct berth_worker *worker = berth_at_workers(view, view->worker);
	if (!worker)
		return;
	worker->received++;
	worker->verdict[verdict & (BERTH_WORKER_VERDICTS - 1)]++;
}

/* Adds a packet that is for a service to its backend's tally; without a backend, to the service's. */
BERTH_INLINE void berth_count_packet(const struct berth_view *view, const struct berth_packet *packet,
				     enum berth_verdict verdict)
{
	if (!packet->service || (packet->traits & BERTH_RETURN))
		return;
	bool forwarded = BERTH_VERDICT_CLASS(verdict) == BERTH_CLASS_FORWARD;
	uint32_t slot = forwarded ? view->services + packet->backend : packet->service;
	struct berth_tally *tally = berth_at_tallies(view, view->first_tally + slot);
	if (!tally)
		return;
	tally->packets++;
	tally->bytes += packet->bytes;
	/* A flow without an entry is not counted: each of its packets would be a new flow. */
	tally->flows += verdict >= BERTH_VERDICT_SESSION && verdict <= BERTH_VERDICT_RESELECTED &&
			!(packet->traits & BERTH_LATER_FRAGMENT);
}
