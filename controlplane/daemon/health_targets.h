/* SPDX-License-Identifier: BSD-3-Clause */
/* Makes the backends of a model the targets of health checks, and gives checks with `via: tunnel` the path to them.
 */
#pragma once

struct berth_daemon;
struct berth_health_stage;
struct berth_model;

/* The targets of this model, in the order of its services and backends, and after them their agents. NULL: out of
 * memory. */
struct berth_health_stage *berth_health_targets_stage(struct berth_daemon *daemon, const struct berth_model *model);
/* The health of the staged model's backends has changed since. */
void berth_health_targets_refresh(struct berth_health_stage *stage, const struct berth_model *model);
/* Called once, before the first stage. */
void berth_health_targets_open(struct berth_daemon *daemon);
