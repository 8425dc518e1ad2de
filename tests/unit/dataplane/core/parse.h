/* SPDX-License-Identifier: BSD-3-Clause */
/* For tests of parse.h: valid packets, from which the others are made. */
#pragma once

#include "tests/support/unit.h"
#include "tests/unit/dataplane/core/edge.h"

#define CLIENT4 "198.51.100.7"
#define CLIENT6 "2001:db8:2::7"
#define VIP4 "203.0.113.10"
#define VIP6 "2001:db8:1::10"

/* Both families, both protocols, 0 to 2 tags. */
static const struct fixture_packet valid[] = {
	{.src = CLIENT4, .dst = VIP4, .sport = 1025, .dport = 80, .protocol = 6, .tcp_flags = 0x12, .payload = 9},
	{.src = CLIENT4, .dst = VIP4, .sport = 1025, .dport = 53, .protocol = 17, .payload = 9, .traffic_class = 3},
	{.src = CLIENT6,
	 .dst = VIP6,
	 .sport = 1025,
	 .dport = 80,
	 .protocol = 6,
	 .traffic_class = 0xb9,
	 .payload = 9},
	{.src = CLIENT6, .dst = VIP6, .sport = 1025, .dport = 53, .protocol = 17, .payload = 9},
};
