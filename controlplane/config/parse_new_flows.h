/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads the section `new-flows` of a service: limits of new flows. */
#pragma once

#include "controlplane/config/config.h"
#include "controlplane/config/schema.h"

/* Of a struct berth_new_flows_config. */
extern const struct berth_section berth_config_new_flows;

/* Fills in the defaults that depend on other keys, and checks the keys against each other. `item`: the service in
 * the file. 0 or -errno with one line in the schema's `error`. */
int berth_config_check_new_flows(struct berth_schema *schema, json_t *item, struct berth_new_flows_config *limits);
