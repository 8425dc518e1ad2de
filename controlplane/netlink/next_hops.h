/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Neighbours on links, for neigh.c. Hops and links are shared, made when a survey first needs them and dropped at
 * the end of the next one in which nothing does. What is not resolved, the kernel is asked to resolve.
 */
#pragma once

#include <sys/queue.h>

#include "controlplane/netlink/neigh.h"
#include "controlplane/netlink/rtnl.h"

struct berth_link {
	uint32_t ifindex; /* first: the key */
	uint64_t survey;  /* the last one that needed it */
	struct berth_rtnl_link is;
	LIST_ENTRY(berth_link) entry;
};

struct berth_hop {
	struct berth_rtnl_neighbour is; /* first: its ifindex and address are the key */
	uint64_t survey;
	struct berth_link *link;
	bool resolved; /* `mac` may be used */
	uint8_t mac[6];
	bool asked;
	uint64_t asked_ms;
	LIST_ENTRY(berth_hop) entry;
};

struct berth_hops {
	struct berth_rtnl *rtnl;
	uint64_t survey;
	void *hop_tree; /* <search.h> */
	void *link_tree;
	LIST_HEAD(, berth_hop) hops;
	LIST_HEAD(, berth_link) links;
};

void berth_hops_init(struct berth_hops *hops, struct berth_rtnl *rtnl);
void berth_hops_clear(struct berth_hops *hops);

/* A survey: all that it gets is asked of the kernel anew, once, and what it does not get goes with its end. */
void berth_hops_begin(struct berth_hops *hops);
/* -ENOMEM. NULL in `hop`: the link is down or has no neighbours with link addresses. */
int berth_hops_get(struct berth_hops *hops, uint32_t ifindex, const union berth_addr *address,
		   struct berth_hop **hop);
void berth_hops_end(struct berth_hops *hops);

/* What the kernel tells of a neighbour; false: it is none of these. */
bool berth_hops_learn(struct berth_hops *hops, const struct berth_rtnl_neighbour *news);
/* Has the kernel resolve what is not, and look again after what is stale. Once a tick. */
void berth_hops_maintain(struct berth_hops *hops);

/* The way by a route over its hop (NULL: none), into `way`. Whether it is another than stood there. */
bool berth_hops_way(const struct berth_rtnl_route *route, const struct berth_hop *hop,
		    struct berth_neigh_path *way);
