/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Model -> generation: the tables that workers read. Pure.
 */
#pragma once

#include "controlplane/compile/generation.h"
#include "controlplane/model/model.h"
#include "controlplane/util/error.h"

/*
 * Rebuilds the selection tables of the model whose inputs have changed, and makes a generation for tables of this
 * size. NULL: no memory, or no room in the classifier (message in `error`).
 */
struct berth_generation *berth_compile(struct berth_model *model, const struct berth_geometry *geometry,
				       char error[BERTH_ERROR_BYTES]);
