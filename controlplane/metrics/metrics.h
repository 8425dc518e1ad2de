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
/* The body of /ready: "ready", or a line for each reason, and false. */
bool berth_metrics_write_ready(const struct berth_daemon_state *state, struct berth_text *text);
