/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/*
 * Which received packets berth may forward: those in frames to this host, and not those with a link-local source. A
 * frame to another host that arrives all the same (a promiscuous port, a switch that floods) belongs to that host,
 * which may be another node of berth; forwarded here too, every packet would be duplicated.
 *
 * And which packets for the kernel have priority (DPDK).
 */
#pragma once

#include "abi.h"
#include "link.h"

#ifndef BERTH_HAVE_ACCESSORS
#error "include image.h or bpf/maps.h first"
#endif

/* Whether a frame is addressed to the port where it arrived: nearly all are. */
BERTH_INLINE bool berth_is_to_port(const struct berth_view *view, const struct berth_frame *frame)
{
	const struct berth_eth *eth = BERTH_AT(frame, const struct berth_eth, 0);
	return eth && berth_link_key(eth) == view->link;
}

/* Whether a frame is addressed to another address of this host on the port. The slaves of a bond are not ports
 * themselves: what they receive can be for any port. */
BERTH_RARE_STEP int berth_is_to_own_link(const struct berth_view *view, BERTH_HANDLE *handle)
{
	if (!BERTH_IS_SET(view))
		return false;
	BERTH_OPEN(frame, handle);
	const struct berth_ctl *ctl = berth_at_ctl(view, 0);
	const struct berth_eth *eth = BERTH_AT(frame, const struct berth_eth, 0);
	if (!ctl || !eth)
		return false;
	const uint64_t to = berth_link_key(eth);
	for (uint32_t i = 0; i < BERTH_MAX_LINKS; i++) {
		const struct berth_link *link = &ctl->links[view->global & 1][i];
		if (!link->is_used)
			break;
		if (berth_link_key(link) == to && (link->port == view->port || view->port >= BERTH_MAX_PORTS))
			return true;
	}
	return false;
}

/* The verdict of a frame that is not to this host. */
BERTH_INLINE enum berth_verdict berth_receive_foreign(const struct berth_frame *frame, struct berth_packet *packet,
						      uint32_t bytes)
{
	uint16_t type;
	uint32_t network;
	__builtin_memset(packet, 0, sizeof(*packet));
	packet->bytes = bytes;
	if (!berth_parse_link(frame, &type, &network))
		return BERTH_VERDICT_BAD_FRAME;
	return type == BERTH_ETHERTYPE_IP4 || type == BERTH_ETHERTYPE_IP6 ? BERTH_VERDICT_NOT_OWN_LINK
									  : BERTH_VERDICT_NOT_IP;
}

/* Whether the source is link-local (RFC 3927 section 2.7, RFC 4291 section 2.5.6). */
BERTH_INLINE bool berth_is_link_local(const struct berth_packet *packet)
{
	const uint8_t *at = &packet->src.byte[packet->is6 ? 0 : 12];
	return packet->is6 ? at[0] == 0xfe && (at[1] & 0xc0) == 0x80 : at[0] == 169 && at[1] == 254;
}

/* Whether a packet for the kernel has priority: what health checks and neighbour discovery wait for. These are the
 * packets of backends (1,000 backends: and of one other address in 65), of hosts on the link, and ARP. */
BERTH_INLINE bool berth_has_pass_priority(const struct berth_view *view, const struct berth_packet *packet,
					  enum berth_verdict verdict)
{
	const struct berth_globals *globals = berth_at_globals(view, view->global);
	const uint32_t bit = berth_backend_filter_bit(&packet->src);
	return verdict == BERTH_VERDICT_NOT_IP || berth_is_link_local(packet) ||
	       (globals && globals->backend_filter[bit / 64] >> bit % 64 & 1);
}
