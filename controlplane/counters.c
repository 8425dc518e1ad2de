// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/counters.h"

#include <string.h>

void berth_counters_totals(const struct berth_image *image, struct berth_totals *totals)
{
	memset(totals, 0, sizeof(*totals));
	for (uint32_t w = 0; w < image->geometry.workers; w++) {
		const struct berth_worker *worker = &image->workers[w];
		for (uint32_t v = 0; v < BERTH_VERDICT_COUNT; v++)
			totals->verdict[v] += BERTH_LOAD(&worker->verdict[v]);
		for (uint32_t e = 0; e < BERTH_EVENT_COUNT; e++)
			totals->event[e] += BERTH_LOAD(&worker->event[e]);
		totals->received += BERTH_LOAD(&worker->received);
	}
}

/* Sums one slot of the tallies over the workers. */
static void sum_slot(const struct berth_image *image, uint32_t slot, struct berth_tally *tally)
{
	uint32_t stride = image->geometry.services + image->geometry.backends;
	memset(tally, 0, sizeof(*tally));
	for (uint32_t w = 0; w < image->geometry.workers; w++) {
		const struct berth_tally *one = &image->tallies[w * stride + slot];
		tally->packets += BERTH_LOAD(&one->packets);
		tally->bytes += BERTH_LOAD(&one->bytes);
		tally->flows += BERTH_LOAD(&one->flows);
	}
}

void berth_counters_backend(const struct berth_image *image, uint32_t backend, struct berth_tally *tally)
{
	sum_slot(image, image->geometry.services + backend, tally);
}

void berth_counters_service(const struct berth_image *image, uint32_t service, struct berth_tally *tally)
{
	sum_slot(image, service, tally);
}
