/* SPDX-License-Identifier: BSD-3-Clause */
/* An invalid file, and the error without the file name. The lists are in config_bad_*.h. */
#pragma once

#include "tests/unit/controlplane/config/config.h"

struct bad {
	const char *text;
	const char *error;
};

/* Two services of a group; the second has one more key of affinity. */
#define GROUPED(key)                                                                                               \
	SERVICE "  affinity: {by: client, group: shop}\n"                                                          \
		"- {name: w2, address: 203.0.113.11, port: 80, mode: l2, affinity: {" key                          \
		", by: client, group: shop}}\n",

/* Endings of messages. */
#define SECONDS "a whole number with its unit (ms, s, m or h), from 1s to 24h in full seconds"
#define DURATION "a whole number with its unit (ms, s, m or h), from "
#define NAME "1 to 63 of the characters A-Z a-z 0-9 . _ -"
#define ADDRESS "the IPv4 or IPv6 address of one host, like 192.0.2.10 or 2001:db8::10"
#define PREFIX "an IPv4 or IPv6 address or prefix of hosts, like 192.0.2.10 or 2001:db8::/64"
#define PORTS "a port from 1 to 65535, a range like 8000-8099, or any"
#define STORE_SERVER                                                                                               \
	"4:36: invalid server of the store; write its address and port, like 192.0.2.60:6379 or "                  \
	"\"[2001:db8::60]:6379\""
#define LISTEN "an address and a port, like 127.0.0.1:9427 or \"[::1]:9427\""
#define TOP_KEYS                                                                                                   \
	"engine, interfaces, dpdk, limits, tunnel, dns, timeouts, metrics, announce, access, sessions, cluster, "  \
	"state-dir, secret-file, "                                                                                 \
	"services"
