/* SPDX-License-Identifier: BSD-3-Clause */
/* Publishes the model: compiles it and writes the generation into the engine's image. */
#pragma once

struct berth_daemon;
struct berth_model_backend;

#include "controlplane/util/error.h"

/* The model has changed: publishes it soon. Changes that come together are published together. */
void berth_publication_request(struct berth_daemon *daemon);
/* Publishes now, and waits for workers. 0, or -errno with one line in `error`. */
int berth_publication_now(struct berth_daemon *daemon, char error[BERTH_ERROR_BYTES]);
/* Writes one backend's eligibility into the image: in force at once. */
void berth_publication_eligibility(const struct berth_daemon *daemon, const struct berth_model_backend *backend);
/* -ENOMEM. */
int berth_publication_open(struct berth_daemon *daemon);
void berth_publication_close(struct berth_daemon *daemon);
