/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Panic: when more of a service's backends are down at once than it may lose (`panic: 50%`), the fault is more
 * likely berth's own (its network, its checks) than all of theirs; and if it is theirs, the others would not carry
 * what they leave. So those that were in use when it began stay in use. Pure: time is an argument.
 */
#pragma once

#include "controlplane/model/model.h"

/* Whether `down` of `n` backends are more than `percent` of them. */
bool berth_panic_is(uint32_t percent, size_t n, size_t down);

/*
 * Begins or ends a service's panic and says which of its backends are kept, after any change of their health or
 * admin states. Those that fell shortly before are kept too: checks find one fault at different times. True:
 * something changed.
 */
bool berth_panic_update(struct berth_model_service *service, uint64_t now_ms);

/* How many of a service's backends count for that, and how many of those are down. */
void berth_panic_count(const struct berth_model_service *service, size_t *n, size_t *down);
