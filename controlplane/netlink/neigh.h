/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Follows the kernel's links, routes and neighbours by rtnetlink, and answers how an address is reached. Where
 * a neighbour is not resolved it asks the kernel to resolve it. Knows nothing of services or engines.
 */
#pragma once

#include "controlplane/config/config.h"

struct event_base;
struct berth_neigh;

struct berth_neigh_path {
	bool known;	  /* the rest below `ifindex` is valid */
	uint32_t ifindex; /* 0: no route */
	uint8_t dst_mac[6];
	uint8_t src_mac[6];
	uint16_t mtu;		 /* the link's, or the route's where it is smaller */
	union berth_addr source; /* preferred source address */
};

/* A route of the kernel's main table. */
struct berth_neigh_route {
	union berth_addr prefix;
	uint8_t bits;		     /* of 128; IPv4 has 96 more than its own */
	uint32_t metric;	     /* the lowest wins among routes of one prefix */
	struct berth_neigh_path way; /* known: by one gateway, whose link address is known */
};

enum {
	BERTH_NEIGH_MAX_OWN = 256,
};

/* This host's own addresses, of all interfaces. */
struct berth_neigh_own {
	const union berth_addr *addresses; /* each once, in order; until the event loop runs again */
	size_t n;
	bool more; /* there are more than BERTH_NEIGH_MAX_OWN, and these are some of them */
};

struct berth_neigh_table {
	const struct berth_neigh_route *routes; /* in no order; until the event loop runs again */
	size_t n;
	const char *why_none; /* not NULL: there are routes, but none are given */
};

/* Called when a way or an own address may have changed; several changes may make one call. */
typedef void berth_neigh_fn(void *arg);

/* NULL with the reason in `error`. */
struct berth_neigh *berth_neigh_new(struct event_base *base, berth_neigh_fn *fn, void *arg,
				    char error[BERTH_ERROR_BYTES]);
void berth_neigh_free(struct berth_neigh *neigh);

/* Makes these the addresses to follow, and says whether to follow what is the whole host's, too: the main table's
 * routes and its own addresses. -ENOMEM. */
int berth_neigh_set(struct berth_neigh *neigh, const union berth_addr *addresses, size_t n, bool host);
/* The way to an address that is followed; {0} for others. */
struct berth_neigh_path berth_neigh_way(const struct berth_neigh *neigh, const union berth_addr *address);
/* The main table; {0} if it is not followed. */
struct berth_neigh_table berth_neigh_table(const struct berth_neigh *neigh);
/* The host's own addresses; {0} if they are not followed. */
struct berth_neigh_own berth_neigh_own(const struct berth_neigh *neigh);
