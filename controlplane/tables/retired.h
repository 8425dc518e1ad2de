/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a service carried goes on counting where backends come and go: what those carried that are gone stands in
 * the service, and so in the tables, across restarts.
 */
#pragma once

#include "controlplane/model/model.h"
#include "dataplane/core/image.h"

/* Sets the `past` of the model's services: what the current generation says, with the tallies of the backends that
 * it has and the model has not. Before a number that is given to another backend counts from zero. -ENOMEM. */
int berth_retired_keep(struct berth_model *model, const struct berth_image *image);
