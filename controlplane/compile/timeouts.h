/* SPDX-License-Identifier: BSD-3-Clause */
/* Timeouts of a configuration, as the engines have them: by the state of a word. */
#pragma once

#include "controlplane/config/config.h"
#include "dataplane/core/abi.h"

/* The timeouts of the service's protocol. */
void berth_compile_timeouts(const struct berth_service_config *config, uint32_t out[BERTH_STATE_COUNT]);
