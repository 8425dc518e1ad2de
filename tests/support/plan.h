/* SPDX-License-Identifier: BSD-3-Clause */
/* A plan in one go. */
#pragma once

#include <errno.h>

#include "controlplane/tables/plan.h"

/* Takes `config`. NULL with one line in `error`. `buckets`: of a step. */
static inline struct berth_plan *plan_in_steps(const struct berth_model *model, struct berth_config *config,
					       const struct berth_image *image, uint32_t now, uint32_t buckets,
					       char error[BERTH_ERROR_BYTES])
{
	struct berth_planning *planning = berth_planning_begin(model, config, image, now, error);
	if (!planning)
		return NULL;
	int err;
	do
		err = berth_planning_step(planning, buckets, error);
	while (err == -EAGAIN);
	if (!err)
		return berth_planning_end(planning, error);
	berth_planning_free(planning);
	return NULL;
}
