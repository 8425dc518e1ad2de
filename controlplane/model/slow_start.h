/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Slow start: a backend that comes back, or is new, gets its weight in ten steps, so that it is not flooded by all
 * the new clients it is due at once. Who is there already keeps what it has. Pure: time is an argument.
 */
#pragma once

#include "controlplane/model/model.h"

/*
 * Begins slow starts that are due and takes those under way as far as they are by now; to be called after any
 * change of the model, and again at `next_ms` (UINT64_MAX: not before the next change). True: a weight is another
 * one.
 */
bool berth_slow_start_step(struct berth_model *model, uint64_t now_ms, uint64_t *next_ms);
