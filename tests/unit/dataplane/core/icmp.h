/* SPDX-License-Identifier: BSD-3-Clause */
/* For tests of ICMP errors: what a router sends about a packet from a service's backend to its client. */
#pragma once

#include "tests/support/icmp.h"
#include "tests/unit/dataplane/core/steering.h"

#define ROUTER4 "198.18.0.1"
#define ROUTER6 "2001:db8:f::1"

#define NONE BERTH_NO_VERDICT
#define BAD_ICMP BERTH_VERDICT_BAD_ICMP
#define NOT_TCP_UDP BERTH_VERDICT_NOT_TCP_UDP
#define ICMP_ERROR BERTH_VERDICT_ICMP_ERROR

enum {
	FLOW_TCP6 = SERVICES, /* backends 13, 14, 15 */
};

static const struct fixture_packet to_flow_tcp6 = {
	.src = "2001:db8:2::7", .dst = "2001:db8:1::10", .sport = 1025, .dport = 80, .protocol = 6};

static const struct fixture_packet *flow_to(uint32_t service)
{
	return service == FLOW_TCP6 ? &to_flow_tcp6 : &to_service[service];
}

/* The error of a router that dropped the service's answer to a client's packet. */
static struct wire_error error_about(const struct fixture_packet *packet)
{
	bool is6 = strchr(packet->dst, ':') != NULL;
	struct wire_error error = {
		.outer = {.src = is6 ? ROUTER6 : ROUTER4, .dst = packet->dst},
		.quoted = wire_reply(*packet),
		.type = is6 ? BERTH_ICMP6_PACKET_TOO_BIG : BERTH_ICMP_UNREACHABLE,
		.code = is6 ? 0 : BERTH_ICMP_FRAGMENTATION_NEEDED,
		.rest = 1400,
	};
	error.quoted.payload = 24;
	return error;
}
