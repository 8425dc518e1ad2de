/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The effective weight: the configured one, times the share that a slow start has reached, times what the backend's
 * agent says. Both change it in steps, so that new clients do not flood a server: a backend that is new or comes
 * back gets its weight in ten steps; an agent's percentage is followed by at most ten percent of the configured
 * weight a step. Flows and sessions are not affected. Pure: time is an argument.
 *
 * Each step costs a selection table. So an agent's are at most one a second (or the slow start's steps, if they are
 * longer), at the same time for all backends, and one that is small or goes back waits for ten steps.
 */
#pragma once

#include "controlplane/model/model.h"

enum {
	BERTH_AGENT_STEP_MS = 1000,
	BERTH_AGENT_STEP_PERCENT = 10, /* of the configured weight, at most */
	BERTH_AGENT_SMALL_PERCENT = 5, /* less is a small step */
	BERTH_AGENT_REST_STEPS = 10,   /* before a small step, or one back */
};

/*
 * Begins the slow starts that are due and advances all that is in progress. Call it after each change of the model
 * and at `next_ms` (UINT64_MAX: not before the next change). True: an effective weight changed.
 */
bool berth_effective_weight_step(struct berth_model *model, uint64_t now_ms, uint64_t *next_ms);
