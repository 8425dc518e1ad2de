/* SPDX-License-Identifier: BSD-3-Clause */
/* The kernel's main table of routes and the ways of its gateways, for neigh.c. */
#pragma once

#include "controlplane/netlink/neigh.h"
#include "controlplane/netlink/next_hops.h"

/* Zeroed: a table that is not followed. */
struct berth_route_table {
	struct berth_neigh_route *routes; /* NULL: not followed */
	struct berth_hop **hops;	  /* of the routes; NULL: no gateway's */
	struct berth_rtnl_prefix *found;  /* what the routes were made of */
	struct berth_rtnl_prefix *next;	  /* the same, being read */
	size_t n;
	const char *why_none;
};

/* -ENOMEM. Empty before the first survey. */
int berth_route_table_follow(struct berth_route_table *table, bool follow);
/* In a survey of `hops`. 0 with `changed` set if the table did; on an error it is as it was. */
int berth_route_table_survey(struct berth_route_table *table, struct berth_hops *hops, bool *changed);
/* Whether a way is another one since. */
bool berth_route_table_update(struct berth_route_table *table);
