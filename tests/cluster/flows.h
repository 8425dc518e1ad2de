/* SPDX-License-Identifier: BSD-3-Clause */
/* Flows of numbered clients through a node of tests/soak/world.h. */
#pragma once

#include <arpa/inet.h>

#include "tests/soak/world.h"

enum {
	FLOWS_NO_SERVER = -1,
	FLOWS_CLIENTS = 1 << 24,
};

/* The address of client number `client`, below FLOWS_CLIENTS. */
void flows_write_client(char text[INET6_ADDRSTRLEN], bool is6, uint64_t client);
/* The server to which the node sends the packet. */
int flows_server_of(struct soak_world *world, const struct fixture_packet *packet, uint32_t service);
/* `world` gets the configuration and the servers' states of `other`. */
void flows_follow(struct soak_world *world, struct soak_world *other);
/* Afterwards a panic or a slow start of before is over, and weights have followed what agents say; `now` is more
 * than a minute after the node's time. */
void flows_settle(struct soak_world *world, uint32_t now);
