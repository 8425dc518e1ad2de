/* SPDX-License-Identifier: BSD-3-Clause */
/* The `services` and `timeouts` of the configuration; a part of config.c. */
#pragma once

#include "controlplane/config/config.h"
#include "controlplane/config/schema.h"

/* Over uint32_t[BERTH_STATE_COUNT]: flow timeouts in seconds, the same in a service as outside. */
extern const struct berth_section berth_config_timeouts;

/* Appends to the configuration, whose limits must stand already. `timeout` is what a service that says nothing
 * has. */
int berth_config_read_services(struct berth_schema *schema, json_t *list, struct berth_config *config,
			       const uint32_t timeout[BERTH_STATE_COUNT]);
