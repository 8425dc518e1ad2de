/* SPDX-License-Identifier: BSD-3-Clause */
/* Tells the health checks whom to look after, and the way to them. daemon.c's. */
#pragma once

struct berth_daemon;

/* Makes the model's backends the targets. 0 or -ENOMEM. */
int berth_health_targets_follow(struct berth_daemon *daemon);
/* Once, before that: for checks with `via: tunnel`. */
void berth_health_targets_open(struct berth_daemon *daemon);
