/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Usage of removed backends. A service's totals never fall: the counters of its removed backends are added to the
 * service's retired figures, which are published with it and so survive a restart.
 */
#pragma once

#include "controlplane/model/model.h"
#include "dataplane/core/image.h"

/* Sets the retired figures of the model's services: those of the current generation, plus the counters of backends
 * that it has and the model has not. Called before berth_counters_clear_new. 0 or -ENOMEM. */
int berth_retired_update(struct berth_model *model, const struct berth_image *image);
