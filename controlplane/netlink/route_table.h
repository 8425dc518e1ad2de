/* SPDX-License-Identifier: BSD-3-Clause */
/* The kernel's main routing table with the next hops of its gateways, for netlink.c. */
#pragma once

#include "controlplane/netlink/neighbours.h"
#include "controlplane/netlink/types.h"

/* Zeroed: disabled. */
struct berth_route_table {
	struct berth_kernel_route *routes;    /* NULL: disabled */
	struct berth_neighbour **gateways;    /* one per route; NULL: no gateway */
	struct berth_rtnl_table_route *found; /* as read from the kernel, one per route */
	struct berth_rtnl_table_route *next;  /* the buffer for the next read */
	size_t n;
	const char *reason; /* why the table cannot be used; NULL: it can */
};

/* 0 or -ENOMEM. Empty before the first read. */
int berth_route_table_enable(struct berth_route_table *table, bool enable);
/* Reads the table, within a resync of `neighbours`. Sets `changed` if it changed. 0, or -errno with nothing
 * changed. */
int berth_route_table_read(struct berth_route_table *table, struct berth_neighbours *neighbours, bool *changed);
/* Recomputes the next hops. True: one of them changed. */
bool berth_route_table_update(struct berth_route_table *table);
