/* SPDX-License-Identifier: BSD-3-Clause */
/* Attributes of rtnetlink messages: addresses and 32-bit words. */
#pragma once

#include <libmnl/libmnl.h>

#include "dataplane/core/types.h"

unsigned char berth_rtnl_family(const union berth_addr *address); /* AF_INET or AF_INET6 */
void berth_rtnl_put_address(struct nlmsghdr *message, uint16_t type, const union berth_addr *address);
/* False: `length` is that of no address. */
bool berth_rtnl_copy_address(const void *bytes, size_t length, union berth_addr *address);
bool berth_rtnl_get_address(const struct nlattr *attr, union berth_addr *address);
/* False: the attribute does not have six bytes. */
bool berth_rtnl_get_mac(const struct nlattr *attr, uint8_t mac[6]);
/* 0 if the attribute does not have four bytes. */
uint32_t berth_rtnl_get_word(const struct nlattr *attr);
