/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads the list `access`. */
#pragma once

#include "controlplane/config/config.h"
#include "controlplane/config/schema.h"

/* An item of the list. */
extern const struct berth_section berth_config_access_item;

/* Fills a struct berth_access_config from the list. As berth_field.read_value. */
int berth_config_read_access(struct berth_schema *schema, json_t *list, void *member);
