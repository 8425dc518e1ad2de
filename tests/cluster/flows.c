// SPDX-License-Identifier: BSD-3-Clause
#include "tests/cluster/flows.h"

#include <stdio.h>
#include <string.h>

#include "tests/soak/chaos.h"

enum {
	SETTLING_S = 60,
};

void flows_write_client(char text[INET6_ADDRSTRLEN], bool is6, uint64_t client)
{
	const uint32_t low = (uint32_t)client & 0xff, mid = (uint32_t)(client >> 8) & 0xff,
		       high = (uint32_t)(client >> 16) & 0xff;
	if (is6)
		snprintf(text, INET6_ADDRSTRLEN, "2001:db8:%x:%x00::1", high << 8 | mid, low);
	else
		snprintf(text, INET6_ADDRSTRLEN, "10.%u.%u.%u", high, mid, low);
}

/* By the address of its next hop (set_hop in tests/soak/world.c). */
int flows_server_of(struct soak_world *world, const struct fixture_packet *packet, uint32_t service)
{
	static struct engine_outcome outcome;
	static struct fixture_frame frame;
	fixture_build(&frame, packet);
	frame.frame.data[5] = 1; /* of the port */
	const struct sent sent = {.frame = frame.frame.data, .bytes = frame.bytes, .now = world->now};
	engine_run(&world->engine, &sent, &outcome);
	if (outcome.class != BERTH_CLASS_FORWARD)
		return FLOWS_NO_SERVER;
	if (outcome.frame[1] != 0x77 || outcome.frame[2] != service)
		soak_fail("%s: a packet left for another service", world->services[service].name);
	return outcome.frame[4];
}

/* Agents say the same to both nodes. */
static void follow_agents(struct soak_world *world, struct soak_world *other)
{
	for (uint32_t i = 0; i < world->n_services; i++)
		for (uint32_t j = 0; j < world->services[i].n_servers; j++) {
			struct berth_model_backend *backend = soak_backend(world, i, j);
			const struct berth_model_backend *known = soak_backend(other, i, j);
			if (backend && known)
				backend->agent.said = known->agent.said;
		}
}

void flows_follow(struct soak_world *world, struct soak_world *other)
{
	static struct soak_service wanted[SOAK_SERVICES];
	memcpy(wanted, other->services, sizeof(wanted));
	memcpy(world->services, wanted, sizeof(wanted));
	soak_apply(world);
	for (uint32_t i = 0; i < world->n_services; i++)
		for (uint32_t j = 0; j < world->services[i].n_servers; j++) {
			const struct berth_model_backend *backend = soak_backend(world, i, j);
			if (backend && backend->admin != wanted[i].server[j].admin)
				soak_administer(world, i, j, wanted[i].server[j].admin);
		}
	follow_agents(world, other);
}

void flows_settle(struct soak_world *world, uint32_t now)
{
	soak_probe(world);
	/* Weights follow agents in steps. */
	for (uint32_t time = now - SETTLING_S; time != now + 1; time++)
		soak_set_time(world, time);
	soak_publish(world);
}
