/* SPDX-License-Identifier: BSD-3-Clause */
/* What rtnl.c, rtnl_routes.c and rtnl_own.c share: asking, and addresses in messages. */
#pragma once

#include <libmnl/libmnl.h>

#include "controlplane/netlink/rtnl.h"

enum {
	BERTH_RTNL_QUESTION_BYTES = 256,
};

#define BERTH_RTNL_ALIGNED __attribute__((aligned(NLMSG_ALIGNTO)))

/* 0 or -errno. */
int berth_rtnl_open_socket(struct mnl_socket **out, int flags);
/* Sends and reads until the kernel's last word. 0, or the -errno that it or `fn` gives. */
int berth_rtnl_ask(struct berth_rtnl *rtnl, struct nlmsghdr *question, mnl_cb_t fn, void *arg);
/* Asks for all of something, of IPv4 and then of IPv6. `header`: what the question has behind its own header; its
 * first byte is the family. 0 or -errno; -EINTR: it changed meanwhile. */
int berth_rtnl_dump(uint16_t type, const void *header, size_t bytes, mnl_cb_t fn, void *arg);

unsigned char berth_rtnl_family_of(const union berth_addr *address);
void berth_rtnl_put_address(struct nlmsghdr *message, uint16_t type, const union berth_addr *address);
/* False where that many bytes are no address. */
bool berth_rtnl_copy_address(const void *bytes, size_t length, union berth_addr *address);
bool berth_rtnl_get_address(const struct nlattr *attr, union berth_addr *address);
/* Attributes of one 32-bit word; another length reads as 0. */
uint32_t berth_rtnl_get_word(const struct nlattr *attr);
