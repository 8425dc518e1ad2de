/* SPDX-License-Identifier: BSD-3-Clause */
/* Random packets to the services of a world and from their backends: valid packets, fragments in any order, ICMP
 * errors about flows, packets with changed headers, changed golden packets, random bytes. */
#pragma once

#include "tests/diff/world.h"
#include "tests/support/packet.h"

/* A frame of 14 to about 2,500 bytes. */
void packets_draw(struct random *random, const struct world_shape shapes[WORLD_SERVICES], struct fixture_frame *to);

/* A valid packet of client `client` to a service. */
struct fixture_packet packets_to(const struct world_shape *shape, uint32_t client);
