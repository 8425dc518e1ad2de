/* SPDX-License-Identifier: BSD-3-Clause */
/* Which addresses, prefixes and ports a configuration may have; a part of schema.c. */
#pragma once

#include "dataplane/core/types.h"

/* Not "this network" (RFC 1122, 3.2.1.3), groups, broadcast or reserved. Loopback is: tests use it. */
bool berth_net_is_host(const union berth_addr *address);
/* Of hosts alone, with the bits past it 0; none of ::ffff:0:0/96 either, which would be IPv4 addresses in memory.
 */
bool berth_net_is_prefix(const union berth_addr *address, uint8_t bits);
/* "8000", written the shortest way; not 0. */
bool berth_net_parse_port(const char *text, uint16_t *port);
/* "8000-8099", each written the shortest way, or "any", which is 0 to UINT16_MAX. */
bool berth_net_parse_ports(const char *text, uint16_t *first, uint16_t *last);
