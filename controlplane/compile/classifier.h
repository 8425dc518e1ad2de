/* SPDX-License-Identifier: BSD-3-Clause */
/* The classifier of a generation; a part of compile.c. */
#pragma once

#include "controlplane/compile/generation.h"
#include "controlplane/model/model.h"
#include "controlplane/util/error.h"

/*
 * Lays out the slots by which packets are told apart, in the generation's empty `vips`, and says in its globals
 * what stands there. 0 or -errno with a message in `error`.
 */
int berth_compile_classifier(struct berth_generation *generation, const struct berth_model *model,
			     char error[BERTH_ERROR_BYTES]);
