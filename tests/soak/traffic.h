/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Clients of a soak: a fixed number of flows at a time, each with its own course; a part of them from a few
 * addresses, as behind NAT. Every packet goes through the engine, and the oracle checks its destination.
 */
#pragma once

#include "tests/soak/world.h"

struct soak_traffic;

struct soak_traffic *soak_traffic_new(struct soak_world *world, uint32_t slots, uint64_t seed);
void soak_traffic_free(struct soak_traffic *traffic);

/* Sends a packet of a random flow. False: the oracle cannot explain its destination. */
bool soak_traffic_step(struct soak_traffic *traffic);
/* Number of flows that have started. */
uint64_t soak_traffic_begun(const struct soak_traffic *traffic);
