/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The effect of another configuration on the existing flows and sessions. It runs the real model, compiler,
 * publisher and selection on a copy, and evaluates every word of the tables, in steps, so that the loop goes on
 * meanwhile. It changes nothing.
 *
 * Backends without a check result are assumed up. Flows of a service with client affinity follow their clients'
 * sessions; only flows without it are counted as arriving.
 */
#pragma once

#include "controlplane/model/model.h"
#include "controlplane/tables/plan_result.h"

/* A plan under way. Between its steps the model may change, but not its configuration, so that its selection tables
 * stay where they are; if they are built meanwhile, it compiles again. The image stays mapped. */
struct berth_planning;

/* `image`: the one in use, of the model; both are used by the steps. Takes ownership of `config`, also on an error.
 * NULL with one line in `error`. `now` in seconds of CLOCK_MONOTONIC. */
struct berth_planning *berth_planning_begin(const struct berth_model *model, struct berth_config *config,
					    const struct berth_image *image, uint32_t now,
					    char error[BERTH_ERROR_BYTES]);
/* Lays out a part of the other configuration, or lists the backends, or evaluates at most `buckets` buckets. 0:
 * that was the last step; -EAGAIN; or another -errno with one line in `error`. */
int berth_planning_step(struct berth_planning *planning, uint32_t buckets, char error[BERTH_ERROR_BYTES]);
/* After the last step. Frees `planning`. NULL with one line in `error`. */
struct berth_plan *berth_planning_end(struct berth_planning *planning, char error[BERTH_ERROR_BYTES]);
void berth_planning_free(struct berth_planning *planning);

void berth_plan_free(struct berth_plan *plan);
