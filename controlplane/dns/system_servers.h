/* SPDX-License-Identifier: BSD-3-Clause */
/* The DNS servers of resolv.conf, as the C library reads it. */
#pragma once

#include "controlplane/config/config.h"

/* Reads the file. Returns how many servers there are; with `options rotate` lookup number `turn` begins with
 * another one than the lookup before. 0: it cannot be read. */
size_t berth_dns_system_servers(struct berth_dns_server servers[BERTH_MAX_DNS_SERVERS], uint64_t turn);
