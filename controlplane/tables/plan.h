/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The effect of another configuration on the existing flows and sessions. It runs the real model, compiler,
 * publisher and selection on a copy, and evaluates every word of the tables. It changes nothing.
 *
 * Backends without a check result are assumed up. Flows of a service with client affinity follow their clients'
 * sessions; only flows without it are counted as arriving.
 */
#pragma once

#include "controlplane/model/model.h"
#include "controlplane/tables/plan_result.h"

/*
 * `image`: the one in use, of the model. Takes ownership of `config`, also on an error. NULL with one line in
 * `error`. Reads both tables: about 0.2 s for 50 million flows. `now` in seconds of CLOCK_MONOTONIC.
 */
struct berth_plan *berth_plan_compute(const struct berth_model *model, struct berth_config *config,
				      const struct berth_image *image, uint32_t now, char error[BERTH_ERROR_BYTES]);
void berth_plan_free(struct berth_plan *plan);
