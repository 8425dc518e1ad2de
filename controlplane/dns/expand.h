/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Expands DNS names in a configuration to backends: each address of a name becomes a backend NAME@ADDRESS. Pure.
 *
 * An existing backend stays. When its address leaves DNS its weight becomes 0, and it drains until the caller
 * removes it (berth_dns_state_remove_member). If two names resolve to the same address, the name with an existing
 * backend keeps it, else the first one in the configuration gets it.
 */
#pragma once

#include "controlplane/dns/state.h"
#include "controlplane/netlink/types.h"

/* An address that cannot be a backend. */
struct berth_dns_skipped {
	char service[BERTH_NAME_BYTES];
	char dns[BERTH_DNS_NAME_BYTES];
	union berth_addr address;
	char reason[128];
};

struct berth_dns_expansion {
	struct berth_dns_skipped *skipped;
	size_t n_skipped;
	size_t n_over_limit; /* skipped because of limits.backends or the service's table size */
};

/* Adds backends to a parsed configuration. `own`: the addresses of berth's host, which are no backends unless
 * `dns.allow` has them. Returns 0 or -ENOMEM. */
int berth_dns_expand(struct berth_config *config, const struct berth_dns_state *state,
		     const struct berth_own_addresses *own, struct berth_dns_expansion *expansion);
void berth_dns_expansion_clear(struct berth_dns_expansion *expansion);
