/* SPDX-License-Identifier: BSD-3-Clause */
/* Short macros for the tables of cases. Only they include this header. */
#pragma once

#include "tests/golden/golden.h"

/* Cases omit fields that are 0, on purpose. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#define V(symbol) BERTH_VERDICT_##symbol

/* Edits of one or two bytes; offsets from the frame's start, the IP header, the transport header. */
#define LINK16(offset, v)                                                                                          \
	{                                                                                                          \
		2, GOLDEN_LINK, offset, v                                                                          \
	}
#define IP8(offset, v)                                                                                             \
	{                                                                                                          \
		1, GOLDEN_NETWORK, offset, v                                                                       \
	}
#define IP16(offset, v)                                                                                            \
	{                                                                                                          \
		2, GOLDEN_NETWORK, offset, v                                                                       \
	}
#define L4_8(offset, v)                                                                                            \
	{                                                                                                          \
		1, GOLDEN_TRANSPORT, offset, v                                                                     \
	}
#define L4_16(offset, v)                                                                                           \
	{                                                                                                          \
		2, GOLDEN_TRANSPORT, offset, v                                                                     \
	}

#define QUOTED8(offset, v)                                                                                         \
	{                                                                                                          \
		1, GOLDEN_QUOTED, offset, v                                                                        \
	}
#define QUOTED16(offset, v)                                                                                        \
	{                                                                                                          \
		2, GOLDEN_QUOTED, offset, v                                                                        \
	}
#define QUOTED_L4_16(offset, v)                                                                                    \
	{                                                                                                          \
		2, GOLDEN_QUOTED_TRANSPORT, offset, v                                                              \
	}

/* A packet before, by its TCP flags: of the same flow, or of another flow of the same client. */
#define CAME(flags)                                                                                                \
	{                                                                                                          \
		GOLDEN_PACKET, flags, 0                                                                            \
	}
#define CAME_WITH_DATA(flags)                                                                                      \
	{                                                                                                          \
		GOLDEN_DATA, flags, 0                                                                              \
	}
#define CAME_FROM_OTHER_PORT(flags)                                                                                \
	{                                                                                                          \
		GOLDEN_PACKET, flags, 1                                                                            \
	}
/* The first fragment of the packet's datagram, or of another datagram. */
#define CAME_FIRST                                                                                                 \
	{                                                                                                          \
		GOLDEN_FIRST_FRAGMENT, 0, 0                                                                        \
	}
#define CAME_OTHER_FIRST                                                                                           \
	{                                                                                                          \
		GOLDEN_OTHER_DATAGRAM, 0, 0                                                                        \
	}

#define FIN BERTH_TCP_FIN
#define SYN BERTH_TCP_SYN
#define RST BERTH_TCP_RST
#define ACK BERTH_TCP_ACK

/* A list of IPv6 extension headers. */
#define EXT(...) ((const uint8_t[]){__VA_ARGS__, FIXTURE_EXT_END})
#define HOP BERTH_PROTO_HOP_BY_HOP
#define ROUTING BERTH_PROTO_ROUTING
#define FRAG BERTH_PROTO_FRAGMENT
#define DEST BERTH_PROTO_DEST_OPTIONS

/* An ICMP error: type, code, the rest of the header, and the packet that it quotes. */
#define ERROR(...) .error = {__VA_ARGS__}

#define GROUP(of, cases) const struct golden_group golden_##of = {#of, cases, sizeof(cases) / sizeof((cases)[0])}
