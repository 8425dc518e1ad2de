/* SPDX-License-Identifier: BSD-3-Clause */
/* What is valid in a configuration, but probably a mistake. Looks at files and links of this host. */
#pragma once

#include "controlplane/config/config.h"

/* `warning`: one line, valid during the call. */
typedef void berth_config_warning_fn(void *arg, const char *warning);

void berth_config_warn(const struct berth_config *config, berth_config_warning_fn *fn, void *arg);
