// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/compile/generation.h"

#include <stdlib.h>

#include "controlplane/config/rules.h"
#include "controlplane/model/model.h"

enum {
	LARGE_TABLES = 64,
};

static uint32_t power_of_two(uint64_t at_least)
{
	uint32_t n = 1;
	while (n < at_least && n < UINT32_C(1) << 31)
		n <<= 1;
	return n;
}

/* Buckets for `entries` at a load of 75%, at which 0.0013% of entries find both buckets full. */
static uint32_t buckets_for(uint32_t entries)
{
	return power_of_two(((uint64_t)entries * 4 / 3 + BERTH_BUCKET_WORDS - 1) / BERTH_BUCKET_WORDS);
}

/*
 * Row lines of a half: a table of BERTH_DEFAULT_ROWS for up to LARGE_TABLES services, the smallest automatic one
 * for each further service, and in steps of a quarter more if the configuration needs more. A few sizes only,
 * because tables of another size are made anew.
 */
static uint64_t half_row_lines(uint32_t services, uint64_t needed)
{
	const uint64_t n_large = services < LARGE_TABLES ? services : LARGE_TABLES;
	const uint64_t large = n_large * berth_row_lines(BERTH_DEFAULT_ROWS);
	const uint64_t small = (uint64_t)services * berth_row_lines(BERTH_LEAST_AUTOMATIC_ROWS);
	uint64_t lines = large > small ? large : small;
	while (lines < needed)
		lines += lines / 4;
	return lines;
}

struct berth_geometry berth_geometry_of(const struct berth_limits *limits, uint64_t needed, uint32_t workers)
{
	const uint64_t row_lines = 2 * half_row_lines(limits->services, needed);
	uint32_t backends = limits->backends + 1 + BERTH_ELIGIBILITY_PER_LINE - 1;
	return (struct berth_geometry){
		.services = limits->services + 1,
		.backends = backends - backends % BERTH_ELIGIBILITY_PER_LINE,
		/* At most a quarter full: classifier.c. */
		.vips = power_of_two(4 * (BERTH_SLOTS_PER_SERVICE * (uint64_t)limits->services +
					  BERTH_SLOTS_PER_BACKEND * (uint64_t)limits->backends + BERTH_MAX_OWN)),
		.row_lines = row_lines < UINT32_MAX ? (uint32_t)row_lines : UINT32_MAX,
		.flow_buckets = buckets_for(limits->flows),
		.session_buckets = buckets_for(limits->sessions),
		.workers = workers,
	};
}

struct berth_generation *berth_generation_new(const struct berth_geometry *geometry)
{
	struct berth_generation *generation = calloc(1, sizeof(*generation));
	if (!generation)
		return NULL;
	generation->n_services = geometry->services;
	generation->n_backends = geometry->backends;
	generation->n_vips = geometry->vips;
	generation->services = calloc(geometry->services, sizeof(*generation->services));
	generation->backends = calloc(geometry->backends, sizeof(*generation->backends));
	generation->rows = calloc(geometry->services, sizeof(*generation->rows));
	if (generation->services && generation->backends && generation->rows)
		return generation;
	berth_generation_free(generation);
	return NULL;
}

void berth_generation_free(struct berth_generation *generation)
{
	if (!generation)
		return;
	free(generation->services);
	free(generation->backends);
	free(generation->slots);
	free(generation->rows);
	free(generation);
}
