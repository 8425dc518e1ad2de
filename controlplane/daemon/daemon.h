/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * berthd: one event loop that owns the model, and the actions that commands may ask of it. Commands read the
 * model and the image as they like and change them only through these.
 */
#pragma once

#include <jansson.h>

#include "controlplane/engine/engine.h"
#include "controlplane/health/health.h"
#include "controlplane/metrics/http.h"
#include "controlplane/model/model.h"
#include "controlplane/netlink/netlink.h"
#include "controlplane/server/server.h"
#include "controlplane/tables/load.h"
#include "controlplane/tables/publish.h"
#include "controlplane/tables/scan.h"
#include "dataplane/process.h"

struct berth_daemon_options {
	const char *config_path;
	struct berth_engine_paths paths;
	const char *socket_path;
	berth_server_fn *commands; /* answers requests; its argument is the daemon */
};

struct berth_daemon {
	struct berth_daemon_options options;
	struct event_base *base;
	struct berth_model model;
	char *config_text; /* of the configuration in force */
	struct berth_engine *engine;
	struct berth_publisher *publisher;
	struct berth_scan *scan;
	struct berth_load *load;
	struct berth_health *health;
	struct berth_netlink *neigh;
	struct berth_dns_backends *dns;
	struct berth_server *server;
	struct berth_metrics_http *metrics;
	struct event *publish_event; /* publishes soon; set by berth_daemon_touch */
	struct event *scan_event;
	struct event *step_event; /* the next of a slow start, a deadline: upkeep.c */
	uint64_t pass_us;	  /* that the scan under way has taken of the processor */
	uint64_t last_pass_us;	  /* that the last one took */
	struct event *signals[3];
	bool stop;	     /* the engine ends with berthd */
	uint64_t started_ms; /* CLOCK_MONOTONIC */
	uint64_t applied_ms; /* the configuration in force; likewise */
	bool dirty;	     /* the model changed after the last publication */
	uint64_t publish_failures;
	char publish_error[BERTH_ERROR_BYTES]; /* "": the last publication went well */
	const char *routes_told;	       /* why mode nat leaves clients to the kernel; NULL: it does not */
	bool own_told;			       /* that this host has more addresses than there is room for */
};

/* Brings everything up; enum berth_exit, with one line in `error` unless it is 0. */
int berth_daemon_open(struct berth_daemon *daemon, const struct berth_daemon_options *options,
		      char error[BERTH_ERROR_BYTES]);
/* Runs until told to end. */
int berth_daemon_run(struct berth_daemon *daemon);
void berth_daemon_close(struct berth_daemon *daemon);

/*
 * Makes `text` the configuration, all of it or nothing; with `save` it also becomes the configuration file,
 * the old one kept beside it as FILE.old. 0 or -errno with
 * one line in `error`.
 */
int berth_daemon_apply(struct berth_daemon *daemon, const char *name, const char *text, size_t length, bool save,
		       char error[BERTH_ERROR_BYTES]);
/* The configuration in force anew, with what DNS says now; it is what it was in the file. 0, -ENOSPC and nothing
 * has changed, or -errno like berth_daemon_apply; one line in `error`. */
int berth_daemon_renew(struct berth_daemon *daemon, char error[BERTH_ERROR_BYTES]);
/* 0, or -ENOENT with one line in `error`. Effective when it returns. A drain ends in an eviction after
 * `deadline_ms`, if that is not 0. */
int berth_daemon_set_admin(struct berth_daemon *daemon, const char *service, const char *backend,
			   enum berth_admin admin, uint64_t deadline_ms, char error[BERTH_ERROR_BYTES]);
/* The same for its health, whatever its checks say. */
int berth_daemon_force_health(struct berth_daemon *daemon, const char *service, const char *backend,
			      enum berth_forced forced, char error[BERTH_ERROR_BYTES]);
/* The model changed: it is published soon. */
void berth_daemon_touch(struct berth_daemon *daemon);
/* Ends the loop; with `stop` the engine ends with it, without it forwarding goes on. */
void berth_daemon_exit(struct berth_daemon *daemon, bool stop);
/* Whether a configuration can be applied to the engine that runs; else the reason in `error`. */
bool berth_daemon_accepts(const struct berth_daemon *daemon, const struct berth_config *config,
			  char error[BERTH_ERROR_BYTES]);

/* What a backend carried since it is in the tables; of a service, what no backend got. */
void berth_daemon_backend_tally(const struct berth_daemon *daemon, const struct berth_model_backend *backend,
				struct berth_tally *tally);
void berth_daemon_service_tally(const struct berth_daemon *daemon, const struct berth_model_service *service,
				struct berth_tally *tally);
