/* SPDX-License-Identifier: BSD-3-Clause */
/* Metrics that have labels of their own (list.h). */
#pragma once

#include <stdint.h>

#include "controlplane/metrics/list.h"
#include "controlplane/metrics/text.h"

enum berth_labelled {
#define X(symbol, ...) BERTH_LABELLED_##symbol,
	BERTH_METRICS_LABELLED(X)
#undef X
};

void berth_labelled_head(struct berth_text *out, enum berth_labelled metric);
/* A sample with formatted labels. */
void berth_labelled_write(struct berth_text *out, enum berth_labelled metric, struct berth_labels labels,
			  uint64_t value);
/* A sample with these pairs of key and value as labels. */
__attribute__((sentinel)) void berth_labelled_sample(struct berth_text *out, enum berth_labelled metric,
						     uint64_t value, const char *key, ...);
