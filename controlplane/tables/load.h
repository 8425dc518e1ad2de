/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How many flows each backend has, and what follows from it: BERTH_OVER_SHARE for who has more than its bounded
 * share, BERTH_AT_LIMIT for who has as many as it may have, and the loads of the scheduler least-conn.
 *
 * A scan over the tables counts (scan.h); between two counts the workers' tallies tell how many flows began. What
 * ended is seen by the next count, so that an estimate is never too low by more than one tick's flows. A berthd
 * that finds flows when it begins knows nothing of them until it has counted: backends stay as they were called
 * until then.
 */
#pragma once

#include "controlplane/model/model.h"
#include "controlplane/tables/scan.h"

enum {
	BERTH_LOAD_TICK_MS = 20,   /* between two slices of a scan, and two estimates */
	BERTH_LOAD_COUNT_MS = 250, /* from one count to the next, where somebody needs it */
	BERTH_LOAD_IDLE_MS = 1000, /* where nobody does */
};

/* Buckets to scan in a tick. `needed`: a service depends on it; `pass_us`: what the last whole scan took of the
 * processor, of which it is to take no more than a tenth. */
uint32_t berth_load_buckets(uint64_t buckets, bool needed, uint64_t pass_us);

/* Whether `flows` are more than bound/100 of `weight`'s share in all of them. */
bool berth_load_is_full(uint64_t flows, uint64_t weight, uint64_t all_flows, uint64_t all_weight, uint32_t bound);
/* What a flow adds to a backend's load: 64 for the heaviest of a service. */
uint32_t berth_load_unit(uint32_t weight, uint32_t heaviest);

/* Whether the flows of some service must be counted often. */
bool berth_load_is_needed(const struct berth_model *model);

/* A backend of the model has other bits in `load` now. */
typedef void berth_load_fn(void *arg, const struct berth_model_backend *backend);

struct berth_load;

/* NULL: no memory. */
struct berth_load *berth_load_new(struct berth_image *image);
void berth_load_free(struct berth_load *load);

/* A whole scan has ended. Sets the backends' bits anew, and the image's loads. */
void berth_load_counted(struct berth_load *load, struct berth_model *model, const struct berth_scan *scan,
			berth_load_fn *changed, void *arg);
/* A tick has passed: the bits, by what began since. */
void berth_load_tick(struct berth_load *load, struct berth_model *model, berth_load_fn *changed, void *arg);
