/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Clients of a soak: so many flows at a time, each with a life of its own, one packet after the other; a part of
 * them from a few addresses, as behind NAT. Every packet goes through the engine, and the oracle judges where it
 * went.
 */
#pragma once

#include "tests/soak/world.h"

struct soak_traffic;

struct soak_traffic *soak_traffic_new(struct soak_world *world, uint32_t slots, uint64_t seed);
void soak_traffic_free(struct soak_traffic *traffic);

/* A packet of some flow. False: the oracle does not know why it went where it went. */
bool soak_traffic_step(struct soak_traffic *traffic);
/* How many flows have begun. */
uint64_t soak_traffic_begun(const struct soak_traffic *traffic);
