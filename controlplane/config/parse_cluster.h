/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads the section `cluster`. */
#pragma once

#include "controlplane/config/config.h"
#include "controlplane/config/schema.h"

/* Fills a struct berth_cluster_config. */
extern const struct berth_section berth_config_cluster;

/* Once the top level is read: a cluster needs a secret; its node has the host's name by default. 0 or -errno with
 * one line in the schema's `error`. */
int berth_config_check_cluster(struct berth_schema *schema, struct berth_config *config);
