/* SPDX-License-Identifier: BSD-3-Clause */
/* The section `metrics`; a part of config.c. */
#pragma once

#include "controlplane/config/config.h"
#include "controlplane/config/schema.h"

/* Into a struct berth_metrics_config. */
extern const struct berth_section berth_config_metrics;
