/* SPDX-License-Identifier: BSD-3-Clause */
/* For tests of classify.h: the service of a packet. */
#pragma once

#include "tests/unit/dataplane/core/image.h"

static inline int set_up(void **state)
{
	return set_up_image(state);
}

static struct berth_packet packet_to(const char *dst, uint8_t protocol, uint16_t port)
{
	return (struct berth_packet){
		.dst = fixture_addr(dst),
		.dport = berth_to_be16(port),
		.protocol = protocol,
		.is6 = strchr(dst, ':') != NULL,
	};
}

/* The service number of a packet; 0: none. */
static uint32_t service_of(const char *dst, uint8_t protocol, uint16_t port)
{
	struct berth_view view = fixture_view(&image, FIXTURE_NOW);
	struct berth_packet packet = packet_to(dst, protocol, port);
	enum berth_verdict verdict = berth_classify(&view, &packet);
	assert_int_equal(verdict, packet.service ? BERTH_NO_VERDICT : BERTH_VERDICT_NO_SERVICE);
	return packet.service;
}
