/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Panic threshold of a service (`panic-threshold: 50%`; by default all must be down). If more of its backends are
 * down at once, the likely cause is berth's own network or checks; and if it is not, the remaining backends would
 * be overloaded. So the backends that were up when the panic began stay in use. Pure: time is an argument.
 *
 * When one of them comes up the panic ends, and the checks of the others find within `rise` intervals that they are
 * up too. So long they stay in use for existing flows and sessions, which would move without a reason. Panics
 * meanwhile stop that time and do not give it anew: of servers that go down and up, none keeps a dead one in use.
 */
#pragma once

#include "controlplane/model/model.h"

/* Whether `down` of `n` backends exceed `percent`; 0%: never. */
bool berth_panic_is_due(uint32_t percent, size_t n, size_t down);

/*
 * Begins or ends the panic of a service, and the time after it, and updates what its backends are kept for. Call it
 * after each change of their health or admin state, and at berth_panic_next. Backends that went down shortly before
 * the panic are kept too, because checks find one fault at different times. True: something changed.
 */
bool berth_panic_update(struct berth_model_service *service, uint64_t now_ms);

/* Lowers *next_ms to the time of the service's next berth_panic_update. */
void berth_panic_next(const struct berth_model_service *service, uint64_t *next_ms);

/* After a report of a check: whether berth_panic_update may have something to do. A service outside of a panic
 * whose backends come up, or of which few go down, is not read as a whole for each of them. */
bool berth_panic_report(struct berth_model_service *service, bool is_down);

/* The backends of a service that count for its panic, and those of them that are down. */
void berth_panic_count(const struct berth_model_service *service, size_t *n, size_t *down);
