/* SPDX-License-Identifier: BSD-3-Clause */
/* Which backends are the same server; a part of compile.c. */
#pragma once

#include "controlplane/compile/generation.h"
#include "controlplane/model/model.h"

/* Ties the backends of one name in the services of a group into rings (berth_backend.sibling). The backends are
 * laid out already. -ENOMEM. */
int berth_compile_groups(struct berth_generation *generation, const struct berth_model *model);
