/* SPDX-License-Identifier: BSD-3-Clause */
/* Metrics of what berth consists of on this host: workers, ports, helper processes. */
#pragma once

#include "controlplane/metrics/text.h"
#include "controlplane/state/state.h"

void berth_metrics_write_parts(struct berth_text *out, const struct berth_daemon_state *state);
