/* SPDX-License-Identifier: BSD-3-Clause */
/* Checks the services against each other. */
#pragma once

#include "controlplane/config/config.h"
#include "controlplane/config/schema.h"

/*
 * Refuses services that conflict: too many prefix lengths, overlapping port ranges, and answers of a backend that
 * could belong to two services. Before the call each service is valid by itself, and no two have the same
 * addresses, protocol and ports. `list`: the services in the file. 0
 * or -errno with one line in the schema's `error`.
 */
int berth_config_check_conflicts(struct berth_schema *schema, json_t *list, const struct berth_config *config);
