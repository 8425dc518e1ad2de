/* SPDX-License-Identifier: BSD-3-Clause */
/* Which addresses, prefixes and ports a configuration can have. Pure. */
#pragma once

#include "dataplane/core/types.h"

/* False for "this network" (RFC 1122 section 3.2.1.3), multicast, broadcast and reserved addresses. True for
 * loopback, which tests use. */
bool berth_net_is_host(const union berth_addr *address);
/* 127.0.0.0/8 and ::1. */
bool berth_net_is_loopback(const union berth_addr *address);
/* 169.254.0.0/16 (RFC 3927) and fe80::/10 (RFC 4291 section 2.5.6). */
bool berth_net_is_link_local(const union berth_addr *address);
/* Whether an address is a prefix of host addresses: its host bits are 0. False for a prefix that contains
 * ::ffff:0:0/96, which is IPv4 in memory. */
bool berth_net_is_prefix(const union berth_addr *address, uint8_t bits);
/* "8000": 1 to 65535, no leading zeros. */
bool berth_net_parse_port(const char *text, uint16_t *port);
/* "8000-8099", or "any", which is 0 to UINT16_MAX. */
bool berth_net_parse_ports(const char *text, uint16_t *first, uint16_t *last);

/* "127.0.0.1:9427" or "[::1]:9427"; 0 or -EINVAL. */
int berth_net_parse_place(const char *text, union berth_addr *address, uint16_t *port);
