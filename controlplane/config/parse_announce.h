/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads the section `announce`. */
#pragma once

#include "controlplane/config/config.h"
#include "controlplane/config/schema.h"

/* Fills a struct berth_announce_config. */
extern const struct berth_section berth_config_announce;
