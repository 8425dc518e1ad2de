/* SPDX-License-Identifier: BSD-3-Clause */
/* Whether an address from DNS may be a service's backend: what config_services.c and config_conflicts.c ask of one
 * that is written. */
#pragma once

#include "controlplane/config/config.h"

/* Says why not in `why`; true: it may. `source` is what it is to be a backend of. */
bool berth_dns_fits(const struct berth_config *config, const struct berth_service_config *service,
		    const struct berth_source_config *source, const union berth_addr *address, char *why,
		    size_t size);
