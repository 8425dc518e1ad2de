/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Follows the kernel's links, routes and neighbours by rtnetlink, and answers how an address is reached. Where
 * a neighbour is not resolved it asks the kernel to resolve it. Knows nothing of services or engines.
 */
#pragma once

#include "controlplane/config.h"

struct event_base;
struct berth_neigh;

struct berth_way {
	bool known;	  /* the rest below `ifindex` is valid */
	uint32_t ifindex; /* 0: no route */
	uint8_t dst_mac[6];
	uint8_t src_mac[6];
	uint16_t mtu;		 /* the link's, or the route's where it is smaller */
	union berth_addr source; /* preferred source address */
};

/* Called when a way may have changed; several changes may make one call. */
typedef void berth_neigh_fn(void *arg);

/* NULL with the reason in `error`. */
struct berth_neigh *berth_neigh_new(struct event_base *base, berth_neigh_fn *fn, void *arg,
				    char error[BERTH_ERROR_BYTES]);
void berth_neigh_free(struct berth_neigh *neigh);

/* Makes these the addresses to follow. -ENOMEM. */
int berth_neigh_set(struct berth_neigh *neigh, const union berth_addr *addresses, size_t n);
/* The way to an address that is followed; {0} for others. */
struct berth_way berth_neigh_way(const struct berth_neigh *neigh, const union berth_addr *address);
