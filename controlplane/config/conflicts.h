/* SPDX-License-Identifier: BSD-3-Clause */
/* What no service may be to another; a part of config.c. */
#pragma once

#include "controlplane/config/config.h"
#include "controlplane/config/schema.h"

/*
 * For services that are right each by itself, and no two of which have the same addresses, protocol and ports.
 * `list` is where they were read from. 0 or -errno with one line in the schema's `error`.
 */
int berth_config_check_conflicts(struct berth_schema *schema, json_t *list, const struct berth_config *config);
