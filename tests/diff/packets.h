/* SPDX-License-Identifier: BSD-3-Clause */
/* Random packets to the services of a world and from their backends: well-formed ones, fragments in any order, ICMP
 * errors about flows that there may be, spoilt ones, golden ones changed, and noise. */
#pragma once

#include "tests/diff/world.h"
#include "tests/support/packet.h"

/* A frame of 14 to 2,500 bytes or so. */
void packets_draw(struct random *random, const struct world_shape shapes[WORLD_SERVICES], struct fixture_frame *to);

/* A well-formed packet of client `client` to a service. */
struct fixture_packet packets_to(const struct world_shape *shape, uint32_t client);
