/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The neighbours and links that routes need, for netlink.c and route_table.c. An entry is made when a resync first
 * gets it, and freed at the end of a resync that did not get it. Several routes share an entry.
 */
#pragma once

#include <sys/queue.h>

#include "controlplane/netlink/rtnl.h"
#include "controlplane/util/next_hop.h"

struct berth_neighbour_link {
	uint32_t ifindex; /* first: the key */
	uint64_t resync;  /* the last one that got this link */
	struct berth_rtnl_link state;
	bool was_down;	      /* since when it is up again is known: */
	uint64_t up_since_ms; /* CLOCK_MONOTONIC */
	LIST_ENTRY(berth_neighbour_link) entry;
};

struct berth_neighbour {
	struct berth_rtnl_neighbour state; /* first: its ifindex and address are the key */
	uint64_t resync;
	struct berth_neighbour_link *link;
	bool is_resolved; /* `mac` is valid */
	uint8_t mac[6];
	bool is_requested;     /* the kernel was made to resolve or probe it, at: */
	uint64_t requested_ms; /* CLOCK_MONOTONIC */
	LIST_ENTRY(berth_neighbour) entry;
};

struct berth_neighbours {
	struct berth_rtnl *rtnl;
	uint64_t resync;
	void *neighbour_tree; /* <search.h> */
	void *link_tree;
	LIST_HEAD(, berth_neighbour) neighbours;
	LIST_HEAD(, berth_neighbour_link) links;
	int error; /* the last -errno of a read in this resync: what it would have read is kept; 0: none */
};

void berth_neighbours_init(struct berth_neighbours *neighbours, struct berth_rtnl *rtnl);
void berth_neighbours_clear(struct berth_neighbours *neighbours);

/* Begins a resync: the first get of each entry reads it from the kernel. */
void berth_neighbours_begin(struct berth_neighbours *neighbours);
/* 0 or -ENOMEM. NULL in `neighbour`: the link is down or has no neighbours with MAC addresses. What is known of
 * them is kept, so that all are reached at once when it is up again: if one were resolved after the other, clients
 * of those that come later would move. */
int berth_neighbours_get(struct berth_neighbours *neighbours, uint32_t ifindex, const union berth_addr *address,
			 struct berth_neighbour **neighbour);
/* Keeps an entry, or NULL, as it is: the route to it could not be read. */
void berth_neighbours_keep(const struct berth_neighbours *neighbours, struct berth_neighbour *neighbour);
/* Ends the resync: frees the entries that it did not get or keep. */
void berth_neighbours_end(struct berth_neighbours *neighbours);

/* Applies a notification; false: it is about no entry. */
bool berth_neighbours_update(struct berth_neighbours *neighbours, const struct berth_rtnl_neighbour *state);
/* Makes the kernel resolve unresolved entries and probe stale ones. Called once a second. */
void berth_neighbours_maintain(struct berth_neighbours *neighbours);

/* Computes the next hop of a route over its neighbour (NULL: none). True: it differs from what `next_hop` held. */
bool berth_neighbour_next_hop(const struct berth_rtnl_route *route, const struct berth_neighbour *neighbour,
			      struct berth_next_hop *next_hop);
