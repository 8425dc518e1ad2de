/* SPDX-License-Identifier: BSD-3-Clause */
/* What a plan says about room after the change. plan.c calls it when all words are counted. */
#pragma once

#include "controlplane/model/model.h"
#include "controlplane/tables/plan_result.h"

/* `after`: the model with the other configuration; `by_number`: the plan's entry of each of its backends. -ENOMEM.
 */
int berth_plan_add_capacity(struct berth_plan *plan, const struct berth_model *after,
			    struct berth_plan_backend *const *by_number);
