/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rtnetlink as plain structs: questions to the kernel, and what it tells of changes. For neigh.c; keeps no
 * state but two sockets. rtnl_routes.c has what is about routes, rtnl_own.c this host's own addresses.
 *
 * A question is answered before the call returns: the kernel works it off in the sender's context, so there is
 * nothing to wait for but, at times, the RTNL lock.
 */
#pragma once

#include <linux/netlink.h>

#include "dataplane/core/types.h"

struct mnl_socket;

struct berth_rtnl {
	struct mnl_socket *questions;
	struct mnl_socket *news; /* non-blocking, subscribed to all that changes a way */
	uint32_t sequence;
};

struct berth_rtnl_link {
	bool up;       /* and running */
	bool ethernet; /* not a loopback, and has neighbours with link addresses */
	uint8_t mac[6];
	uint32_t mtu;
};

struct berth_rtnl_route {
	bool unicast;	      /* false: local, broadcast, unreachable, ..., or not one plain way */
	bool gateway;	      /* `hop` is one */
	uint32_t ifindex;     /* 0: no route */
	uint32_t mtu;	      /* 0: the link's */
	union berth_addr hop; /* the gateway, of either family, or the address that was asked for */
	union berth_addr source;
};

/* A route as it stands in a table. Its bytes can be compared: padding is 0. */
struct berth_rtnl_prefix {
	union berth_addr address;
	uint8_t bits;	 /* of 128; IPv4 has 96 more than its own */
	uint32_t metric; /* the lowest wins among routes of one prefix */
	struct berth_rtnl_route route;
};

struct berth_rtnl_neighbour {
	uint32_t ifindex;
	union berth_addr address;
	uint16_t state; /* NUD_... of <linux/neighbour.h>; 0: none */
	uint8_t mac[6];
};

/* 0 or -errno; nothing is left open on an error. */
int berth_rtnl_open(struct berth_rtnl *rtnl);
void berth_rtnl_close(struct berth_rtnl *rtnl);

/* 0 or -errno. No such link: -ENODEV. */
int berth_rtnl_link(struct berth_rtnl *rtnl, uint32_t ifindex, struct berth_rtnl_link *link);
/* The kernel's own lookup, with its rules and learned path MTUs. No route is an answer: ifindex 0. */
int berth_rtnl_route(struct berth_rtnl *rtnl, const union berth_addr *address, struct berth_rtnl_route *route);
/* The main table, both families, at most `room` routes. -E2BIG: there are more. -EINTR: it changed meanwhile. A
 * route that only some packets take (by TOS or source) is not unicast and has metric 0. */
int berth_rtnl_main_table(struct berth_rtnl_prefix *prefixes, size_t room, size_t *n);
/* Whether the kernel looks into the main table for every packet that is not for itself, whatever its source,
 * mark or interface. */
int berth_rtnl_rules_are_standard(bool *standard);
/* This host's own addresses, of both families and all interfaces, at most `room`, each once and in order. -E2BIG:
 * there are more. -EINTR: they changed meanwhile. */
int berth_rtnl_own_addresses(union berth_addr *addresses, size_t room, size_t *n);
/* `ifindex` and `address` say which; fills the rest. No entry is an answer: state 0. */
int berth_rtnl_neighbour(struct berth_rtnl *rtnl, struct berth_rtnl_neighbour *neighbour);
/* Has the kernel resolve a neighbour, or make sure of one that it has not heard of for long. */
int berth_rtnl_use_neighbour(struct berth_rtnl *rtnl, const struct berth_rtnl_neighbour *neighbour);

/* Reads what has come on `news`, up to a bound, and gives it to `fn` one by one. -ENOBUFS: something was lost,
 * ask everything anew. */
typedef void berth_rtnl_fn(void *arg, const struct nlmsghdr *message);
int berth_rtnl_read(struct berth_rtnl *rtnl, berth_rtnl_fn *fn, void *arg);
/* The entry that RTM_NEWNEIGH or RTM_DELNEIGH is about; false: of no interest here. */
bool berth_rtnl_parse_neighbour(const struct nlmsghdr *message, struct berth_rtnl_neighbour *neighbour);
