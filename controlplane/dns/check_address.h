/* SPDX-License-Identifier: BSD-3-Clause */
/* Checks an address from DNS by the rules for backends (config/rules.h), which also hold for addresses in the file;
 * and special addresses, which only the file or `dns.allow` can name. */
#pragma once

#include "controlplane/config/config.h"
#include "controlplane/netlink/types.h"

/* Returns true if the address can be a backend of `service` from `source`; else false, and sets `reason`. `own`:
 * the addresses of berth's host. */
bool berth_dns_check_address(const struct berth_config *config, const struct berth_own_addresses *own,
			     const struct berth_service_config *service, const struct berth_source_config *source,
			     const union berth_addr *address, char *reason, size_t size);
