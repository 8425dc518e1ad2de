/* SPDX-License-Identifier: BSD-3-Clause */
/* The body of a response that is written in turns of the event loop. Called by http.c. */
#pragma once

#include "controlplane/metrics/text.h"

struct event;
struct event_base;

/* Writes some milliseconds more of a body. 0: it is complete; -EAGAIN: there is more, as `job` knows, which is NULL
 * at first; -ENOMEM. `text` NULL: the body is no longer wanted, free `*job`. */
typedef int berth_metrics_fn(void *arg, void **job, struct berth_text *text);

/* The body is written, or `err` is -ENOMEM. It may take the text. */
typedef void berth_metrics_body_done_fn(void *arg, int err, struct berth_text *text);

/* Zeros: none is written. */
struct berth_metrics_body {
	berth_metrics_fn *fn;
	void *fn_arg;
	berth_metrics_body_done_fn *done;
	void *done_arg;
	void *job;
	struct berth_text text;
	struct event *turn; /* NULL: none follows */
};

/* The functions and their arguments are set. May call `done` at once. */
void berth_metrics_body_write(struct berth_metrics_body *body, struct event_base *base);
void berth_metrics_body_clear(struct berth_metrics_body *body);
