/* SPDX-License-Identifier: BSD-3-Clause */
/* What the kernel's tables say, as plain structs: its main routing table and this host's addresses. */
#pragma once

#include <stddef.h>

#include "controlplane/util/next_hop.h"

/* A route of the kernel's main table. */
struct berth_kernel_route {
	union berth_addr prefix;
	uint8_t bits;			/* of 128: an IPv4 prefix length plus 96 */
	uint32_t metric;		/* among routes to one prefix the lowest wins */
	struct berth_next_hop next_hop; /* resolved: one gateway, whose MAC address is known; `port` is not set */
};

struct berth_kernel_routes {
	const struct berth_kernel_route *routes; /* in no order; valid until the event loop runs again */
	size_t n;
	const char *reason; /* not NULL: why the main table cannot be used, and `n` is 0 */
};

/* This host's own addresses, on all interfaces. */
struct berth_own_addresses {
	const union berth_addr *addresses; /* sorted, no duplicates; valid until the event loop runs again */
	size_t n;
	bool is_truncated; /* the host has more than BERTH_MAX_OWN; these are some of them */
};
