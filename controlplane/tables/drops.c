// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/tables/drops.h"

#include <string.h>

enum {
	TRIES = 8, /* copies of a cell until no packet comes meanwhile */
};

/* False: it is of another service, or changes too fast. */
static bool copy_cell(struct berth_drop_cell *copy, const struct berth_drop_cell *cell, uint64_t service)
{
	for (int i = 0; i < TRIES; i++) {
		const uint64_t packets = BERTH_LOAD(&cell->packets);
		if (BERTH_LOAD(&cell->service) != service)
			return false;
		memcpy(copy, cell, sizeof(*copy));
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (BERTH_LOAD(&cell->packets) == packets && copy->service == service)
			return copy->packets && copy->verdict < BERTH_VERDICT_COUNT;
	}
	return false;
}

/* Inserts a sample in the order of their times, before those of its own time; the oldest falls out. */
static void add_sample(struct berth_drop_reason *reason, const struct berth_drop_sample *sample)
{
	uint32_t at = reason->n < BERTH_DROP_SAMPLES ? reason->n++ : BERTH_DROP_SAMPLES;
	for (; at && reason->sample[at - 1].time_ns <= sample->time_ns; at--)
		if (at < BERTH_DROP_SAMPLES)
			reason->sample[at] = reason->sample[at - 1];
	if (at < BERTH_DROP_SAMPLES)
		reason->sample[at] = *sample;
}

static void add_cell(struct berth_drop_reason *reason, const struct berth_drop_cell *cell)
{
	if (!reason->packets || cell->since_ns < reason->since_ns)
		reason->since_ns = cell->since_ns;
	reason->packets += cell->packets;
	/* The oldest first: times of XDP change every 100 ms at the latest. */
	for (uint64_t i = cell->packets > BERTH_DROP_SAMPLES ? cell->packets - BERTH_DROP_SAMPLES : 0;
	     i < cell->packets; i++)
		add_sample(reason, &cell->sample[i % BERTH_DROP_SAMPLES]);
}

void berth_drops_read(const struct berth_image *image, uint64_t service,
		      struct berth_drop_reason reasons[BERTH_VERDICT_COUNT])
{
	struct berth_drop_cell copy;
	memset(reasons, 0, sizeof(*reasons) * BERTH_VERDICT_COUNT);
	for (uint32_t w = 0; service && w < image->geometry.workers; w++)
		for (uint32_t i = 0; i < BERTH_DROP_CELLS; i++)
			if (copy_cell(&copy, &image->drops[w].cell[i], service))
				add_cell(&reasons[copy.verdict], &copy);
}
