/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * GET /metrics on an address of the configuration's, on berthd's event loop. Nothing else of HTTP: each connection
 * gets one answer, which ends it. Whoever can reach the address may read; nobody can change anything, and what
 * clients can take of berthd is bounded by the limits.
 */
#pragma once

#include "controlplane/config/config.h"
#include "controlplane/metrics/text.h"
#include "controlplane/util/error.h"

struct event_base;
struct berth_metrics_http;

struct berth_metrics_http_limits {
	size_t head_bytes;     /* of a request, its headers included */
	unsigned int clients;  /* more wait until some have gone */
	unsigned int whole_ms; /* from a connection's begin to its end */
};

/* What berthd uses. */
extern const struct berth_metrics_http_limits berth_metrics_http_limits;

/* Writes the answer's body. 0, or -ENOMEM with nothing in `text`. */
typedef int berth_metrics_fn(void *arg, struct berth_text *text);

/* Listens nowhere yet. NULL: no memory. SIGPIPE must be ignored in this process, as server.h does. */
struct berth_metrics_http *berth_metrics_http_new(struct event_base *base,
						  const struct berth_metrics_http_limits *limits,
						  berth_metrics_fn *fn, void *arg);
/* Binds `where` beside the present address. -errno with one line in `error`; then nothing is staged. Commit makes
 * it the only address and cannot fail, drop closes it. */
int berth_metrics_http_stage(struct berth_metrics_http *http, const struct berth_metrics_config *where,
			     char error[BERTH_ERROR_BYTES]);
void berth_metrics_http_commit(struct berth_metrics_http *http);
void berth_metrics_http_drop(struct berth_metrics_http *http);
/* Stage and commit in one. Listens at `where` and no longer where it did. -errno with one line in `error`: it
 * listens where it did. */
int berth_metrics_http_listen(struct berth_metrics_http *http, const struct berth_metrics_config *where,
			      char error[BERTH_ERROR_BYTES]);
void berth_metrics_http_free(struct berth_metrics_http *http);
