/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What another configuration would do to the flows and sessions that there are: the real model, compiler, publisher
 * and selection, on a copy, and every word of the tables asked. Changes nothing.
 *
 * Backends that are not known yet are taken as up. Flows of clients go where their clients' sessions go, so only
 * flows without client affinity are said to come.
 */
#pragma once

#include "controlplane/model/model.h"

struct berth_plan_counts {
	uint64_t live;
	uint64_t leave; /* they are given another backend, or none */
	uint64_t come;
};

enum berth_plan_change {
	BERTH_PLAN_STAYS,
	BERTH_PLAN_COMES,
	BERTH_PLAN_GOES,
};

struct berth_plan_backend {
	char service[BERTH_NAME_BYTES];
	char name[BERTH_NAME_BYTES];
	enum berth_plan_change change;
	struct berth_plan_counts flows;
	struct berth_plan_counts sessions;
	/* Sessions that are forgotten: clients are told apart by other bits or kept for less time, or the group is
	 * another one. Selection decides anew, and mostly as before. */
	uint64_t forgotten;
};

struct berth_plan {
	struct berth_plan_backend *backends;
	size_t n;
};

/*
 * `image`: in use, the model's. Takes `config`, in any case. NULL with one line in `error`. Reads all of both
 * tables: some 0.2 s for 50 million flows.
 */
struct berth_plan *berth_plan_make(const struct berth_model *model, struct berth_config *config,
				   const struct berth_image *image, uint32_t now, char error[BERTH_ERROR_BYTES]);
void berth_plan_free(struct berth_plan *plan);
