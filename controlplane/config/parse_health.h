/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads the section `health` of a service. */
#pragma once

#include "controlplane/config/config.h"
#include "controlplane/config/schema.h"

/* Fills a struct berth_health_config. */
extern const struct berth_section berth_config_health;

/* The checks that need the whole service; `health` is that of it. 0 or -errno with one line in the schema's error.
 */
int berth_config_check_health(struct berth_schema *schema, json_t *service_item,
			      const struct berth_service_config *service, struct berth_health_config *health);
