/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * berth's routes in a table of the kernel, by rtnetlink. They have a protocol number of their own, so that others'
 * routes in the table are never touched, and a later berthd finds its own.
 *
 * Their type is `unreachable`, which BIRD and FRR read from a table (they skip `local` and `throw`). The kernel
 * itself looks into the table only if a policy rule (`ip rule`) names it; the default rules do not.
 */
#pragma once

#include "controlplane/netlink/rtnl_socket.h"
#include "dataplane/core/types.h"

enum {
	BERTH_ROUTE_PROTOCOL = 150, /* rtm_protocol; not one of /etc/iproute2/rt_protos */
};

typedef void berth_kernel_route_fn(void *arg, const union berth_addr *prefix, uint8_t bits);

/* Calls `fn` for each of berth's routes in the table, of both families. `bits`: of 128. 0 or -errno; -EINTR: it
 * changed meanwhile. */
int berth_kernel_table_read(uint32_t table, berth_kernel_route_fn *fn, void *arg);
/* 0 or -errno; -EEXIST: another route to the prefix is there. */
int berth_kernel_table_add(struct berth_rtnl *rtnl, uint32_t table, const union berth_addr *prefix, uint8_t bits);
/* -ESRCH: it is not there. */
int berth_kernel_table_remove(struct berth_rtnl *rtnl, uint32_t table, const union berth_addr *prefix,
			      uint8_t bits);
/* Whether a notification is about one of berth's routes in the table. */
bool berth_kernel_table_is_own(const struct nlmsghdr *message, uint32_t table);
