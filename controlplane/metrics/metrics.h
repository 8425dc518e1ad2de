/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * berthd's metrics for Prometheus: the answer to `show metrics`, and the page of http.c. Live figures (flows,
 * sessions, entries) come from the last scan; no table is read here.
 */
#pragma once

#include "controlplane/metrics/text.h"
#include "controlplane/state/state.h"

/* Writes all metrics to an empty `text`. Returns 0, or -ENOMEM with `text` empty. */
int berth_metrics_write(const struct berth_daemon_state *state, struct berth_text *text);
/* The same in turns. */
enum {
	BERTH_METRICS_PER_TURN = 20000, /* samples; some 1 ms */
};
struct berth_metrics_writing;
/* NULL: out of memory. `state` outlives it. */
struct berth_metrics_writing *berth_metrics_begin(const struct berth_daemon_state *state);
/* Writes more to `text`, which is empty at first, by about this number of samples. 0: all is written; -EAGAIN;
 * -ENOMEM with `text` empty. It begins again if another configuration is in force before the first byte is written;
 * the caller may take away what is in `text`. */
int berth_metrics_go_on(struct berth_metrics_writing *writing, size_t rows, struct berth_text *text);
void berth_metrics_end(struct berth_metrics_writing *writing);
/* The body of /ready: "ready", or a line for each reason, and false. */
bool berth_metrics_write_ready(const struct berth_daemon_state *state, struct berth_text *text);
