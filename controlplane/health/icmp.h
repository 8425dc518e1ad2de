/* SPDX-License-Identifier: BSD-3-Clause */
/* The socket of an ICMP probe, for the process that may open one. */
#pragma once

#include <stdbool.h>

/* A ping socket if net.ipv4.ping_group_range permits it, else a raw socket (CAP_NET_RAW). -1 with errno. */
int berth_icmp_socket(bool is4, bool *is_raw);
