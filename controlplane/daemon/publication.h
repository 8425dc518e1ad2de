/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Publishes the model: compiles it and writes the generation into the engine's image, by a timer where a worker
 * still reads the half that it needs. A change is in force when its generation is current and all workers are
 * quiescent.
 */
#pragma once

#include <stdint.h>

#include "controlplane/util/error.h"

struct berth_daemon;
struct berth_generation;
struct berth_model;
struct berth_model_backend;
struct berth_publication_waiter;
struct berth_publisher;

/* -ENOMEM. */
int berth_publication_open(struct berth_daemon *daemon);
void berth_publication_close(struct berth_daemon *daemon);

/* The model has changed: publishes it soon. Changes that come together are published together. */
void berth_publication_request(struct berth_daemon *daemon);
/* How many changes have been published, or are to be. */
uint64_t berth_publication_requests(const struct berth_daemon *daemon);
/* The model has changed: publishes it now if no worker prevents it, else soon. `generation`, which this takes over,
 * is compiled from it, or NULL. */
void berth_publication_start(struct berth_daemon *daemon, struct berth_generation *generation);
/* The same in the next turn of the loop; `generation` is not NULL. */
void berth_publication_put(struct berth_daemon *daemon, struct berth_generation *generation);
/* Publishes a generation of `model` through a publisher that is not berthd's yet, for an image that no worker uses.
 * -errno with one line in `error`. */
int berth_publication_fill(struct berth_publisher *publisher, const struct berth_model *model,
			   const struct berth_generation *generation, char error[BERTH_ERROR_BYTES]);
/* Uses that publisher, which this takes over, from now on: the model is published. */
void berth_publication_replace(struct berth_daemon *daemon, struct berth_publisher *publisher);
/* Takes the next step now: publishes, or notes what is in force. */
void berth_publication_advance(struct berth_daemon *daemon);
/* Before the event loop runs: waits a short time for workers of an engine that was adopted. */
void berth_publication_settle(struct berth_daemon *daemon);
/* Writes one backend's eligibility into the image: in force at once. But with second hops it begins or ends to take
 * new clients with the next generation, which the caller requests, unless it loses its flows, too. */
void berth_publication_eligibility(const struct berth_daemon *daemon, const struct berth_model_backend *backend);
/* What its agent says is recorded for the next berthd. */
void berth_publication_agent(const struct berth_daemon *daemon, const struct berth_model_backend *backend);

/* Calls the waiter when the changes made so far are in force; not before this returns. */
void berth_publication_wait(struct berth_daemon *daemon, struct berth_publication_waiter *waiter);
/* The configurations that are awaited do not come into force: from now on their waiters, which are those that have
 * `failed`, wait for that call. */
void berth_publication_reject(struct berth_daemon *daemon);
/* Calls `failed` of the rejected waiters. */
void berth_publication_fail(struct berth_daemon *daemon, const char *error);
/* Does nothing if the waiter does not wait. */
void berth_publication_cancel(struct berth_publication_waiter *waiter);
