/* SPDX-License-Identifier: BSD-3-Clause */
/* Link-local DNS servers. c-ares 1.18 has no interface beside an address, so its sockets get it when they connect.
 * Used by lookup.c only. */
#pragma once

#include <ares.h>

#include "controlplane/config/config.h"

/* The servers of a lookup. */
struct berth_dns_scopes {
	struct berth_dns_server servers[BERTH_MAX_DNS_SERVERS];
	size_t n;
};

/* Makes the channel connect to the configuration's link-local servers over their interfaces. No effect without such
 * servers. `scopes` must outlive the channel. */
void berth_dns_scopes_use(struct berth_dns_scopes *scopes, ares_channel channel,
			  const struct berth_dns_config *config);
