/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rtnetlink's requests and replies as plain structs, for neighbours.c, route_table.c, own_addresses.c and
 * netlink.c. rtnl.c requests links and neighbours, rtnl_devices.c all links, rtnl_routes.c routes and rules,
 * rtnl_own.c this host's addresses.
 */
#pragma once

#include <stddef.h>

#include "controlplane/netlink/rtnl_socket.h"
#include "dataplane/core/types.h"

struct berth_rtnl_link {
	bool is_up;	  /* IFF_UP and IFF_RUNNING */
	bool is_ethernet; /* its neighbours have MAC addresses */
	uint8_t mac[6];
	uint32_t mtu;
};

/* Frames that an interface has lost since it exists. */
struct berth_rtnl_losses {
	uint64_t rx_errors;
	uint64_t tx_errors;
	uint64_t rx_missed; /* the driver had no room for them */
	uint64_t rx_dropped;
	uint64_t tx_dropped;
};

struct berth_rtnl_route {
	bool is_unicast;  /* false: local, broadcast, unreachable, ..., multipath, or with an encapsulation */
	bool has_gateway; /* `next_hop` is a gateway */
	uint32_t ifindex; /* 0: no route */
	uint32_t mtu;	  /* 0: the link's */
	union berth_addr next_hop; /* the gateway, of either family; else the destination */
	union berth_addr source;
};

/* A route in a table. Comparable with memcmp: padding is 0. */
struct berth_rtnl_table_route {
	union berth_addr address;
	uint8_t bits;	 /* of 128: an IPv4 prefix length plus 96 */
	uint32_t metric; /* among routes to one prefix the lowest wins */
	struct berth_rtnl_route route;
};

struct berth_rtnl_neighbour {
	uint32_t ifindex;
	union berth_addr address;
	uint16_t state; /* NUD_... of <linux/neighbour.h>; 0: no entry */
	uint8_t mac[6];
};

/* A link of Ethernet's kind, and the devices below and above it. */
struct berth_rtnl_device {
	uint32_t ifindex;
	uint32_t lower;	 /* ifindex of the device that it is on; 0: none */
	uint32_t master; /* ifindex of the device that it belongs to; 0: none */
	uint8_t mac[6];
	bool is_up;
	bool is_upper;	/* a VLAN or macvlan: it receives frames of `lower` */
	bool is_master; /* a bridge, bond or team: it receives frames of its members */
};

struct berth_rtnl_devices {
	struct berth_rtnl_device *at; /* to be freed by the caller, also after an error */
	size_t n, max;
};

/* 0 or -errno; -ENODEV: not found. */
int berth_rtnl_link(struct berth_rtnl *rtnl, uint32_t ifindex, struct berth_rtnl_link *link);
/* All links of this namespace that have MAC addresses. 0 or -errno; -EINTR: they changed meanwhile. */
int berth_rtnl_devices(struct berth_rtnl_devices *devices);
int berth_rtnl_link_losses(struct berth_rtnl *rtnl, uint32_t ifindex, struct berth_rtnl_losses *losses);
/* The kernel's route lookup, which applies its rules and learned path MTUs. No route: 0 with ifindex 0. */
int berth_rtnl_route(struct berth_rtnl *rtnl, const union berth_addr *address, struct berth_rtnl_route *route);
/* The main table of both families. 0 or -errno; -E2BIG: more than `max` routes. -EINTR: it changed meanwhile. A
 * route for some packets only (by TOS or source) is returned as not unicast, with metric 0. */
int berth_rtnl_main_table(struct berth_rtnl_table_route *routes, size_t max, size_t *n);
/* Sets `standard` if the kernel looks up every packet that is not for the host itself in the main table, whatever
 * its source, mark or interface. */
int berth_rtnl_rules_are_standard(bool *standard);
/* This host's addresses of both families, on all interfaces, sorted and without duplicates. 0 or -errno; -E2BIG:
 * more than `max`. -EINTR: they changed meanwhile. */
int berth_rtnl_own_addresses(union berth_addr *addresses, size_t max, size_t *n);
/* Fills the entry of `ifindex` and `address`. No entry: 0 with state 0. */
int berth_rtnl_neighbour(struct berth_rtnl *rtnl, struct berth_rtnl_neighbour *neighbour);
/* Makes the kernel resolve a neighbour, or probe a stale one. */
int berth_rtnl_use_neighbour(struct berth_rtnl *rtnl, const struct berth_rtnl_neighbour *neighbour);
/* Parses RTM_NEWNEIGH or RTM_DELNEIGH; false: not an entry of IPv4 or IPv6, or a proxy's. */
bool berth_rtnl_parse_neighbour(const struct nlmsghdr *message, struct berth_rtnl_neighbour *neighbour);
