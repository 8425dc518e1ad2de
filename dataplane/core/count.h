/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/* Counters: each worker adds to its own lines, with plain stores; readers sum over the workers. */
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

/* `packets` that left with this verdict. */
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

/* A packet, and what became of it. */
BERTH_INLINE void berth_count_result(const struct berth_view *view, enum berth_verdict verdict)
{
	struct berth_worker *worker = berth_at_workers(view, view->worker);
	if (!worker)
		return;
	worker->received++;
	worker->verdict[verdict & (BERTH_WORKER_VERDICTS - 1)]++;
}

/* A packet that is for a service: to its backend's tally, or to the service's own where it got none. */
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
	/* A flow that is not remembered begins with every packet, and is none to count. */
	tally->flows += verdict >= BERTH_VERDICT_SESSION && verdict <= BERTH_VERDICT_RESELECTED &&
			!(packet->traits & BERTH_LATER_FRAGMENT);
}
