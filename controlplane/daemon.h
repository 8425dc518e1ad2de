/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * berthd: one event loop that owns the model, and the actions that commands may ask of it. Commands read the
 * model and the image as they like and change them only through these.
 */
#pragma once

#include <jansson.h>

#include "controlplane/engine.h"
#include "controlplane/health/health.h"
#include "controlplane/model.h"
#include "controlplane/neigh.h"
#include "controlplane/publish.h"
#include "controlplane/walk.h"

struct berth_server;

struct berth_daemon {
	struct event_base *base;
	struct berth_engine_paths paths;
	const char *config_path;
	struct berth_model model;
	struct berth_engine *engine;
	struct berth_publisher *publisher;
	struct berth_walk *walk;
	struct berth_health *health;
	struct berth_neigh *neigh;
	struct berth_server *server;
	struct event *publish_event; /* publishes soon; set by berth_daemon_touch */
	struct event *walk_event;
	uint64_t started_ms; /* CLOCK_MONOTONIC */
	uint64_t publish_failures;
	char publish_error[BERTH_ERROR_BYTES]; /* "": the last one went well */
};

/*
 * Makes `text` the configuration, all of it or nothing; with `save` it also becomes the configuration file,
 * the old one kept beside it as FILE.old. 0 or -errno with
 * one line in `error`.
 */
int berth_daemon_apply(struct berth_daemon *daemon, const char *name, const char *text, size_t length, bool save,
		       char error[BERTH_ERROR_BYTES]);
/* 0, or -ENOENT with one line in `error`. Effective when it returns. */
int berth_daemon_set_admin(struct berth_daemon *daemon, const char *service, const char *backend,
			   enum berth_admin admin, char error[BERTH_ERROR_BYTES]);
/* Ends the loop; with `stop` the engine ends with it, without it forwarding goes on. */
void berth_daemon_exit(struct berth_daemon *daemon, bool stop);
