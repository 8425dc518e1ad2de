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

struct berth_plan_counts {
	uint64_t live;
	uint64_t leaving; /* of these, what moves to another backend or to none */
	uint64_t arriving;
};

enum berth_plan_change {
	BERTH_PLAN_KEPT,
	BERTH_PLAN_ADDED,
	BERTH_PLAN_REMOVED,
};

struct berth_plan_backend {
	char service[BERTH_NAME_BYTES];
	char name[BERTH_NAME_BYTES];
	enum berth_plan_change change;
	bool is_unprobed; /* without traffic until its first probe: it is new, or its address changes */
	struct berth_plan_counts flows;
	struct berth_plan_counts sessions;
	/* Sessions that are no longer found: the client prefix length, the group or the affinity changed,
	 * or a shorter timeout expires them. Selection then decides anew, for most clients as before. */
	uint64_t cleared;
};

struct berth_plan {
	struct berth_plan_backend *backends;
	size_t n;
};

/*
 * `image`: the one in use, of the model. Takes ownership of `config`, also on an error. NULL with one line in
 * `error`. Reads both tables: about 0.2 s for 50 million flows. `now` in seconds of CLOCK_MONOTONIC.
 */
struct berth_plan *berth_plan_compute(const struct berth_model *model, struct berth_config *config,
				      const struct berth_image *image, uint32_t now, char error[BERTH_ERROR_BYTES]);
void berth_plan_free(struct berth_plan *plan);
