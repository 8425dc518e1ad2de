/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Follows the kernel's links, routes and neighbours by rtnetlink (rtnetlink(7)), and gives the next hop of an
 * address. It makes the kernel resolve neighbours that are not resolved. It knows no services and no engines.
 * Everything runs in berthd's event loop.
 */
#pragma once

#include "controlplane/netlink/types.h"
#include "controlplane/util/error.h"

struct event_base;
struct berth_netlink;

/* Called when a link, a next hop, a route or an own address may have changed; one call may stand for several
 * changes. */
typedef void berth_netlink_fn(void *arg);

/* NULL with the reason in `error`. */
struct berth_netlink *berth_netlink_new(struct event_base *base, berth_netlink_fn *fn, void *arg,
					char error[BERTH_ERROR_BYTES]);
void berth_netlink_free(struct berth_netlink *netlink);

/*
 * Stage: follows these addresses beside the current ones. Then either commit ends following the former addresses,
 * or drop ends following the new ones. `host`: also follow the main table's routes and the host's own addresses. 0;
 * on -ENOMEM the stage is dropped.
 */
int berth_netlink_stage(struct berth_netlink *netlink, const union berth_addr *addresses, size_t n, bool host);
void berth_netlink_commit(struct berth_netlink *netlink);
void berth_netlink_drop(struct berth_netlink *netlink);
/* How the reads of the kernel's tables go. */
struct berth_netlink_status {
	int error;	 /* -errno of the last one: the last known next hops are in use; 0: none */
	uint64_t errors; /* reads with an error */
};
struct berth_netlink_status berth_netlink_status(const struct berth_netlink *netlink);

/* Stage and commit in one. 0 or -ENOMEM. */
int berth_netlink_follow(struct berth_netlink *netlink, const union berth_addr *addresses, size_t n, bool host);
/* The next hop of a followed address, without `port`; {0} for other addresses. */
struct berth_next_hop berth_netlink_next_hop(const struct berth_netlink *netlink, const union berth_addr *address);
/* The main table's routes; {0} if they are not followed. */
struct berth_kernel_routes berth_netlink_routes(const struct berth_netlink *netlink);
/* The host's own addresses; {0} if they are not followed. */
struct berth_own_addresses berth_netlink_own_addresses(const struct berth_netlink *netlink);
