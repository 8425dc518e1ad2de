/* SPDX-License-Identifier: BSD-3-Clause */
/* The records of groups, and the backends of a group that are the same server. */
#pragma once

#include "controlplane/compile/generation.h"
#include "controlplane/model/model.h"

/* Fills in the groups, and links the backends with one name in a group and in its services into a ring
 * (berth_backend.sibling). The backends of services are filled in already. -ENOMEM. */
int berth_compile_groups(struct berth_generation *generation, const struct berth_model *model);
