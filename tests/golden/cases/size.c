// SPDX-License-Identifier: BSD-3-Clause
/* The largest packet that fits the path to the backend (MTU 1500), and one byte more. */
#include "tests/golden/table.h"

static const struct golden_case cases[] = {
	{"size: 1500 bytes fit, l2", 1, {.payload = 1460}, V(SELECTED)},
	{"size: 1501 bytes are too big, l2", 1, {.payload = 1461}, V(ANSWERED_TOO_BIG)},
	{"size: 1500 bytes fit under two tags, l2", 1, {.payload = 1460, .tags = 2}, V(SELECTED)},
	{"size: 1500 bytes of IPv6 fit, l2", 6, {.payload = 1440}, V(SELECTED)},
	{"size: 1501 bytes of IPv6 are too big, l2", 6, {.payload = 1441}, V(ANSWERED_TOO_BIG)},
	{"size: 1480 bytes fit, 4in4", 2, {.payload = 1452}, V(SELECTED)},
	{"size: 1481 bytes are too big, 4in4", 2, {.payload = 1453}, V(ANSWERED_TOO_BIG)},
	{"size: 1481 bytes with do-not-fragment are too big, 4in4",
	 2,
	 {.payload = 1453, .fragment = 0x4000},
	 V(ANSWERED_TOO_BIG)},
	{"size: 1480 bytes fit under two tags, 4in4", 2, {.payload = 1452, .tags = 2}, V(SELECTED)},
	{"size: 1460 bytes fit, 4in6", 3, {.payload = 1420}, V(SELECTED)},
	{"size: 1461 bytes are too big, 4in6", 3, {.payload = 1421}, V(ANSWERED_TOO_BIG)},
	{"size: 1460 bytes of IPv6 fit, 6in6", 4, {.payload = 1400}, V(SELECTED)},
	{"size: 1461 bytes of IPv6 are too big, 6in6", 4, {.payload = 1401}, V(ANSWERED_TOO_BIG)},
	{"size: 1480 bytes of IPv6 fit, 6in4", 5, {.payload = 1432}, V(SELECTED)},
	{"size: 1481 bytes of IPv6 are too big, 6in4", 5, {.payload = 1433}, V(ANSWERED_TOO_BIG)},
	{"size: 1500 bytes are too big, 6in6", 4, {.payload = 1440}, V(ANSWERED_TOO_BIG)},
	{"size: padding does not count as size", 1, {.payload = 1460, .trailer = 40}, V(SELECTED)},
	{"size: a jumbo of 2900 bytes is too big, l2", 1, {.payload = 2860}, V(ANSWERED_TOO_BIG)},
	{"size: a jumbo of 4000 bytes is too big, 4in4", 2, {.payload = 3900}, V(ANSWERED_TOO_BIG)},
	{"size: a jumbo to an address of no service passes",
	 1,
	 {.payload = 2860, .dst = "203.0.113.99"},
	 V(NO_SERVICE)},
	{"size: a big packet of a known flow is too big",
	 1,
	 {.payload = 1461},
	 V(ANSWERED_TOO_BIG),
	 .before = {CAME(SYN)}},
	{"size: the smallest TCP packet, 4in6", 3, {.tcp_flags = ACK}, V(SELECTED)},
	{"size: the smallest UDP packet, 6in6", 10, {.payload = 0}, V(SELECTED)},
};

GROUP(size, cases);
