/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What berthd knows in figures, for Prometheus: `show metrics`, and what http.c serves. Reads what the show
 * commands read and walks no table: what is live is of the last count.
 */
#pragma once

#include "controlplane/metrics/text.h"
#include "controlplane/state/state.h"

/* Writes all metrics to `text`, which is empty before. 0, or -ENOMEM with `text` empty. */
int berth_metrics_write(const struct berth_daemon_state *state, struct berth_text *text);
