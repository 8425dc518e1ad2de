/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A generation: the published configuration as an engine's tables hold it, in the control plane's own memory. And
 * the size of the tables for given limits.
 */
#pragma once

#include "controlplane/config/config.h"
#include "dataplane/core/abi.h"

/* Most classifier slots per service (ports, addresses, portless fragments) and per backend in mode nat (port,
 * address). Each of BERTH_MAX_OWN addresses needs one. */
enum {
	BERTH_SLOTS_PER_SERVICE = 3,
	BERTH_SLOTS_PER_BACKEND = 2,
};

/* Owned by the caller; `rows` points into the model. Arrays are by number. */
struct berth_generation {
	struct berth_service *services; /* row_line is 0: the publisher sets it */
	struct berth_backend *backends;
	/* Of the classifier's n_vips places those that are not free: some thousands of a million. */
	struct berth_generation_slot {
		struct berth_vip vip;
		uint32_t home; /* index before the search for a free place */
		uint32_t at;
	} * slots;
	size_t n_slots;
	struct berth_globals globals;
	struct berth_port ports[BERTH_MAX_PORTS];
	struct berth_link links[BERTH_MAX_LINKS];
	uint32_t n_services; /* slots, up to the geometry's */
	uint32_t n_backends;
	uint32_t n_vips;
	struct berth_generation_rows {
		const struct berth_row *rows;	/* NULL: no selection table */
		const struct berth_row *former; /* as many, behind its lines; NULL: none */
		uint32_t n_rows;
		uint32_t lines;	  /* the most lines that it can have with this configuration */
		uint64_t version; /* equal versions are equal rows */
	} * rows;		  /* by service number */
};

/* Empty tables of this size. NULL: no memory. */
struct berth_generation *berth_generation_new(const struct berth_geometry *geometry);
void berth_generation_free(struct berth_generation *generation);

/* Lines that hold a selection table of `rows` rows. */
static inline uint32_t berth_row_lines(uint32_t rows)
{
	return (rows + BERTH_ROWS_PER_LINE - 1) / BERTH_ROWS_PER_LINE;
}

/* The most lines of a service's selection table, with those of the former rows. */
static inline uint32_t berth_config_row_lines(const struct berth_service_config *config)
{
	return berth_row_lines(config->table_size) * (config->second_hop_s ? 2 : 1);
}

/* Row lines for all selection tables of a generation. The row lines are two halves, as the other tables of a
 * generation are, so that a new table never needs room beside the one that it replaces. */
static inline uint32_t berth_half_row_lines(const struct berth_geometry *geometry)
{
	return geometry->row_lines / 2;
}

/* The size of the tables for these limits; `needed`: lines of all selection tables of the configuration. */
struct berth_geometry berth_geometry_of(const struct berth_limits *limits, uint64_t needed, uint32_t workers);
