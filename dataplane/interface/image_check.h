/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whether an existing image can be used without reading or writing outside of its sections: berthd checks before it
 * adopts an image, berth-dpdk before it forwards. The control block's geometry, and every number in the current
 * generation that is used as an index. Numbers in table words are checked by each use (core/flowtab.h). Pure.
 */
#pragma once

#include "dataplane/core/image.h"

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
	if (service->rows > BERTH_MAX_ROWS || service->row_line > g->row_lines ||
	    (service->rows + BERTH_ROWS_PER_LINE - 1) / BERTH_ROWS_PER_LINE > g->row_lines - service->row_line ||
	    service->session_service >= g->services || service->prefix4 > 32 || service->prefix6 > 128)
		return false;
	for (uint32_t i = 0; i < service->rows; i++) {
		const struct berth_row *row =
			&image->rows[service->row_line + i / BERTH_ROWS_PER_LINE].row[i % BERTH_ROWS_PER_LINE];
		if (row->primary >= g->backends || row->alternate >= g->backends)
			return false;
	}
	return true;
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
	return berth_globals_are_valid(current.globals) ? NULL : "the globals are damaged";
}
