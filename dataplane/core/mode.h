/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/*
 * The forwarding modes, each declared once. The packet path, the configuration, the doctor and the tests take the
 * properties of a mode from here. Everything below is a constant expression once `mode` is one, and a comparison
 * or two if it is not.
 *
 * X(symbol, name, outer, shim, protocol, families, answers, does):
 *   name      in the configuration and wherever a mode is shown
 *   outer     IP: an outer IP header, in the family of the backend's address; NONE: no encapsulation
 *   shim      bytes between the outer IP header and the packet
 *   protocol  of the outer IP header; 0: the inner packet's family (4 or 41)
 *   families  ANY: a backend of either family can serve a service; SAME: only one of the service's family
 *   answers   CLIENT: a backend answers the client directly; BERTH: through berth, which rewrites the answer
 *   does      to a packet, for messages and help
 */
#pragma once

#include "packet.h"

#define BERTH_MODES(X)                                                                                             \
	X(L2, "l2", NONE, 0, 0, SAME, CLIENT, "rewrites the link addresses only")                                  \
	X(IPIP, "ipip", IP, 0, 0, ANY, CLIENT, "encapsulates in IPv4 or IPv6")                                     \
	X(GUE, "gue", IP, BERTH_UDP_BYTES, BERTH_PROTO_UDP, ANY, CLIENT, "encapsulates in UDP over IPv4 or IPv6")  \
	X(NAT, "nat", NONE, 0, 0, SAME, BERTH, "rewrites addresses within their family")

enum berth_mode {
#define X(symbol, name, outer, shim, protocol, families, answers, does) BERTH_MODE_##symbol,
	BERTH_MODES(X)
#undef X
	BERTH_MODE_COUNT,
};

/* The words of the list. */
enum {
	BERTH_MODE_OUTER_NONE = 0,
	BERTH_MODE_OUTER_IP = 1,
	BERTH_MODE_FAMILIES_SAME = 0,
	BERTH_MODE_FAMILIES_ANY = 1,
	BERTH_MODE_ANSWERS_CLIENT = 0,
	BERTH_MODE_ANSWERS_BERTH = 1,
};

/* Whether the mode puts an outer header in front of a packet. */
BERTH_INLINE bool berth_mode_encapsulates(uint32_t mode)
{
#define X(symbol, name, outer, shim, protocol, families, answers, does)                                            \
	| (BERTH_MODE_OUTER_##outer && mode == BERTH_MODE_##symbol)
	return false BERTH_MODES(X);
#undef X
}

/* Bytes between the outer IP header and the packet. */
BERTH_INLINE uint32_t berth_mode_shim(uint32_t mode)
{
#define X(symbol, name, outer, shim, protocol, families, answers, does) +(mode == BERTH_MODE_##symbol ? (shim) : 0u)
	return 0u BERTH_MODES(X);
#undef X
}

/* Bytes that the mode adds to a packet; `is_outer4`: the backend has an IPv4 address. */
BERTH_INLINE uint32_t berth_mode_overhead(uint32_t mode, bool is_outer4)
{
	if (!berth_mode_encapsulates(mode))
		return 0;
	return (is_outer4 ? BERTH_IP4_BYTES : BERTH_IP6_BYTES) + berth_mode_shim(mode);
}

/* The protocol in the outer IP header of a mode that encapsulates; `is_inner6`: the packet is IPv6. */
BERTH_INLINE uint32_t berth_mode_protocol(uint32_t mode, bool is_inner6)
{
	uint32_t inner = is_inner6 ? BERTH_PROTO_IP6 : BERTH_PROTO_IP4;
#define X(symbol, name, outer, shim, protocol, families, answers, does)                                            \
	(protocol) && mode == BERTH_MODE_##symbol ? (protocol):
	return BERTH_MODES(X) inner;
#undef X
}

/* Whether the outer header has ports: the tunnel's destination port can be configured. */
BERTH_INLINE bool berth_mode_has_tunnel_port(uint32_t mode)
{
	return berth_mode_protocol(mode, false) == BERTH_PROTO_UDP;
}

/* Whether a service of one family can have backends of the other. */
BERTH_INLINE bool berth_mode_crosses_families(uint32_t mode)
{
#define X(symbol, name, outer, shim, protocol, families, answers, does)                                            \
	| (BERTH_MODE_FAMILIES_##families && mode == BERTH_MODE_##symbol)
	return false BERTH_MODES(X);
#undef X
}

/* Whether the backends' answers return through berth. */
BERTH_INLINE bool berth_mode_returns(uint32_t mode)
{
#define X(symbol, name, outer, shim, protocol, families, answers, does)                                            \
	| (BERTH_MODE_ANSWERS_##answers && mode == BERTH_MODE_##symbol)
	return false BERTH_MODES(X);
#undef X
}

/* Whether a backend must be on berth's own link: only the link address of its packets is its own. */
BERTH_INLINE bool berth_mode_is_link_only(uint32_t mode)
{
	return !berth_mode_encapsulates(mode) && !berth_mode_returns(mode);
}

/* A mode's word in the configuration. */
BERTH_INLINE const char *berth_mode_name(enum berth_mode mode)
{
#define X(symbol, name, outer, shim, protocol, families, answers, does) name,
	static const char *const names[] = {BERTH_MODES(X)};
#undef X
	return names[mode];
}

/* What a mode does to a packet, after "mode NAME" in a message. */
BERTH_INLINE const char *berth_mode_does(enum berth_mode mode)
{
#define X(symbol, name, outer, shim, protocol, families, answers, does) does,
	static const char *const texts[] = {BERTH_MODES(X)};
#undef X
	return texts[mode];
}
