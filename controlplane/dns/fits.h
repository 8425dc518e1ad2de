/* SPDX-License-Identifier: BSD-3-Clause */
/* Whether an address from DNS can be a backend of a service: by config/rules.h, as for an address in the file. */
#pragma once

#include "controlplane/config/config.h"

/* Says why not in `why`; true: it may. `source` is what it is to be a backend of. */
bool berth_dns_fits(const struct berth_config *config, const struct berth_service_config *service,
		    const struct berth_source_config *source, const union berth_addr *address, char *why,
		    size_t size);
