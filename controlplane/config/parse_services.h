/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads the sections `services` and `timeouts`. */
#pragma once

#include "controlplane/config/config.h"
#include "controlplane/config/schema.h"

/* Fills a uint32_t[BERTH_STATE_COUNT] with timeouts in seconds, at the top level and in a service. */
extern const struct berth_section berth_config_timeouts;

/* The keys of struct berth_service_config. */
extern const struct berth_section berth_config_service;

bool berth_config_is_prime(int64_t number);

/* Appends the services to `config`, whose limits have been read. `timeout`: the defaults of a service. 0 or -errno
 * with one line in the schema's `error`. */
int berth_config_read_services(struct berth_schema *schema, json_t *list, struct berth_config *config,
			       const uint32_t timeout[BERTH_TIMEOUT_COUNT]);
