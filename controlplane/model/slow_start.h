/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Slow start: a backend that is new or comes back gets its weight in ten steps, so that new clients do not flood
 * it. Its flows and sessions are not affected. Pure: time is an argument.
 */
#pragma once

#include "controlplane/model/model.h"

/*
 * Begins the slow starts that are due and advances those in progress. Call it after each change of the model and at
 * `next_ms` (UINT64_MAX: not before the next change). True: an effective weight changed.
 */
bool berth_slow_start_step(struct berth_model *model, uint64_t now_ms, uint64_t *next_ms);
