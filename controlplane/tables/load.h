/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Flows per backend, and what follows from them: BERTH_OVER_SHARE for a backend with more than its bounded share,
 * BERTH_AT_LIMIT for one with its maximum of flows, and the loads and costs of the
 * schedulers least-conn and response-time.
 *
 * A whole scan of the tables counts flows (scan.h). Between two scans the workers' tallies give the flows that
 * began since. Flows that ended show in the next count, so an estimate is too low by at most one tick's flows.
 * After a start with existing flows the backends keep their bits until the first scan has ended.
 */
#pragma once

#include "controlplane/model/model.h"
#include "controlplane/tables/scan.h"

enum {
	BERTH_LOAD_TICK_MS = 20,   /* between two slices of a scan, and two estimates */
	BERTH_LOAD_COUNT_MS = 250, /* between two counts, if a service needs them */
	BERTH_LOAD_IDLE_MS = 1000, /* if none does */
};

/* Buckets to scan in a tick, of `buckets` in all. `is_needed`: a service needs counts. `scan_us`: the CPU time of
 * the last whole scan; scans take at most a tenth of a CPU. */
uint32_t berth_load_buckets_per_tick(uint64_t buckets, bool is_needed, uint64_t scan_us);

/* Whether `flows` exceed bound/100 of the share of `weight` in all flows. */
bool berth_load_is_over_share(uint64_t flows, uint64_t weight, uint64_t all_flows, uint64_t all_weight,
			      uint32_t bound);

/* Whether a service needs counts every BERTH_LOAD_COUNT_MS. */
bool berth_load_is_needed(const struct berth_model *model);

/* Called for each backend of the model whose bits in `load` changed. */
typedef void berth_load_fn(void *arg, const struct berth_model_backend *backend);

/* What workers compare for a backend (core/select.h): so many flows of `unit` each, as in berth_load_cell. */
uint32_t berth_load_value(uint64_t flows, uint32_t unit);
/* Scheduler response-time: the same with the flow to come, times the time. */
uint64_t berth_load_timed(uint64_t flows, uint32_t unit, uint32_t response_us);

struct berth_load;

/* Copies the loads that workers read to the image of another engine with the same numbers. */
void berth_load_copy(const struct berth_image *to, const struct berth_image *from);
/* NULL: out of memory. */
struct berth_load *berth_load_new(struct berth_image *image);
void berth_load_free(struct berth_load *load);

/* Takes the times of connections. A service whose backends for new clients all have one uses these; their
 * response_us, which were of probes before, become those. */
void berth_load_update_times(struct berth_load *load, struct berth_model *model, uint64_t now_ms);
/* Takes the counts of a scan that just ended: sets the backends' bits, and the image's loads and costs. */
void berth_load_update_counts(struct berth_load *load, struct berth_model *model, const struct berth_scan *scan,
			      berth_load_fn *changed, void *arg);
/* Sets the backends' bits from estimates. Called once a tick. */
void berth_load_update_estimates(struct berth_load *load, struct berth_model *model, berth_load_fn *changed,
				 void *arg);
