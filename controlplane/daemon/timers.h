/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What berthd does by the clock: the scan of the tables and the load that follows from its counts, slow starts,
 * deadlines of drains, the end of learned path MTUs; and panics, which begin and end with the results of health
 * checks.
 */
#pragma once

#include <stdbool.h>

struct berth_daemon;
struct berth_model;
struct berth_model_service;

/* Allocates; starts nothing that reads the model. -ENOMEM. */
int berth_timers_open(struct berth_daemon *daemon);
/* Starts the scan. */
int berth_timers_start(struct berth_daemon *daemon);
void berth_timers_close(struct berth_daemon *daemon);

/* A backend of the service went up or down: a panic may begin or end, in force at once. */
void berth_timers_follow_health(struct berth_daemon *daemon, struct berth_model_service *service, bool is_down);

/* Updates the panics and slow starts of a staged model, and nothing else. */
void berth_timers_stage(struct berth_model *model);
/* The model has changed: updates panics, effective weights, what agents say, and deadlines. Eligibility is in force
 * at once. True: the model is to be published. */
bool berth_timers_follow(struct berth_daemon *daemon);
/* The same soon, with a request for a publication if the model is to be published. */
void berth_timers_request(struct berth_daemon *daemon);
