/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What berthd does by the clock: the scan over the tables and what its counts mean for the backends, slow starts,
 * deadlines of drains; and panics, which begin and end with what the health checks say.
 */
#pragma once

#include <stdbool.h>

struct berth_daemon;
struct berth_model_service;

/* -ENOMEM. Begins nothing that looks at the model yet. */
int berth_timers_open(struct berth_daemon *daemon);
/* Begins to scan. */
int berth_timers_start(struct berth_daemon *daemon);
void berth_timers_close(struct berth_daemon *daemon);

/* A backend of the service is up or down now: a panic may begin or end, in force at once. */
void berth_timers_follow_health(struct berth_daemon *daemon, struct berth_model_service *service);

/* The model has changed: panics, slow starts and deadlines follow. What backends may get is in force at once; true:
 * the model is to be published, too. */
bool berth_timers_follow(struct berth_daemon *daemon);
