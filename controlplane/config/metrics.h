/* SPDX-License-Identifier: BSD-3-Clause */
/* The section `metrics`; a part of config.c. */
#pragma once

#include <stdint.h>

#include "controlplane/config/schema.h"

/* Where they are served by HTTP. */
struct berth_metrics_config {
	union berth_addr address; /* of this host; 0.0.0.0 and :: are all of them */
	uint16_t port;		  /* 0: nowhere */
};

/* Into a struct berth_metrics_config. */
extern const struct berth_section berth_config_metrics;
