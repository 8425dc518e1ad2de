/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Model -> generation: the tables that a worker reads, laid out. Pure.
 */
#pragma once

#include "controlplane/model/model.h"

/* How many slots of the classifier each needs at most: its ports, its addresses, its being alone there; nat: its
 * port, its address. Each of BERTH_MAX_OWN addresses needs one. */
enum {
	BERTH_VIPS_PER_SERVICE = 3,
	BERTH_VIPS_PER_BACKEND = 2,
};

/* Owned by the caller, but `rows` points into the model. Slots are numbers. */
struct berth_generation {
	struct berth_service *services; /* row_line is left 0: where rows stand is the publisher's */
	struct berth_backend *backends;
	struct berth_vip *vips; /* geometry.vips slots */
	struct berth_globals globals;
	uint32_t n_services; /* slots, up to the geometry's */
	uint32_t n_backends;
	uint32_t n_vips;
	struct berth_generation_rows {
		const struct berth_row *rows; /* NULL: none */
		uint32_t n_rows;
		uint64_t version; /* equal versions are equal rows */
	} * rows;		  /* by service number */
};

/* Lines that hold a selection table of `rows` rows. */
static inline uint32_t berth_row_lines(uint32_t rows)
{
	return (rows + BERTH_ROWS_PER_LINE - 1) / BERTH_ROWS_PER_LINE;
}

/*
 * Brings the model's selection tables up to date and lays out a generation for tables of this size. NULL if
 * memory ran out or the services do not fit the classifier (message in `error`).
 */
struct berth_generation *berth_compile(struct berth_model *model, const struct berth_geometry *geometry,
				       char error[BERTH_ERROR_BYTES]);
void berth_generation_free(struct berth_generation *generation);

/* The geometry for these limits. */
struct berth_geometry berth_geometry_of(const struct berth_limits *limits, uint32_t rows, uint32_t workers);
