/* SPDX-License-Identifier: BSD-3-Clause */
/* The backends of a group that are the same server. */
#pragma once

#include "controlplane/compile/generation.h"
#include "controlplane/model/model.h"

/* Links the backends with one name in the services of a group into a ring (berth_backend.sibling). The backends of
 * the generation are filled in already. -ENOMEM. */
int berth_compile_groups(struct berth_generation *generation, const struct berth_model *model);
