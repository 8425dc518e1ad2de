/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rtnetlink's sockets (rtnetlink(7)): requests with their replies, and notifications.
 *
 * The kernel answers a request in the sender's context. A reply is therefore there when the send returns; at most
 * the kernel's RTNL lock delays it.
 */
#pragma once

#include <libmnl/libmnl.h>
#include <stdint.h>

enum {
	BERTH_RTNL_REQUEST_BYTES = 256,
};

#define BERTH_RTNL_ALIGNED __attribute__((aligned(NLMSG_ALIGNTO)))

struct berth_rtnl {
	struct mnl_socket *requests;
	struct mnl_socket *notifications; /* non-blocking; links, neighbours, routes, rules, own addresses */
	uint32_t sequence;
};

/* 0 or -errno; on an error nothing is left open. */
int berth_rtnl_open(struct berth_rtnl *rtnl);
/* The same with notifications of routes alone. */
int berth_rtnl_open_routes(struct berth_rtnl *rtnl);
/* The same for requests alone: no notifications. */
int berth_rtnl_open_requests(struct berth_rtnl *rtnl);
void berth_rtnl_close(struct berth_rtnl *rtnl);

/* Sends a request and gives each message of the reply to `fn` (may be NULL). 0, or the -errno of the kernel or of
 * `fn`. */
int berth_rtnl_request(struct berth_rtnl *rtnl, struct nlmsghdr *request, mnl_cb_t fn, void *arg);
/* Requests a whole table, of IPv4 and then of IPv6. `header`: the family header of the request, whose first byte is
 * the family. 0 or -errno; -EINTR: the table changed meanwhile. */
int berth_rtnl_dump(uint16_t type, const void *header, size_t bytes, mnl_cb_t fn, void *arg);
/* Requests all links, which have no family. */
int berth_rtnl_dump_links(mnl_cb_t fn, void *arg);

typedef void berth_rtnl_fn(void *arg, const struct nlmsghdr *message);
/* Gives pending notifications to `fn`, a bounded number of them. 0; -ENOBUFS: some were lost, so read the tables
 * again. */
int berth_rtnl_receive(struct berth_rtnl *rtnl, berth_rtnl_fn *fn, void *arg);
