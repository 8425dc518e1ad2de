// SPDX-License-Identifier: BSD-3-Clause
/* The soak's services. */
#include <string.h>

#include "tests/soak/world.h"

#define TIMEOUTS                                                                                                   \
	{                                                                                                          \
		10, 60, 15, 10, 30                                                                                 \
	}

static const struct soak_service chaos[SOAK_SERVICES] = {
	{.name = "web",
	 .address = "203.0.113.1",
	 .protocol = "tcp",
	 .port = 80,
	 .mode = "l2",
	 .scheduler = "maglev"},
	{.name = "web6",
	 .address = "2001:db8:1::2",
	 .protocol = "tcp",
	 .port = 443,
	 .mode = "ipip",
	 .outer6 = true,
	 .scheduler = "maglev",
	 .by_client = true,
	 .prefix4 = 32,
	 .prefix6 = 64},
	{.name = "dns",
	 .address = "203.0.113.3",
	 .protocol = "udp",
	 .port = 53,
	 .mode = "ipip",
	 .scheduler = "maglev"},
	{.name = "shop",
	 .address = "203.0.113.4",
	 .protocol = "tcp",
	 .port = 80,
	 .mode = "l2",
	 .scheduler = "maglev",
	 .by_client = true,
	 .prefix4 = 32,
	 .prefix6 = 64,
	 .group = "shop",
	 .returns = true,
	 .has_backups = true},
	{.name = "shops",
	 .address = "203.0.113.4",
	 .protocol = "tcp",
	 .port = 443,
	 .mode = "l2",
	 .scheduler = "maglev",
	 .by_client = true,
	 .prefix4 = 32,
	 .prefix6 = 64,
	 .group = "shop",
	 .returns = true,
	 .has_backups = true},
	{.name = "game6",
	 .address = "2001:db8:1::6",
	 .protocol = "udp",
	 .port = 5000,
	 .mode = "l2",
	 .outer6 = true,
	 .scheduler = "maglev",
	 .by_client = true,
	 .prefix4 = 32,
	 .prefix6 = 56,
	 .has_backups = true},
	{.name = "wide",
	 .address = "203.0.113.7",
	 .protocol = "tcp",
	 .port = 8080,
	 .mode = "ipip",
	 .scheduler = "bounded",
	 .by_client = true,
	 .prefix4 = 24,
	 .prefix6 = 64,
	 .crowd = 30},
	{.name = "turns",
	 .address = "203.0.113.8",
	 .protocol = "tcp",
	 .port = 80,
	 .mode = "l2",
	 .scheduler = "round-robin",
	 .resets = true},
	{.name = "least",
	 .address = "203.0.113.9",
	 .protocol = "tcp",
	 .port = 80,
	 .mode = "l2",
	 .scheduler = "least-conn",
	 .max_flows = 170},
	{.name = "turnsc",
	 .address = "203.0.113.10",
	 .protocol = "udp",
	 .port = 7,
	 .mode = "l2",
	 .scheduler = "round-robin",
	 .by_client = true,
	 .prefix4 = 28,
	 .prefix6 = 64,
	 .returns = true},
	{.name = "bound",
	 .address = "203.0.113.11",
	 .protocol = "tcp",
	 .port = 80,
	 .mode = "l2",
	 .scheduler = "bounded",
	 .slow_start = 20},
	{.name = "stick",
	 .address = "203.0.113.12",
	 .protocol = "tcp",
	 .port = 80,
	 .mode = "l2",
	 .scheduler = "least-conn",
	 .by_client = true,
	 .prefix4 = 32,
	 .prefix6 = 64,
	 .resets = true,
	 .crowd = 30,
	 .max_flows = 120},
	{.name = "crowd",
	 .address = "203.0.113.13",
	 .protocol = "tcp",
	 .port = 80,
	 .mode = "l2",
	 .scheduler = "bounded",
	 .by_client = true,
	 .prefix4 = 32,
	 .prefix6 = 64,
	 .spills = true,
	 .has_backups = true,
	 .crowd = 30},
	{.name = "nat",
	 .address = "203.0.113.14",
	 .protocol = "tcp",
	 .port = 80,
	 .mode = "nat",
	 .server_port = 8080,
	 .scheduler = "maglev",
	 .by_client = true,
	 .prefix4 = 32,
	 .prefix6 = 64,
	 .resets = true,
	 .has_backups = true},
	{.name = "nat6",
	 .address = "2001:db8:1::15",
	 .protocol = "udp",
	 .port = 53,
	 .mode = "nat",
	 .outer6 = true,
	 .scheduler = "bounded",
	 .crowd = 30},
	{.name = "timed",
	 .address = "203.0.113.15",
	 .protocol = "tcp",
	 .port = 80,
	 .mode = "l2",
	 .scheduler = "response-time",
	 .is_timed = true},
	{.name = "timed-nat",
	 .address = "203.0.113.16",
	 .protocol = "tcp",
	 .port = 80,
	 .mode = "nat",
	 .server_port = 8080,
	 .scheduler = "response-time",
	 .is_timed = true},
};

static void fill(struct soak_service *service, uint32_t there, uint32_t n)
{
	static const uint32_t timeouts[5] = TIMEOUTS;
	memcpy(service->timeout, timeouts, sizeof(timeouts));
	service->present = true;
	service->session_timeout = service->group || !service->by_client ? 90 : 15;
	service->n_servers = n;
	for (uint32_t i = 0; i < n; i++)
		service->server[i] = (struct soak_server){
			.present = i < there,
			.up = true,
			.weight = 100,
			.backup = -1,
		};
	/* Pairs. */
	for (uint32_t i = 0; i < n && service->has_backups; i++)
		service->server[i].backup = (i ^ 1) < n ? (int)(i ^ 1) : -1;
}

void soak_services_chaos(struct soak_world *world)
{
	world->n_services = SOAK_SERVICES;
	memcpy(world->services, chaos, sizeof(chaos));
	for (uint32_t i = 0; i < SOAK_SERVICES; i++)
		fill(&world->services[i], 8, 12);
}

void soak_services_ramp(struct soak_world *world, uint32_t servers)
{
	world->n_services = 2;
	world->services[0] = chaos[0];
	world->services[1] = chaos[1];
	for (uint32_t i = 0; i < 2; i++) {
		fill(&world->services[i], servers, SOAK_SERVERS);
		/* Longer than any pause in the ramp. */
		for (uint32_t j = 0; j < 5; j++)
			world->services[i].timeout[j] = 60;
	}
}
