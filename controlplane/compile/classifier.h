/* SPDX-License-Identifier: BSD-3-Clause */
/* The classifier of a generation: slots by which workers find the service of a packet. */
#pragma once

#include "controlplane/compile/generation.h"
#include "controlplane/model/model.h"
#include "controlplane/util/error.h"

/*
 * Fills `vips` of an empty generation, and the fields of its globals that describe them: prefix lengths and whether
 * there are return slots. 0 or -errno with a message in `error`.
 */
int berth_compile_classifier(struct berth_generation *generation, const struct berth_model *model,
			     char error[BERTH_ERROR_BYTES]);
