/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * HTTP server for GET /metrics, GET /ready and a page for people, on berthd's event loop. Each connection gets one
 * response and is closed. Access is read-only and without authentication; the limits bound what clients can use of
 * berthd.
 */
#pragma once

#include "controlplane/config/config.h"
#include "controlplane/metrics/body.h"
#include "controlplane/util/error.h"

struct event_base;
struct berth_metrics_http;

struct berth_metrics_http_limits {
	size_t request_bytes;	  /* request line and headers */
	unsigned int clients;	  /* concurrent connections; others wait in the backlog */
	unsigned int lifetime_ms; /* of a connection */
	unsigned int half_ms;	  /* of one without a complete request, when no other can connect */
};

/* berthd's limits. */
extern const struct berth_metrics_http_limits berth_metrics_http_limits;

/* Writes why this node is not ready, a reason a line, and returns false; or "ready", and returns true. */
typedef bool berth_metrics_ready_fn(void *arg, struct berth_text *text);

/* Writes the page of a request target ("/show/backends?service=web"); returns its type ("text/html"), or NULL:
 * there is no such page. */
enum {
	BERTH_METRICS_TARGET_BYTES = 512, /* longer targets have no page */
};
typedef const char *berth_metrics_page_fn(void *arg, const char *target, struct berth_text *text);

/* Does not listen yet. NULL: out of memory. The process must ignore SIGPIPE (server.h does). */
struct berth_metrics_http *berth_metrics_http_new(struct event_base *base,
						  const struct berth_metrics_http_limits *limits,
						  berth_metrics_fn *fn, void *arg);
/* Called for /ready with the `arg` of new. Without it, the answer is that the node is not ready. */
void berth_metrics_http_set_ready(struct berth_metrics_http *http, berth_metrics_ready_fn *fn);
/* Called with the `arg` of new for all other targets, while the configuration has `page: true`. */
void berth_metrics_http_set_page(struct berth_metrics_http *http, berth_metrics_page_fn *fn);
/* Stages a new listening address beside the current one; port 0: none. Returns 0, or -errno with one line in
 * `error` and nothing staged. Before the first commit an address that this host does not have yet is no error:
 * after the commit it is waited for. Commit closes the current address and cannot fail; drop closes the staged one.
 */
int berth_metrics_http_stage(struct berth_metrics_http *http, const struct berth_metrics_config *config,
			     char error[BERTH_ERROR_BYTES]);
void berth_metrics_http_commit(struct berth_metrics_http *http);
void berth_metrics_http_drop(struct berth_metrics_http *http);
/* Stage and commit. After an error the current address remains. */
int berth_metrics_http_listen(struct berth_metrics_http *http, const struct berth_metrics_config *config,
			      char error[BERTH_ERROR_BYTES]);
/* Why it does not listen on the configured address, for which it waits; "": it listens, or is off. */
const char *berth_metrics_http_fault(const struct berth_metrics_http *http);
void berth_metrics_http_free(struct berth_metrics_http *http);
