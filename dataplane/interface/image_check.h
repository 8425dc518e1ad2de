/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whether an existing image can be used without reading or writing outside of its sections: berthd checks before it
 * adopts an image, berth-dpdk before it forwards. The control block's geometry, every number in the current
 * generation that is used as an index, and digests: a published generation is never edited, so another digest means
 * damage, which could send packets to a wrong place. Numbers in table words are checked by each use
 * (core/flowtab.h). Pure.
 */
#pragma once

#include <stddef.h>

#include "dataplane/core/hash.h"
#include "dataplane/core/image.h"

/* XXH3 with a seed. Its long inputs have crafted collisions; damage is not crafted. */
static inline uint64_t berth_digest(uint64_t seed, const void *data, size_t bytes)
{
	return XXH3_64bits_withSeed(data, bytes, seed);
}

/* Of a selection table, and of the former rows unless NULL; never 0. */
static inline uint64_t berth_rows_digest(const struct berth_row *rows, const struct berth_row *former, uint32_t n)
{
	uint64_t digest = berth_digest(n, rows, n * sizeof(*rows));
	if (former)
		digest = berth_digest(digest, former, n * sizeof(*former));
	return digest ? digest : 1;
}

/* Of a generation without its selection tables, whose digests are in its services. */
static inline uint64_t berth_generation_digest(const struct berth_image *image, uint64_t generation)
{
	const struct berth_geometry *g = &image->geometry;
	const struct berth_image_half half = berth_image_half(image, generation);
	uint64_t digest = berth_digest(generation, image->ctl->secret, sizeof(image->ctl->secret));
	digest = berth_digest(digest, half.services, g->services * sizeof(*half.services));
	digest = berth_digest(digest, half.backends, g->backends * sizeof(*half.backends));
	digest = berth_digest(digest, half.vips, g->vips * sizeof(*half.vips));
	digest = berth_digest(digest, half.globals, sizeof(*half.globals));
	digest = berth_digest(digest, image->ctl->ports[generation & 1], sizeof(image->ctl->ports[0]));
	return berth_digest(digest, image->ctl->links[generation & 1], sizeof(image->ctl->links[0]));
}

/* Before the generation becomes current. */
static inline void berth_generation_seal(const struct berth_image *image, uint64_t generation)
{
	image->ctl->seal[generation & 1] = (struct berth_seal){
		.generation = generation,
		.digest = berth_generation_digest(image, generation),
	};
}

static inline bool berth_image_has_services(const struct berth_image *image)
{
	for (uint32_t n = 0; n < 2 * image->geometry.services; n++)
		if (image->services[n].id)
			return true;
	return false;
}

/* True also for older tables, which have no seal, and for those in which nothing was published. */
static inline bool berth_seal_is_intact(const struct berth_image *image, uint64_t generation)
{
	const struct berth_seal *seals = image->ctl->seal, *seal = &seals[generation & 1];
	if (!seals[0].generation && !seals[1].generation && !seals[0].digest && !seals[1].digest)
		return generation || !berth_image_has_services(image);
	return seal->generation == generation && seal->digest == berth_generation_digest(image, generation);
}

static inline bool berth_is_power_of_two(uint32_t n)
{
	return n && !(n & (n - 1));
}

/* Whether masks and bounds checks of the accessors (core/image.h) are safe with this geometry. */
static inline bool berth_geometry_is_valid(const struct berth_geometry *g)
{
	return g->services && g->services <= BERTH_MAX_SERVICES + 1 && g->backends &&
	       g->backends <= BERTH_MAX_BACKENDS + 1 && g->backends % BERTH_ELIGIBILITY_PER_LINE == 0 &&
	       berth_is_power_of_two(g->vips) && berth_is_power_of_two(g->flow_buckets) &&
	       berth_is_power_of_two(g->session_buckets) && g->workers && g->workers <= BERTH_MAX_WORKERS;
}

static inline bool berth_service_is_valid(const struct berth_image *image, const struct berth_service *service)
{
	const struct berth_geometry *g = &image->geometry;
	const uint32_t lines = (service->rows + BERTH_ROWS_PER_LINE - 1) / BERTH_ROWS_PER_LINE;
	const bool has_former = service->flags & BERTH_SERVICE_FORMER_ROWS;
	if (service->rows > BERTH_MAX_ROWS || service->row_line > g->row_lines ||
	    lines * (1 + has_former) > g->row_lines - service->row_line ||
	    service->session_service >= g->services || service->prefix4 > 32 || service->prefix6 > 128 ||
	    service->source_limit.prefix4 > 32 || service->source_limit.prefix6 > 128)
		return false;
	const struct berth_row *rows = image->rows[service->row_line].row;
	const struct berth_row *former = has_former ? image->rows[service->row_line + lines].row : NULL;
	for (uint32_t i = 0; i < service->rows; i++)
		if (rows[i].primary >= g->backends || rows[i].alternate >= g->backends ||
		    (former && former[i].primary >= g->backends))
			return false;
	return !service->rows_digest || service->rows_digest == berth_rows_digest(rows, former, service->rows);
}

static inline bool berth_backend_is_valid(const struct berth_geometry *g, const struct berth_backend *backend)
{
	return backend->service < g->services && backend->port < BERTH_MAX_PORTS &&
	       backend->mode < BERTH_MODE_COUNT && backend->source_bits <= BERTH_MAX_SOURCE_BITS &&
	       backend->sibling < g->backends && backend->backup < g->backends;
}

static inline bool berth_globals_are_valid(const struct berth_globals *globals)
{
	for (uint32_t i = 0; i < BERTH_MAX_PREFIX_LENGTHS; i++)
		if (globals->prefix_bits[i] > 128)
			return false;
	for (uint32_t i = 0; i < BERTH_MAX_ROUTES; i++)
		if (globals->route[i].bits > 128 || globals->route[i].port >= BERTH_MAX_PORTS)
			return false;
	return true;
}

/* What is damaged in the current generation; NULL: nothing. The geometry is valid. */
static inline const char *berth_image_fault(const struct berth_image *image)
{
	const struct berth_geometry *g = &image->geometry;
	const struct berth_image_half current = berth_image_current(image);
	for (uint32_t n = 0; n < g->services; n++)
		if (!berth_service_is_valid(image, &current.services[n]))
			return "a service is damaged";
	for (uint32_t n = 0; n < g->backends; n++)
		if (!berth_backend_is_valid(g, &current.backends[n]))
			return "a backend is damaged";
	for (uint32_t n = 0; n < g->vips; n++)
		if (current.vips[n].service >= g->services)
			return "the classifier is damaged";
	if (!berth_globals_are_valid(current.globals))
		return "the globals are damaged";
	return berth_seal_is_intact(image, BERTH_LOAD(&image->ctl->generation)) ? NULL : "it has another digest";
}
