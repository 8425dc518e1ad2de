/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Packets, bits and new flows per second of services, backends and the whole engine. berthd reads their counters
 * once a second, in slices, so that no turn of its loop reads all of them. Memory: 112 bytes a number of the image.
 */
#pragma once

#include "controlplane/model/model.h"
#include "dataplane/core/image.h"

struct berth_rates;

/* The times that a rate is an average of. X(symbol, name, milliseconds) */
#define BERTH_RATE_WINDOWS(X)                                                                                      \
	X(1S, "1s", 1000)                                                                                          \
	X(10S, "10s", 10000)                                                                                       \
	X(60S, "60s", 60000)

enum berth_rate_window {
#define X(symbol, name, ms) BERTH_RATE_##symbol,
	BERTH_RATE_WINDOWS(X)
#undef X
	BERTH_RATE_WINDOW_COUNT,
};

/* Per second. */
struct berth_rate {
	double packets;
	double bits;
	double new_flows;
};

/* NULL: out of memory. */
struct berth_rates *berth_rates_new(void);
void berth_rates_free(struct berth_rates *rates);
/* Reads some of the counters, so that calls every BERTH_LOAD_TICK_MS read each once a second. `version` changes
 * when the model has other services or backends, or the image is another one. */
void berth_rates_step(struct berth_rates *rates, const struct berth_image *image, const struct berth_model *model,
		      uint64_t version, uint64_t now_ms);

/* The rate over a window; at first over the time since the first read, until that is twice as long. False: not
 * known, since the counters were not read twice yet. */
bool berth_rates_service(const struct berth_rates *rates, const struct berth_model_service *service,
			 enum berth_rate_window window, struct berth_rate *rate);
bool berth_rates_backend(const struct berth_rates *rates, const struct berth_model_backend *backend,
			 enum berth_rate_window window, struct berth_rate *rate);
/* Packets received, and bits and new flows of all services. */
bool berth_rates_engine(const struct berth_rates *rates, enum berth_rate_window window, struct berth_rate *rate);
/* Packets with a verdict of the class drop. */
bool berth_rates_drops(const struct berth_rates *rates, enum berth_rate_window window, struct berth_rate *rate);
