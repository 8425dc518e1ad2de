/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Model -> generation: the tables that a worker reads, laid out. Pure.
 */
#pragma once

#include "controlplane/compile/generation.h"
#include "controlplane/model/model.h"
#include "controlplane/util/error.h"

/*
 * Brings the model's selection tables up to date and lays out a generation for tables of this size. NULL if
 * memory ran out or the services do not fit the classifier (message in `error`).
 */
struct berth_generation *berth_compile(struct berth_model *model, const struct berth_geometry *geometry,
				       char error[BERTH_ERROR_BYTES]);
