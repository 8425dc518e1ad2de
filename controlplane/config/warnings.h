/* SPDX-License-Identifier: BSD-3-Clause */
/* What is valid in a configuration, but probably a mistake. Pure. */
#pragma once

#include "controlplane/config/config.h"

/* `warning`: one line, valid during the call. */
typedef void berth_config_warning_fn(void *arg, const char *warning);

void berth_config_warn(const struct berth_config *config, berth_config_warning_fn *fn, void *arg);

/*
 * The rows with which a selection table surely has a row for every backend whose weight is at least `weight`; `sum`
 * and `heaviest`: of the service's weights. Maglev: a backend takes its first row in turn ceil(heaviest / weight),
 * and that turn ends after at most sum / heaviest rows per turn. Round-robin: its first row is before ceil(sum /
 * weight).
 */
uint64_t berth_config_rows_needed(enum berth_schedule scheduler, uint64_t sum, uint64_t heaviest, uint64_t weight);
