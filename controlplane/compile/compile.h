/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Model -> generation: the tables that workers read. No clock and no system calls; the same model gives the same
 * generation. The selection tables are kept in the model, so that unchanged ones are not built again.
 */
#pragma once

#include "controlplane/compile/generation.h"
#include "controlplane/model/model.h"
#include "controlplane/util/error.h"

/*
 * Builds the selection tables with changed inputs (names, weights, eligibility), and a generation for tables of
 * this size. NULL: no memory, or no room in the classifier (message in `error`).
 */
struct berth_generation *berth_compile(struct berth_model *model, const struct berth_geometry *geometry,
				       char error[BERTH_ERROR_BYTES]);

/* Where berth_compile_ahead goes on; zeros at first. */
struct berth_compile_ahead {
	size_t at; /* service */
	uint32_t rounds;
	bool has_built; /* in this round */
};

/*
 * Builds selection tables with changed inputs, about `most` rows of them (or one table), so that berth_compile
 * finds them built. The model may change between calls. 0: none is left; -EAGAIN: call it again; -ENOMEM. No
 * generation that has not been published may point to the tables.
 */
int berth_compile_ahead(struct berth_model *model, struct berth_compile_ahead *ahead, uint64_t most);
